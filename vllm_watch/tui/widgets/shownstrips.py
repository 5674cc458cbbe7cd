"""The lines that a widget shows, and which of their cells changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class ShownStrips:
    """The strips that a widget shows, in its width and style."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self.strips: list[Strip] = []

    def replace(self, strips: Iterable[Strip], widget: Widget) -> list[Region]:
        """Show other strips and return the cells that differ from those before, a region a line."""
        width, style = widget.size.width, widget.rich_style
        now = [strip.extend_cell_length(width).apply_style(style) for strip in strips]
        before, self.strips = self.strips, now
        rows, both = max(len(now), len(before)), min(len(now), len(before))
        changed = [
            differing(before[row], now[row], row) for row in range(both) if now[row] != before[row]
        ]
        return changed + [Region(0, row, width, 1) for row in range(both, rows)]

    def line(self, row: int, widget: Widget) -> Strip:
        """Return one of them, blank where there is none."""
        if 0 <= row < len(self.strips):
            return self.strips[row]
        return Strip.blank(widget.size.width, widget.rich_style)

    @property
    def text(self) -> str:
        """All lines, as plain text."""
        return "\n".join(strip.text for strip in self.strips)


def differing(before: Strip, now: Strip, row: int) -> Region:
    """Return the cells from the first to the last one that differ between two lines."""
    width = max(before.cell_length, now.cell_length)
    if before.cell_length != now.cell_length:
        return Region(0, row, width, 1)
    one, other = list(before), list(now)
    left = _alike(one, other)
    right = _alike(one[::-1], other[::-1], backwards=True)
    return Region(left, row, max(1, width - left - right), 1)


def _alike(one: Sequence[Segment], other: Sequence[Segment], *, backwards: bool = False) -> int:
    """Return how many cells are alike at the beginning, or `backwards` at the end."""
    cells = 0
    for first, second in zip(one, other, strict=False):
        if first == second:
            cells += first.cell_length
            continue
        if first.style == second.style and first.text.isascii() and second.text.isascii():
            texts = [text[::-1] if backwards else text for text in (first.text, second.text)]
            pairs = takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False))
            cells += sum(1 for _ in pairs)
        break
    return cells
