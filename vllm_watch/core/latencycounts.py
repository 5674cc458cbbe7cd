"""The number of measurements behind a latency line, derived from its stats line."""

from __future__ import annotations

from vllm_watch.core.dataclass import replace
from vllm_watch.core.recorded import EngineRow, Latency
from vllm_watch.core.recordings import ROWS_APART
from vllm_watch.core.series import DEFAULT_CADENCE, Series

_STAMP = 2.0
"""Most seconds between a stats line and its latency line."""


def with_counts(row: EngineRow, series: Series | None) -> EngineRow:
    """Return a latency line's row, its latencies weighted by the requests of its stats line.

    First tokens are counted for the requests that ended, and for those that run now but did not
    before. The time between tokens is measured once for each of the other requests. Without these
    weights, an interval in which thirty requests began and none ended would weigh as much as one
    with a single request.
    """
    index = None if series is None else series.index_at(row.time)
    if series is None or index is None or row.time - series.times[index] > _STAMP:
        return row
    gap = series.times[index] - series.times[index - 1] if index else None
    known = gap is not None and gap <= ROWS_APART
    running = series.value("running", index) or 0.0
    before = (series.value("running", index - 1) or 0.0) if known else 0.0
    ended = max((latency.count for latency in row.latencies.values()), default=0)
    if ended == 1 and "request_s" not in row.latencies:
        ended = 0  # a recording has 1 where no request finished
    begun = max(1.0, ended + running - before)
    seconds = gap if gap is not None and known else DEFAULT_CADENCE
    tokens = (series.value("generation_tps", index) or 0.0) * seconds
    counts = {"ttft_s": begun, "itl_s": tokens - begun}
    latencies = {
        name: _weighed(latency, counts.get(name)) for name, latency in row.latencies.items()
    }
    return replace(row, latencies=latencies)


def _weighed(latency: Latency, count: float | None) -> Latency:
    return latency if count is None else replace(latency, count=max(1, round(count)))
