"""The lines of the table in order: rows, lines above models, folded models."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

from vllm_watch.core.dataclass import replace
from vllm_watch.tui.groups import Group, groups_of
from vllm_watch.tui.rows import Row

TableLine = int | Group
"""The index of a row, or the line of a model."""


class TableLines:
    """The lines of the table, and the row or the group on each."""

    def __init__(self, rows: Sequence[Row], folded: Collection[str]) -> None:
        """Place all rows in lines; models in `folded` have only the line above them."""
        self.lines: Sequence[TableLine] = range(len(rows))
        groups = groups_of(rows)  # lines of groups have no age
        self.grouped = bool(groups)
        """Whether models have lines."""
        self._ends = dict(pairwise([*(group.first for group in groups), len(rows)]))
        lines: list[TableLine] = []
        for group in groups:
            known = replace(group, folded=group.model in folded)
            lines.append(known)
            if not known.folded:
                lines += range(group.first, self._ends[group.first])
        if groups:
            self.lines = lines
        self._stops = self.lines if not groups else [one for one in lines if _stop(one)]

    def rows_of(self, line: TableLine) -> range:
        """Return the rows of a line: the row itself, or the rows folded into it."""
        if not isinstance(line, Group):
            return range(line, line + 1)
        return range(line.first, self._ends[line.first] if line.folded else line.first)

    def line_of(self, row: int) -> int:
        """Return the line of a row, or that of its folded group."""
        return self._find(self.lines, row)

    def moved(self, row: int, step: int) -> int:
        """Return the row at which the cursor is after it moved down so many lines from `row`."""
        stop = self._find(self._stops, row) + step
        line = self._stops[max(0, min(len(self._stops) - 1, stop))]
        return line.first if isinstance(line, Group) else line

    def group_of(self, row: int) -> Group | None:
        """Return the model whose line is above a row, or replaces it."""
        groups = (line for line in self.lines if isinstance(line, Group))
        return next((one for one in groups if one.first <= row < self._ends[one.first]), None)

    def _find(self, lines: Sequence[TableLine], row: int) -> int:
        if not self.grouped:
            return row
        return next((n for n, line in enumerate(lines) if row in self.rows_of(line)), 0)


def _stop(line: TableLine) -> bool:
    """Tell whether the cursor stops at a line."""
    return not isinstance(line, Group) or line.folded
