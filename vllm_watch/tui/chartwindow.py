"""The time range of the charts: never more than half of it is empty."""

from __future__ import annotations

import math

from vllm_watch.core.startup import serving_at
from vllm_watch.core.store import Server
from vllm_watch.tui.timeline import FITTED, MARGIN

AFTER = 0.03
"""Share of a chart after the end of its server: the mark of the end is not at the rim."""
STARTUP_SHARE = 0.2
"""Largest share of the chart for a start-up; a longer one is left out."""


def server_window(
    server: Server, window: tuple[float, float], gone: float | None
) -> tuple[float, float]:
    """Return the part of a window, in epoch seconds, that has data.

    It begins at the server's first line, or a little before its first sample if the start-up took
    long. It ends where the server is `gone` (in the log's own clock), else at the window's end.
    """
    end = window[1] if gone is None else server.clock.ours(gone)
    if gone is not None and end < window[1]:
        length = window[1] - window[0]
        start, _ = _young(server, (end - length, end), exact=True)
        margin = AFTER * max(60.0, end - start)
        return max(start, end + margin - length), end + margin
    return _young(server, window)


def _young(
    server: Server, window: tuple[float, float], *, exact: bool = False
) -> tuple[float, float]:
    """Return a window without the time before a server's beginning; the right edge stays."""
    start, end = window
    first = server.runs[0].first_stamp
    samples = [
        series.times[0] for run in server.runs for series in run.series.values() if series.times
    ]
    sample = min(samples, default=math.inf)
    if first is None or sample < first:
        first = None if sample is math.inf else sample
    if first is None:
        return window
    ready = serving_at(server.runs[0])
    begin, worked = server.clock.ours(first), server.clock.ours(sample)
    if ready is not None and worked < end:
        late = sample - first > STARTUP_SHARE * (end - begin)
        begin = worked if late else begin
    if not start < begin < end:
        return window
    length = (end - begin) * MARGIN
    if not exact:
        length = next((span for span in FITTED if span >= length), end - start)
    return max(start, end - length), end
