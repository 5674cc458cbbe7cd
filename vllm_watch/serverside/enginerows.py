"""Makes the rows of a recording from successive readings of the `/metrics` page."""

from __future__ import annotations

from vllm_watch.core.recorded import TOTALS, EngineRow
from vllm_watch.serverside.histogram import growth, is_histogram, latency_of
from vllm_watch.serverside.metricspage import EnginePage, Page


class EngineRows:
    """Makes rows of pages; latencies are those of the interval since the page before."""

    def __init__(self) -> None:
        self._before: dict[int, EnginePage] = {}
        self._from_start = False

    def absent(self) -> None:
        """Note that there was no server: all counts of the next page are new."""
        self._before = {}
        self._from_start = True

    def rows(self, page: Page, time: float) -> list[EngineRow]:
        """Return a row for each engine of a page that was fetched at `time` (epoch seconds).

        A server that was running before the first look has latencies from the second one on.
        """
        rows = [self._row(number, engine, time) for number, engine in sorted(page.engines.items())]
        self._before = page.engines
        self._from_start = False
        return rows

    def _row(self, number: int, now: EnginePage, time: float) -> EngineRow:
        before = self._before.get(number)
        totals = {name: round(now.counters[name]) for name in TOTALS if name in now.counters}
        restarted = before is not None and _restarted(now, before)
        empty = self._from_start or restarted
        latencies = {}
        for name, histogram in now.histograms.items():
            known = before.histograms.get(name) if before is not None and not restarted else None
            if is_histogram(histogram.buckets) and (known is not None or empty):
                latencies[name] = latency_of(growth(histogram, known))
        running, waiting = now.gauges.get("running"), now.gauges.get("waiting")
        return EngineRow(
            time,
            number,
            None if running is None else round(running),
            None if waiting is None else round(waiting),
            now.gauges.get("kv_cache_usage"),
            totals,
            {reason: round(count) for reason, count in sorted(now.finished.items())},
            latencies,
        )


def _restarted(now: EnginePage, before: EnginePage) -> bool:
    """Return whether a counter fell: the server restarted between two pages."""
    fell = any(now.counters.get(name, 0.0) < value for name, value in before.counters.items())
    return fell or any(
        name in now.histograms and now.histograms[name].count < histogram.count
        for name, histogram in before.histograms.items()
    )
