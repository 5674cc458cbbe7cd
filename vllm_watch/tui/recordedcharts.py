"""Curves of values recorded beside a log."""

from __future__ import annotations

from vllm_watch.core.recordings import ROWS_APART, latency_curve
from vllm_watch.core.store import Server
from vllm_watch.tui.charts import Line


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
    """Return a recorded latency in milliseconds over a window, None if not recorded.

    `value` is its name, such as `itl_s_p95`.
    """
    tables = server.recording.latencies
    known = [table for number, table in tables.items() if engine in (None, number)]
    points = latency_curve(known, value, window)
    if not points:
        return None
    times, seconds = zip(*points, strict=True)
    return Line(name, times, [each * 1000 for each in seconds], role, marker, ROWS_APART)
