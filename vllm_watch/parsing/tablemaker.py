"""Rows of known lines gathered into tables."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from operator import add

import numpy as np

from vllm_watch.core.records import Item, RequestTable, SampleTable
from vllm_watch.parsing.access import Answer
from vllm_watch.parsing.accessfilter import Gaps
from vllm_watch.parsing.shapes import Shape

Row = tuple[bytes, ...]
FEW = 2
"""Most stats lines for which single records are cheaper than a table."""


class TableMaker:
    """Collects stats lines, companion lines and requests until they are taken as tables."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._lines: list[tuple[Shape, Row]] = []
        self._added: list[tuple[int, Shape, Row]] = []
        """Companion lines, each with the index of the stats line that it completes."""
        self._requests: list[tuple[float | None, Mapping[Answer, int]]] = []
        self._counted: list[RequestTable] = []
        """Requests of earlier stretches."""

    def add(self, time: float, line: tuple[Shape, Row]) -> None:
        """Add a stats line."""
        self._times.append(time)
        self._lines.append(line)

    def add_all(self, times: Sequence[float], lines: Sequence[tuple[Shape, Row]]) -> None:
        """Add many stats lines."""
        self._times += times
        self._lines += lines

    def amend(self, shape: Shape, row: Row) -> bool:
        """Complete the newest stats line by a companion line, if it belongs to it."""
        if not self._lines or (shape.named and shape.engine_of(row) != self._newest_engine()):
            return False
        self._added.append((len(self._lines) - 1, shape, row))
        return True

    def count(self, time: float | None, counts: Mapping[Answer, int]) -> None:
        """Add the requests of one stretch."""
        self._requests.append((time, counts))

    def count_all(
        self, times: Sequence[float | None], gaps: Gaps, answers: Sequence[Answer]
    ) -> None:
        """Add the requests that came before each of many lines.

        `times` has the time of the line before each; `answers` has the answer of each form.
        """
        if not len(gaps.lines):
            return
        self._put_counts()
        fresh = np.diff(gaps.lines, prepend=-1) != 0
        stretch, known = np.cumsum(fresh) - 1, gaps.lines[fresh].tolist()
        counts = _Counts([times[line] for line in known])
        for form in sorted(set(gaps.forms.tolist())):
            some = gaps.forms == form
            column = np.zeros(len(known), np.int64)
            column[stretch[some]] = gaps.sizes[some]
            counts.add(answers[form], array("q", column.tobytes()))
        self._counted.append(counts.table())

    def take(self) -> list[Item]:
        """Return the collected tables, and start again."""
        self._put_counts()
        items: list[Item] = [*self._counted]
        self._counted = []
        if len(self._times) <= FEW and not self._added:
            pairs = zip(self._times, self._lines, strict=True)
            items += [shape.sample(time, row) for time, (shape, row) in pairs]
        elif self._times:
            items.append(self._sample_table())
        self._times, self._lines, self._added = [], [], []
        return items

    def _put_counts(self) -> None:
        """Make a table of the stretches that were added one by one."""
        if self._requests:
            self._counted.append(_request_table(self._requests))
            self._requests = []

    def _newest_engine(self) -> int:
        shape, row = self._lines[-1]
        return shape.engine_of(row)

    def _sample_table(self) -> SampleTable:
        size = len(self._times)
        columns: dict[str, array[float]] = {}
        engines = array("q", [0]) * size
        by_shape = _grouped(range(size), self._lines)
        for shape, places, rows in by_shape:
            _put(columns, size, places, shape.columns(rows))
            numbers = shape.engines_of(rows)
            if len(places) == size:
                engines = array("q", numbers)
            else:
                for at, number in zip(places, numbers, strict=True):
                    engines[at] = number
        added = [(shape, row) for _, shape, row in self._added]
        for shape, places, rows in _grouped([at for at, _, _ in self._added], added):
            _put(columns, size, places, shape.columns(rows))
        named = any(shape.writer for shape, _, _ in by_shape)
        writers = tuple(shape.writer for shape, _ in self._lines) if named else ()
        return SampleTable(array("d", self._times), engines, columns, writers=writers)


def _grouped(
    places: Sequence[int], lines: Sequence[tuple[Shape, Row]]
) -> list[tuple[Shape, Sequence[int], list[Row]]]:
    """Return the lines shape by shape, in order, with their places."""
    if len({id(shape) for shape, _ in lines}) == 1:
        return [(lines[0][0], places, [row for _, row in lines])]
    groups: dict[int, tuple[Shape, list[int], list[Row]]] = {}
    for at, (shape, row) in zip(places, lines, strict=True):
        group = groups.setdefault(id(shape), (shape, [], []))
        group[1].append(at)
        group[2].append(row)
    return list(groups.values())


def _put(
    columns: dict[str, array[float]],
    size: int,
    places: Sequence[int],
    found: Mapping[str, array[float]],
) -> None:
    """Put the values of some lines into the columns of all."""
    for name, values in found.items():
        if len(places) == size and name not in columns:
            columns[name] = values
            continue
        if name not in columns:
            columns[name] = array("d", [math.nan]) * size
        column = columns[name]
        for at, value in zip(places, values, strict=True):
            column[at] = value


class _Counts:
    """Requests of some stretches as columns."""

    def __init__(self, times: Sequence[float | None]) -> None:
        self._times = array("d", [math.nan if time is None else time for time in times])
        self._served: dict[str, array[int]] = {}
        self._failing: dict[str, array[int]] = {}
        self._polls = array("q", [0]) * len(self._times)

    def add(self, answer: Answer, column: array[int]) -> None:
        """Add the counts of one answer in each stretch."""
        if answer.what == "polls":
            self._polls = _sum(self._polls, column)
        if answer.what != "served":
            return
        _add(self._served, answer.status, column)
        if answer.failing:
            _add(self._failing, answer.route, column)

    def table(self) -> RequestTable:
        """Return the requests as a table."""
        return RequestTable(self._times, self._served, self._polls, self._failing)


def _sum(one: array[int], other: array[int]) -> array[int]:
    return array("q", map(add, one, other))


def _add(columns: dict[str, array[int]], name: str, column: array[int]) -> None:
    columns[name] = _sum(columns[name], column) if name in columns else column


def _request_table(stretches: Sequence[tuple[float | None, Mapping[Answer, int]]]) -> RequestTable:
    counts = _Counts([time for time, _ in stretches])
    answers = {answer for _, counted in stretches for answer in counted}
    for answer in sorted(answers):
        counts.add(answer, array("q", [counted.get(answer, 0) for _, counted in stretches]))
    return counts.table()
