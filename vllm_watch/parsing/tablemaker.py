"""Rows of known lines gathered into tables."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence

from vllm_watch.core.records import Item, RequestTable, SampleTable
from vllm_watch.parsing.access import Answer
from vllm_watch.parsing.shapes import Shape

Row = tuple[bytes, ...]


class TableMaker:
    """Gathers stats lines, companion lines and requests until they are taken as tables."""

    def __init__(self) -> None:
        """Start empty."""
        self._times: list[float] = []
        self._lines: list[tuple[Shape, Row]] = []
        self._added: list[tuple[int, Shape, Row]] = []
        """Companion lines, each with the number of the stats line that it completes."""
        self._requests: list[tuple[float | None, Mapping[Answer, int]]] = []

    def add(self, time: float, line: tuple[Shape, Row]) -> None:
        """Take in a stats line."""
        self._times.append(time)
        self._lines.append(line)

    def amend(self, shape: Shape, row: Row) -> bool:
        """Complete the newest stats line by a companion line, if it is its own."""
        if not self._lines or (shape.named and shape.engine_of(row) != self._newest_engine()):
            return False
        self._added.append((len(self._lines) - 1, shape, row))
        return True

    def count(self, time: float | None, counts: Mapping[Answer, int]) -> None:
        """Take in the requests of one stretch."""
        self._requests.append((time, counts))

    def take(self) -> list[Item]:
        """Return what was gathered, and start again."""
        items: list[Item] = []
        if self._requests:
            items.append(_request_table(self._requests))
        if self._times:
            items.append(self._sample_table())
        self._times, self._lines, self._added, self._requests = [], [], [], []
        return items

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


def _request_table(stretches: Sequence[tuple[float | None, Mapping[Answer, int]]]) -> RequestTable:
    size = len(stretches)
    none = array("q", [0])
    served: dict[str, array[int]] = {}
    failing: dict[str, array[int]] = {}
    others = {"polls": none * size, "other": none * size}
    for at, (_, counts) in enumerate(stretches):
        for answer, number in counts.items():
            if answer.what == "served":
                served.setdefault(answer.status, none * size)[at] += number
                if answer.failing:
                    failing.setdefault(answer.route, none * size)[at] += number
            else:
                others[answer.what][at] += number
    times = array("d", (math.nan if time is None else time for time, _ in stretches))
    return RequestTable(times, served, others["polls"], others["other"], failing)
