"""Curves of what was recorded beside a log."""

from __future__ import annotations

from collections.abc import Iterator

from vllm_watch.core.recordings import Table
from vllm_watch.core.store import Server
from vllm_watch.tui.charts import Line

_GAP_SECONDS = 45.0
"""Rows further apart than this are not connected: the recorder looks every ten seconds."""


def recorded_line(
    server: Server,
    engine: int | None,
    value: str,
    window: tuple[float, float],
    *,
    name: str,
    role: str,
    marker: str,
) -> Line | None:
    """Return a recorded latency in milliseconds over a window, None where none is recorded.

    `value` is its name, such as `itl_s_p95`. Of several engines it is their mean, each weighed by
    its measurements: about, as percentiles of several are.
    """
    tables = server.recording.latencies
    known = {number: table for number, table in tables.items() if engine in (None, number)}
    points = sorted(point for table in known.values() for point in _points(table, value, window))
    if not points:
        return None
    times: list[float] = []
    sums: list[tuple[float, float]] = []
    apart = 1.0 if len(known) > 1 else 0.0
    for time, seconds, count in points:
        if times and time - times[-1] <= apart:
            total, weight = sums[-1]
            sums[-1] = total + seconds * count, weight + count
        else:
            times.append(time)
            sums.append((seconds * count, count))
    values = [total / weight * 1000 for total, weight in sums]
    return Line(name, times, values, role, marker, _GAP_SECONDS)


def _points(
    table: Table, value: str, window: tuple[float, float]
) -> Iterator[tuple[float, float, float]]:
    """Yield time, seconds and measurements of the rows in a window that have a value."""
    count = f"{value.rpartition('_')[0]}_count"
    for index in range(*table.span(*window)):
        seconds, measured = table.value(value, index), table.value(count, index)
        if seconds is not None and measured:
            yield table.times[index], seconds, measured
