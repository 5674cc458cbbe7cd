"""A series in columns: the value that each column of a chart shows."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from math import isfinite

from vllm_watch.core.hints import TYPE_CHECKING, NamedTuple
from vllm_watch.tui.charts.thin import Point, known

if TYPE_CHECKING:
    from collections.abc import Sequence


class Level(NamedTuple):
    """The value of a series in a column."""

    mean: float
    """Mean of its samples; between two samples, the interpolated value."""
    high: float
    """Its highest sample, so that a spike of one sample stays visible."""


def levels(
    times: Sequence[float],
    values: Sequence[float | None],
    window: tuple[float, float],
    columns: int,
    gap_s: float,
    weights: Sequence[float] | None = None,
) -> list[Level | None]:
    """Return the level of each of `columns` columns, None if unknown.

    Two samples further apart than `gap_s` are not joined: silence stays empty. `weights` are the
    numbers of samples behind each value.
    """
    start, end = window
    found: list[Level | None] = [None] * max(0, columns)
    count = min(len(times), len(values))
    if columns < 1 or not count or not (math.isfinite(end - start) and end > start):
        return found
    width = (end - start) / columns
    first = bisect_left(times, start, 0, count)
    last = bisect_right(times, end, first, count)
    before = _sample(times, values, first - 1, count)
    sums, highs, counts = [0.0] * columns, [-math.inf] * columns, [0.0] * columns
    filled = -2  # the column of the sample before
    for index in range(first, last):
        value = values[index]
        if value is None or not isfinite(value):
            before = None
            continue
        at = times[index]
        column = min(columns - 1, int((at - start) / width))
        if before is not None and column > filled + 1:  # a column lies between the two
            _join(found, before, (at, value), start, width, gap_s)
        before, filled = (at, value), column
        weight = 1.0 if weights is None else weights[index]
        sums[column] += weight * value
        counts[column] += weight
        if value > highs[column]:
            highs[column] = value
    _join(found, before, _sample(times, values, last, count), start, width, gap_s)
    for column, number in enumerate(counts):
        if number:
            found[column] = Level(sums[column] / number, highs[column])
    return found


def held(
    found: list[Level | None],
    times: Sequence[float],
    values: Sequence[float | None],
    end: float,
    hold_s: float,
) -> list[Level | None]:
    """Return levels up to `end`: the newest sample's value holds until then, for `hold_s`."""
    count = min(len(times), len(values))
    newest = _sample(times, values, bisect_right(times, end, 0, count) - 1, count)
    if newest is None or not found or end - newest[0] > hold_s:
        return found
    known = len(found)
    while known and found[known - 1] is None:
        known -= 1
    return found[:known] + [Level(newest[1], newest[1])] * (len(found) - known)


def _sample(
    times: Sequence[float], values: Sequence[float | None], index: int, count: int
) -> Point | None:
    value = known(values[index]) if 0 <= index < count else None
    return None if value is None else (times[index], value)


def _join(
    found: list[Level | None],
    one: Point | None,
    other: Point | None,
    start: float,
    width: float,
    gap_s: float,
) -> None:
    """Fill the columns between two samples with interpolated values."""
    if one is None or other is None or not 0 < other[0] - one[0] <= gap_s:
        return
    low = max(0, math.ceil((one[0] - start) / width - 0.5))
    high = min(len(found) - 1, math.floor((other[0] - start) / width - 0.5))
    slope = (other[1] - one[1]) / (other[0] - one[0])
    for column in range(low, high + 1):
        value = one[1] + slope * (start + (column + 0.5) * width - one[0])
        found[column] = Level(value, value)
