"""Thinning: no more than two points per column, gaps and unknown values as breaks."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Point = tuple[float, float]
Polyline = list[Point]
"""Points to be connected."""


def thin(
    times: Sequence[float],
    values: Sequence[float | None],
    start: float,
    end: float,
    columns: int,
    gap_s: float,
    *,
    hold_s: float = 0.0,
) -> list[Polyline]:
    """Return the points to draw between ``start`` and ``end`` in so many columns.

    Each column keeps its lowest and its highest value; a line that enters or leaves the window is
    cut at its edge. The newest value is drawn up to ``end`` if it holds until then,
    for ``hold_s``.
    """
    count = min(len(times), len(values))
    if columns < 1 or count == 0 or not (math.isfinite(end - start) and end > start):
        return []
    first = bisect_left(times, start, 0, count)
    last = bisect_right(times, end, first, count)
    inside = times[first:last]
    if not (math.isfinite(sum(inside)) or all(map(math.isfinite, inside))):
        kept = [
            (time, value) for time, value in zip(times, values, strict=False) if math.isfinite(time)
        ]
        ordered, chosen = [time for time, _ in kept], [value for _, value in kept]
        return thin(ordered, chosen, start, end, columns, gap_s, hold_s=hold_s)
    polylines: list[Polyline] = [_edge(times, values, first, start, gap_s)]
    previous = times[first - 1] if first else -math.inf
    for low, high in _columns(times, first, last, start, end, columns):
        if times[low] - previous > gap_s:
            polylines.append([])
        _add_column(polylines, times, values, low, high)
        previous = times[high - 1]
    polylines[-1] += _edge(times, values, last, end, gap_s)
    column = (end - start) / columns
    if last == count and polylines[-1] and column < end - polylines[-1][-1][0] <= hold_s:
        polylines[-1].append((end, polylines[-1][-1][1]))
    return [polyline for polyline in polylines if polyline]


def nearest(
    line_times: Sequence[float], values: Sequence[float | None], time: float, within_s: float
) -> Point | None:
    """Return the known sample closest to ``time``, at most ``within_s`` away."""
    count = min(len(line_times), len(values))
    split = bisect_left(line_times, time, 0, count)
    best: Point | None = None
    for index in (split - 1, split):
        if 0 <= index < count:
            value = known(values[index])
            distance = abs(line_times[index] - time)
            closer = best is None or distance < abs(best[0] - time)
            if value is not None and distance <= within_s and closer:
                best = (line_times[index], value)
    return best


def newest(
    times: Sequence[float], values: Sequence[float | None], start: float, end: float
) -> Point | None:
    """Return the last known sample of the window."""
    index = bisect_right(times, end, 0, min(len(times), len(values))) - 1
    while index >= 0 and times[index] >= start:
        value = known(values[index])
        if value is not None:
            return times[index], value
        index -= 1
    return None


def known(value: float | None) -> float | None:
    """Return a value that can be drawn, or ``None``."""
    return float(value) if value is not None and math.isfinite(value) else None


def _columns(
    times: Sequence[float], first: int, last: int, start: float, end: float, columns: int
) -> Iterator[tuple[int, int]]:
    """Yield the index ranges of the columns that hold samples."""
    low = first
    while low < last:
        column = int((times[low] - start) / (end - start) * columns)
        edge = start + (column + 1) * (end - start) / columns
        high = max(low + 1, bisect_left(times, edge, low, last))
        if column >= columns - 1:
            high = last
        yield low, high
        low = high


def _add_column(
    polylines: list[Polyline],
    times: Sequence[float],
    values: Sequence[float | None],
    low: int,
    high: int,
) -> None:
    """Append a column's extremes to the last run, beginning a new run at each unknown value."""
    chunk = values[low:high]
    if _all_known(chunk):
        polylines[-1] += _extremes(times, chunk, low)
        return
    points = [(times[low + index], known(raw)) for index, raw in enumerate(chunk)]
    numbers = [value for _, value in points if value is not None]
    wanted = {min(numbers), max(numbers)} if numbers else set()
    for time, value in points:
        if value is None:
            if polylines[-1]:
                polylines.append([])
        elif value in wanted:
            wanted.remove(value)
            polylines[-1].append((time, value))


def _all_known(chunk: Sequence[float | None]) -> bool:
    """Return whether all values are finite numbers, as fast as ``sum``."""
    try:
        return math.isfinite(sum(chunk))  # type: ignore[arg-type]
    except TypeError:
        return False


def _extremes(times: Sequence[float], chunk: Sequence[float | None], low: int) -> Polyline:
    numbers = [value for value in chunk if value is not None]
    indexes = {0, len(numbers) - 1}
    if len(numbers) > 2:
        indexes = {numbers.index(min(numbers)), numbers.index(max(numbers))}
    return [(times[low + index], float(numbers[index])) for index in sorted(indexes)]


def _edge(
    times: Sequence[float],
    values: Sequence[float | None],
    index: int,
    time: float,
    gap_s: float,
) -> Polyline:
    """Return where the line from sample ``index - 1`` to ``index`` crosses ``time``, if it does."""
    if not 0 < index < min(len(times), len(values)):
        return []
    left, right = known(values[index - 1]), known(values[index])
    span = times[index] - times[index - 1]
    if left is None or right is None or not 0 < span <= gap_s:
        return []
    return [(time, left + (right - left) * (time - times[index - 1]) / span)]
