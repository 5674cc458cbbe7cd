"""How much time the charts show: a young server's curves need not wait at the edge of a window."""

from __future__ import annotations

from vllm_watch.core.store import Server

_MINUTES = (2, 2.5, 3, 3.5, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60)
SPANS_S = (30.0, 60.0, 80.0, *(60.0 * minutes for minutes in _MINUTES))
"""Widths that a fitted window grows through: few, so that a curve moves steadily between them,
and close together, so that it always fills most of the chart."""
MARGIN = 1.03
"""A curve begins so much to the right of the left edge."""


def fitted_window(server: Server, window: tuple[float, float]) -> tuple[float, float]:
    """Return the part of a window, in epoch seconds, from a little before the first sample on.

    The right edge stays. All of the window is returned if there are samples before it, or none.
    """
    start, end = window
    firsts = [
        series.times[0] + server.skew
        for run in server.runs
        for series in run.series.values()
        if series.times
    ]
    first = min(firsts, default=start)
    if not start < first < end:
        return window
    span = next((span for span in SPANS_S if span >= (end - first) * MARGIN), end - start)
    return max(start, end - span), end
