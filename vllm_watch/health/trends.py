"""Trends over a run as findings: slower as expected, too slow, dropped, not recovered (HEALTH §3).

Fed with samples in time order, once; what held at a moment is looked up, so that live, replay and
seeking agree. What is remembered per sample is a few numbers, what is computed per sample looks at
the busy minutes at both ends only, however long the run is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from vllm_watch.config import Settings
from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.core.records import FieldValue
from vllm_watch.core.run import Run
from vllm_watch.core.series import DEFAULT_CADENCE, Series, median_distance
from vllm_watch.core.tokens import SILENCE_CADENCES
from vllm_watch.health.faults import Change, NoRecovery, SuddenDrop
from vllm_watch.health.findings import Finding
from vllm_watch.health.longcontext import (
    Busy,
    Minutes,
    SlowDown,
    context_per_request,
    judged,
    minutes_of,
)
from vllm_watch.health.robust import erratic
from vllm_watch.health.trendwords import change_finding, slow_finding

__all__ = ["TrendMachine", "erratic", "slow_down", "trend_findings", "trend_history"]

MOST_SPANS = 1_000
"""Trends kept per engine."""
_EXPLAINS = {
    "sudden-drop": ("slows-too-much", "slows-as-expected"),
    "no-recovery": ("slows-too-much", "slows-as-expected"),
}
"""Trends that explain others."""
_CADENCE_OF = 64


@dataclass(slots=True)
class TrendSpan:
    """One trend's life."""

    id: str
    engine: int
    since: float
    """First sample of it."""
    fired: float
    """The sample at which it was certain."""
    until: float | None = None
    """The sample at which it was over, None while it lasts."""

    def firing_at(self, time: float) -> bool:
        """Tell whether it holds at `time`."""
        return self.fired <= time and (self.until is None or time < self.until)


class EngineTrend:
    """Trends of one engine in one run."""

    def __init__(self, engine: int, settings: Settings) -> None:
        """Judge with `settings`."""
        self.engine = engine
        self.spans: list[TrendSpan] = []
        self.track = Series()
        """What was computed at each sample: the figures behind `slow_down` and the faults."""
        self._settings = settings
        self._times: deque[float] = deque(maxlen=_CADENCE_OF)
        self._cadence = DEFAULT_CADENCE
        self._fed = 0
        self._first: list[Busy] = []
        self._last: deque[Busy] = deque()
        self._covered = 0.0
        self._first_minutes: Minutes | None = None
        self._busy = 0
        self._open: dict[str, TrendSpan] = {}
        self._held: dict[str, list[float]] = {}
        self._clear: dict[str, int] = {}
        self._drop = SuddenDrop(settings.health, settings.trend)
        self._recovery = NoRecovery(settings.health, settings.trend)

    def feed(
        self, time: float, values: Mapping[str, float], config: Mapping[str, FieldValue]
    ) -> None:
        """Take the next sample; one out of order in time tells nothing of a trend."""
        if self._times and time < self._times[-1]:
            return
        sample = self._busy_sample(time, values)
        self._times.append(time)
        self._drop.feed(sample, self._last)
        if sample is not None:
            self._take(sample)
        last = self._last_minutes() if sample is not None else None
        slow = self._slow_down(last, values, config) if sample is not None else None
        # What a drop left is not learnt as usual.
        full = self._covered >= self._needed and self._drop.active is None
        self._recovery.feed(sample, self._last, full=full)
        self._note(time, slow, last, values)
        self._step_slow(time, slow)
        self._step_change("sudden-drop", time, self._drop.active)
        self._step_change("no-recovery", time, self._recovery.active)

    def shift(self, seconds: float) -> None:
        """Move everything: the zone of the log turned out to be another."""
        self.track.shift(seconds)
        self._times = deque((time + seconds for time in self._times), maxlen=_CADENCE_OF)
        for span in self.spans:
            span.since += seconds
            span.fired += seconds
            span.until = None if span.until is None else span.until + seconds
        self._held = {
            name: [time + seconds for time in times] for name, times in self._held.items()
        }
        self._drop.shift(seconds)
        self._recovery.shift(seconds)

    def slow_down(self, time: float) -> SlowDown:
        """Return how much slower the run is at `time` than in its first minutes."""
        at = self.track.index_at(time)
        if at is None:
            return judged(None, None, None, self._settings.trend)
        row = self.track.sample(at)
        first = _minutes(row, "first")
        last = _minutes(row, "last")
        context = row.get("context")
        return judged(first, last, context, self._settings.trend, shared=bool(row.get("shared")))

    # --- one sample ---------------------------------------------------------------------------

    @property
    def _needed(self) -> float:
        """Seconds of busy minutes, half a line less: intervals are never quite a whole number."""
        return self._settings.trend.busy_minutes * 60 - self._cadence / 2

    def _busy_sample(self, time: float, values: Mapping[str, float]) -> Busy | None:
        distance = time - self._times[-1] if self._times else None
        if self._fed < 16 or self._fed % 8 == 0:
            self._cadence = median_distance([*self._times, time])
        self._fed += 1
        if distance is None or distance > SILENCE_CADENCES * self._cadence:
            distance = self._cadence
        running, rate = values.get("running"), values.get("generation_tps")
        if not running or rate is None:
            return None
        fill = values.get("kv_cache_usage")
        return Busy(
            time,
            distance,
            rate,
            running,
            running + values.get("waiting", 0.0),
            values.get("prompt_tps", 0.0),
            None if fill is None else fill / running,
        )

    def _take(self, sample: Busy) -> None:
        """Put a busy sample into the first minutes, until they are whole, and the last ones."""
        self._busy += 1
        if self._first_minutes is None:
            self._first.append(sample)
            if sum(one.covers for one in self._first) >= self._needed:
                self._first_minutes = minutes_of(self._first)
        self._last.append(sample)
        self._covered += sample.covers
        while self._covered - self._last[0].covers >= self._needed:
            self._covered -= self._last.popleft().covers

    def _last_minutes(self) -> Minutes | None:
        """Return the last busy minutes, None while they overlap with the first."""
        apart = self._busy - len(self._last) >= len(self._first)
        return minutes_of(self._last) if self._first_minutes is not None and apart else None

    def _slow_down(
        self,
        last: Minutes | None,
        values: Mapping[str, float],
        config: Mapping[str, FieldValue],
    ) -> SlowDown:
        context = context_per_request(
            values.get("kv_cache_usage"),
            _cache_tokens(config, self.engine),
            values.get("running"),
        )
        return judged(
            self._first_minutes,
            last,
            context,
            self._settings.trend,
            shared=self._shared(values),
        )

    def _shared(self, values: Mapping[str, float]) -> bool:
        hits = values.get("prefix_cache_hit_rate")
        return hits is not None and hits >= self._settings.health.prefix_cache_excellent

    def _note(
        self,
        time: float,
        slow: SlowDown | None,
        last: Minutes | None,
        values: Mapping[str, float],
    ) -> None:
        """Remember the figures of this sample."""
        row: dict[str, float] = {}
        first = self._first_minutes
        if first is not None and last is not None:
            row |= _row(first, "first") | _row(last, "last")
        if slow is not None and slow.context is not None:
            row["context"] = slow.context
        if self._shared(values):
            row["shared"] = 1.0
        for name, change in (("drop", self._drop.active), ("recovery", self._recovery.active)):
            if change is not None:
                row |= {
                    f"{name}_before": change.before.rate,
                    f"{name}_ran": change.before.running,
                    f"{name}_now": change.now,
                    f"{name}_runs": change.running,
                }
        self.track.append(time, row)

    # --- spans --------------------------------------------------------------------------------

    def _step_slow(self, time: float, slow: SlowDown | None) -> None:
        """Begin and end the two trends of a slow run, as alerts do (HEALTH §1)."""
        verdict = None
        if slow is not None and slow.fall is not None:
            seen = slow.fall > self._settings.trend.fall_to_4k or slow.verdict == "faulty"
            verdict = slow.verdict if seen else None
        hold = self._settings.health.hold_samples
        idle = slow is None
        # A mean over minutes is no single sample: the note needs no hold, the warning has one.
        self._hold("slows-as-expected", time, past=verdict == "expected", needed=1, idle=idle)
        self._hold("slows-too-much", time, past=verdict == "faulty", needed=hold, idle=idle)

    def _hold(self, name: str, time: float, *, past: bool, needed: int, idle: bool) -> None:
        held = self._held.setdefault(name, [])
        if name in self._open:
            self._clear[name] = 0 if past else self._clear.get(name, 0) + 1
            if idle or self._clear[name] >= self._settings.health.clear_samples:
                self._end(name, time)
                held.clear()
            return
        if not past:
            held.clear()
            return
        held.append(time)
        if len(held) >= needed:
            self._begin(name, held[0], time)

    def _step_change(self, name: str, time: float, change: Change | None) -> None:
        if change is not None and name not in self._open:
            self._begin(name, change.since, time)
        elif change is None and name in self._open:
            self._end(name, time)

    def _begin(self, name: str, since: float, time: float) -> None:
        span = TrendSpan(name, self.engine, since, time)
        self._open[name] = span
        self._clear[name] = 0
        self.spans.append(span)
        del self.spans[:-MOST_SPANS]

    def _end(self, name: str, time: float) -> None:
        span = self._open.pop(name)
        span.until = max(time, span.fired)


class TrendMachine:
    """Trends of one run of one server."""

    def __init__(self, settings: Settings) -> None:
        """Judge with `settings` ([trend], and [health] for holds)."""
        self._settings = settings
        self._engines: dict[int, EngineTrend] = {}

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
            trend = self._engines[engine] = EngineTrend(engine, self._settings)
        trend.feed(time, values, config)

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

    def _finding(
        self, span: TrendSpan, run: Run, time: float, until: float | None = None
    ) -> Finding:
        trend = self._engines[span.engine]
        engine = span.engine if len(run.engines) > 1 and span.engine != ALL_ENGINES else None
        place = (span.id, span.since, until, engine)
        # At its end a trend holds no more: its figures are those of the sample before.
        at = trend.track.index_at(time)
        if until is not None and at is not None and trend.track.times[at] >= until and at > 0:
            at -= 1
        row = trend.track.sample(at) if at is not None else {}
        if span.id.startswith("slows"):
            return slow_finding(*place, trend.slow_down(trend.track.times[at or 0]), row)
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


def _cache_tokens(config: Mapping[str, FieldValue], engine: int) -> float | None:
    """Return the KV cache tokens behind a line: those of every engine for an aggregated one."""
    tokens = config.get("kv_cache_tokens")
    if not isinstance(tokens, int) or isinstance(tokens, bool):
        return None
    engines = config.get("data_parallel_size") if engine == ALL_ENGINES else 1
    return float(tokens) * (engines if isinstance(engines, int) and engines > 0 else 1)


def _row(minutes: Minutes, name: str) -> dict[str, float]:
    return {
        f"{name}_rate": minutes.per_request,
        f"{name}_running": minutes.running,
        f"{name}_usual": minutes.usual,
    }


def _minutes(row: Mapping[str, float], name: str) -> Minutes | None:
    figures = [row.get(f"{name}_{part}") for part in ("rate", "running", "usual")]
    if None in figures:
        return None
    rate, running, middle = (figure or 0.0 for figure in figures)
    return Minutes(rate, running, middle)
