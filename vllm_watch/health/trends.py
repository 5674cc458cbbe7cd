"""Trends over a run as findings: slower as expected, too slow, dropped, not recovered (HEALTH §3).

Fed with samples in time order, once; what held at a moment is looked up, so that live, replay and
seeking agree. What is remembered per sample is a few numbers, what is computed per sample looks at
the busy minutes at both ends only, however long the run is.
"""

from __future__ import annotations

from collections.abc import Mapping

from vllm_watch.config import Settings
from vllm_watch.core.buckets import Keep
from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.core.records import FieldValue
from vllm_watch.core.run import Run
from vllm_watch.health.enginetrend import EngineTrend, TrendSpan
from vllm_watch.health.findings import Finding
from vllm_watch.health.longcontext import SlowDown
from vllm_watch.health.robust import erratic
from vllm_watch.health.trendwords import change_finding, slow_finding

__all__ = ["TrendMachine", "erratic", "slow_down", "trend_findings", "trend_history"]

_EXPLAINS = {
    "sudden-drop": ("slows-too-much", "slows-as-expected"),
    "no-recovery": ("slows-too-much", "slows-as-expected"),
}
"""Trends that explain others."""
REST_POINTS = 240
"""Figures that are kept of each engine when its run is over."""
_SETTLED_SECONDS = 600.0
"""So long after a moment all engines have told of it."""


class TrendMachine:
    """Trends of one run of one server."""

    def __init__(self, settings: Settings, keep: Keep | None = None) -> None:
        """Judge with `settings` ([trend], and [health] for holds); `keep` bounds what is kept."""
        self._keep = keep
        self._settings = settings
        self._engines: dict[int, EngineTrend] = {}

    def use(self, settings: Settings) -> None:
        """Judge engines that come from here on by other settings."""
        self._settings = settings

    def feed(
        self,
        engine: int,
        time: float,
        values: Mapping[str, float],
        config: Mapping[str, FieldValue],
    ) -> None:
        """Take the next sample of an engine; `config` is what the log told of it so far."""
        trend = self._engines.get(engine)
        if trend is None:
            trend = self._engines[engine] = EngineTrend(engine, self._settings, self._keep)
        trend.feed(time, values, config)

    def rest(self) -> None:
        """Keep fewer figures: the run is over."""
        for trend in self._engines.values():
            while len(trend.track) > REST_POINTS:
                trend.track.coarsen()

    def shift(self, seconds: float) -> None:
        """Move every trend in time."""
        for trend in self._engines.values():
            trend.shift(seconds)

    def spans(self, run: Run) -> list[TrendSpan]:
        """Return every trend of the run's engines, in the order in which they were certain."""
        if run.doubled:  # each line counts only its writer's requests: no trend can be told
            return []
        spans = [
            span
            for engine in run.engines
            if engine in self._engines
            for span in self._engines[engine].spans
        ]
        return sorted(spans, key=lambda span: span.fired)

    def slow_down(self, run: Run, time: float) -> dict[int, SlowDown]:
        """Return for each engine how much slower it is at `time` than in its first minutes."""
        known = (engine for engine in run.engines if engine in self._engines)
        return {} if run.doubled else {one: self._engines[one].slow_down(time) for one in known}

    def findings(self, run: Run, time: float) -> tuple[Finding, ...]:
        """Return the trends that hold at `time`, those left out that another one explains."""
        first: dict[str, TrendSpan] = {}
        for span in self.spans(run):
            if span.firing_at(time):
                known = first.get(span.id)
                if known is None or span.since < known.since:
                    first[span.id] = span
        hidden = {name for found in first for name in _EXPLAINS.get(found, ())}
        spans = (span for name, span in first.items() if name not in hidden)
        return tuple(self._finding(span, run, time) for span in spans)

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
        """Return the warnings up to `until` as they stood when they were certain.

        Those that another one explained at that moment are left out.
        """
        found = []
        for span in self.spans(run):
            if span.severity != "note" and span.fired <= until:
                shown = span.told
                if shown is None:
                    shown = tuple(f for f in self.findings(run, span.fired) if f.id == span.id)
                    if until - span.fired > _SETTLED_SECONDS:
                        span.told = shown
                found += [(span, one) for one in shown]
        return found

    def _finding(
        self, span: TrendSpan, run: Run, time: float, until: float | None = None
    ) -> Finding:
        trend = self._engines[span.engine]
        engine = span.engine if len(run.engines) > 1 and span.engine != ALL_ENGINES else None
        place = (span.id, span.since, until, engine)
        if until is not None and span.worst is not None:
            slow, row = span.worst
        else:
            slow, row = trend.figures(span, time)
        if span.id.startswith("slows"):
            return slow_finding(*place, slow, row)
        return change_finding(*place, row)


def _machine_of(run: Run, settings: Settings) -> TrendMachine:
    machine = TrendMachine(settings)
    for engine, series in run.series.items():
        for index, time in enumerate(series.times):
            machine.feed(engine, time, series.sample(index), run.config)
    return machine


def trend_findings(run: Run, settings: Settings, time: float) -> tuple[Finding, ...]:
    """Return the trends of a run that hold at `time`; walks through all its samples."""
    return _machine_of(run, settings).findings(run, time)


def trend_history(run: Run, settings: Settings, end: float) -> tuple[Finding, ...]:
    """Return every trend of a run up to `end`, the oldest first, with since and until."""
    return _machine_of(run, settings).history(run, end)


def slow_down(run: Run, settings: Settings, time: float) -> dict[int, SlowDown]:
    """Return for each engine how much slower it is at `time` than in its first minutes."""
    return _machine_of(run, settings).slow_down(run, time)
