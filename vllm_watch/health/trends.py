"""Trends over a run as findings: slower as expected, too slow, dropped, not recovered.

Spans are judged once (`enginetrend.py`); the figures of a moment are computed from the samples
around it on demand, so that live, replay and seeking agree.
"""

from __future__ import annotations

from collections.abc import Mapping

from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.core.percentiles import median
from vllm_watch.core.run import Run
from vllm_watch.core.series import DEFAULT_CADENCE, SILENCE_CADENCES, Series, median_distance
from vllm_watch.health.enginetrend import (
    CADENCE_EACH,
    CADENCE_OF,
    RECOVERY,
    EngineTrend,
    Figures,
    TrendSpan,
    busy_sample,
    change_figures,
)
from vllm_watch.health.finding import Finding
from vllm_watch.health.judgement import Judgement
from vllm_watch.health.slowdown import MOST_BUSY, Busy, SlowDown, minutes_of
from vllm_watch.health.throughputdrops import Change

_EXPLAINS = {
    "sudden-drop": ("slows-too-much", "slows-as-expected"),
    "no-recovery": ("slows-too-much", "slows-as-expected"),
}
"""Trends that explain others."""
_SETTLED_SECONDS = 600.0
"""Seconds after which all engines have written their line of a round."""


class Trends:
    """The trends of one run, as findings."""

    def __init__(self, judgement: Judgement) -> None:
        """Describe the trends that a judgement found."""
        self._judgement = judgement

    def spans(self, run: Run) -> list[TrendSpan]:
        """Return every trend of the run's engines, in the order in which they were certain."""
        spans = self._judgement.trend_spans(run.engines)
        if not spans or run.doubled:
            return []  # each line covers only the requests of its API server: trends are unknown
        return sorted(spans, key=lambda span: span.fired)

    def slow_down(self, run: Run, time: float) -> dict[int, SlowDown]:
        """Return for each engine how much slower it is at `time` than in its first minutes."""
        if run.doubled:
            return {}
        trends = ((one, self._judgement.trend(one)) for one in run.engines)
        return {one: self._slow(run, trend, time)[0] for one, trend in trends if trend is not None}

    def findings(self, run: Run, time: float, *, worded: bool = True) -> tuple[Finding, ...]:
        """Return the trends that hold at `time`, without those that another one explains.

        Without `worded`, they have only the fields they are ranked by.
        """
        first: dict[str, TrendSpan] = {}
        for span in self.spans(run):
            if span.firing_at(time):
                known = first.get(span.id)
                if known is None or span.since < known.since:
                    first[span.id] = span
        hidden = {name for found in first for name in _EXPLAINS.get(found, ())}
        spans = (span for name, span in first.items() if name not in hidden)
        return tuple(self._finding(span, run, time, worded=worded) for span in spans)

    def history(self, run: Run, end: float) -> tuple[Finding, ...]:
        """Return every trend of the run up to `end`, the oldest first, with since and until."""
        found = []
        for span in self.spans(run):
            if span.fired <= end:
                over = span.until is not None and span.until <= end
                last = span.until if over and span.until is not None else end
                found.append(self._finding(span, run, last, until=span.until if over else None))
        return tuple(found)

    def warnings(self, run: Run, until: float) -> list[tuple[TrendSpan, Finding]]:
        """Return the warnings up to `until` as they were when they became certain.

        Those that another one explained at that moment are left out.
        """
        return [
            (span, finding)
            for span in self.spans(run)
            if span.severity != "note" and span.fired <= until
            for finding in self._findings_of(span, run, until)
        ]

    def _findings_of(self, span: TrendSpan, run: Run, until: float) -> tuple[Finding, ...]:
        """Return the finding of a trend when it became certain, cached."""
        certain = self._judgement.certain_trends
        key = (span.id, span.engine, span.fired)
        if key in certain:
            return certain[key]
        shown = tuple(f for f in self.findings(run, span.fired) if f.id == span.id)
        if until - span.fired > _SETTLED_SECONDS:
            certain[key] = shown
        return shown

    def finding(self, run: Run, span: TrendSpan) -> Finding:
        """Return a trend as the finding that it was when it became certain."""
        return self._finding(span, run, span.fired)

    def _finding(
        self,
        span: TrendSpan,
        run: Run,
        time: float,
        until: float | None = None,
        *,
        worded: bool = True,
    ) -> Finding:
        from vllm_watch.health.trendfindings import change_finding, slow_finding

        engine = span.engine if len(run.engines) > 1 and span.engine != ALL_ENGINES else None
        place = (span.id, span.since, until, engine)
        slow: SlowDown
        row: Mapping[str, float]
        if not worded:
            slow, row = SlowDown("unknown", ""), {}
        elif until is not None and span.worst:
            slow, row = span.worst
        else:
            slow, row = self._at(span, run, time)
        if span.id.startswith("slows"):
            return slow_finding(*place, slow, row)
        return change_finding(*place, row)

    # --- figures of a moment ------------------------------------------------------------------

    def _at(self, span: TrendSpan, run: Run, time: float) -> Figures:
        """Return the figures of a trend that has not ended."""
        trend = self._judgement.trend(span.engine)
        assert trend is not None
        series = run.series[span.engine]
        if span.before is None:
            # The newest moment at which the numbers running were comparable: others show no fall.
            low, high = series.span(span.fired, time)
            moments = (series.times[at] for at in range(high - 1, low - 1, -1))
            slow = (self._slow(run, trend, moment) for moment in moments)
            known = next((figures for figures in slow if figures[0].fall is not None), None)
            return known or self._slow(run, trend, time)
        index = series.index_at(time)
        window = [] if index is None else _window(trend, series, index, recovery=True)
        if not window:
            return span.worst or (SlowDown("unknown", ""), {})
        if span.id == RECOVERY:
            rate = median(one.rate for one in window)
            running = median(one.running for one in window)
        else:  # the last sample of a drop may be the first one after it
            inside = [one for one in window if one.time >= span.fired] or window[-1:]
            lowest = min(inside, key=lambda one: one.rate)
            rate, running = lowest.rate, lowest.running
        return change_figures(Change(span.since, span.before, rate, running))

    def _slow(self, run: Run, trend: EngineTrend, time: float) -> Figures:
        series = run.series[trend.engine]
        index = series.index_at(time)
        if index is None:
            return trend.figures(None, {}, {})
        window = _window(trend, series, index)
        apart = window and trend.first_minutes and window[0].time > trend.first_end
        last = minutes_of(window) if apart else None
        values = series.row(index)
        return trend.figures(last, values, self._judgement.startup.at(series.times[index]))


def _window(
    trend: EngineTrend, series: Series, index: int, *, recovery: bool = False
) -> list[Busy]:
    """Return the last busy minutes at a sample, the oldest first; none at an idle one."""
    found: list[Busy] = []
    cadence = _cadence(series, index)
    needed, covered = trend.needed(cadence), 0.0
    for at in range(index, -1, -1):
        distance = series.times[at] - series.times[at - 1] if at else cadence
        silence = distance > SILENCE_CADENCES * cadence and at > series.thinned
        sample = busy_sample(series.times[at], cadence if silence else distance, series.row(at), 0)
        if sample is None:
            if at == index:
                return []
            continue
        if recovery and at == index:
            needed = trend.needed(sample.covers)
        found.append(sample)
        covered += sample.covers
        if covered >= needed or len(found) >= MOST_BUSY:
            break
    return found[::-1]


def _cadence(series: Series, index: int) -> float:
    """Return the cadence used for trends at a sample; for thinned samples the present one."""
    if index < series.thinned:
        return series.cadence
    number = series.folded + index - series.thinned
    if number >= 2 * CADENCE_EACH:
        index = max(series.thinned, index - number % CADENCE_EACH)
    times = series.times[max(series.thinned, index + 1 - CADENCE_OF) : index + 1]
    return median_distance(times) if len(times) > 1 else DEFAULT_CADENCE
