"""The alert machine: ok, pending, firing, resolved, in log time, over the whole timeline.

Fed with samples in time order, once. What was firing at a moment is looked up, not recomputed:
replay and live show the same alerts, and seeking back is free.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from vllm_watch.config import HealthSettings
from vllm_watch.health.rules import Rule, RuleBook, Test
from vllm_watch.health.signals import Signals

MOST_SPANS = 1_000
"""Alerts kept per rule and engine."""


@dataclass(slots=True)
class Span:
    """One alert's life."""

    rule: Rule
    engine: int
    since: float
    """First sample past the level."""
    fired: float
    """The sample at which the hold was over."""
    until: float | None = None
    """The sample at which it resolved, None while it fires."""

    def firing_at(self, time: float) -> bool:
        """Tell whether it fires at `time`."""
        return self.fired <= time and (self.until is None or time < self.until)


@dataclass(slots=True)
class _Watch:
    """One rule on one engine."""

    rule: Rule
    needed: int
    of: int
    recent: deque[tuple[float, bool]]
    clear_run: int = 0
    firing: Span | None = None


@dataclass(slots=True)
class EngineAlerts:
    """All rules on one engine of one run."""

    engine: int
    signals: Signals
    watches: list[_Watch]
    spans: list[Span] = field(default_factory=list)


class AlertMachine:
    """Alerts of one run of one server."""

    def __init__(self, book: RuleBook, settings: HealthSettings) -> None:
        """Judge by `book`, with the levels of `settings`."""
        self._book = book
        self._settings = settings
        self._engines: dict[int, EngineAlerts] = {}

    def feed(self, engine: int, time: float, values: Mapping[str, float]) -> None:
        """Take the next sample of an engine."""
        alerts = self._engines.get(engine)
        if alerts is None:
            alerts = self._engines[engine] = self._new_engine(engine)
        signals = alerts.signals.feed(values)
        idle = signals.get("work") == 0
        for watch in alerts.watches:
            self._step(alerts, watch, time, signals, idle=idle)

    def spans(self) -> list[Span]:
        """Return every alert of the run, in the order in which they fired."""
        every = [span for alerts in self._engines.values() for span in alerts.spans]
        return sorted(every, key=lambda span: span.fired)

    def firing(self, time: float) -> list[Span]:
        """Return the alerts that fire at `time`."""
        return [
            span
            for alerts in self._engines.values()
            for span in alerts.spans
            if span.firing_at(time)
        ]

    def shift(self, seconds: float) -> None:
        """Move every alert in time: the zone of the log turned out to be another."""
        for alerts in self._engines.values():
            for watch in alerts.watches:
                moved = ((time + seconds, past) for time, past in watch.recent)
                watch.recent = deque(moved, maxlen=watch.of)
            for span in alerts.spans:
                span.since += seconds
                span.fired += seconds
                span.until = None if span.until is None else span.until + seconds

    def _new_engine(self, engine: int) -> EngineAlerts:
        settings = self._settings
        watches = []
        for rule in self._book.rules:
            needed, of = (int(getattr(settings, name)) for name in rule.hold)
            watches.append(_Watch(rule, needed, of, deque(maxlen=of)))
        return EngineAlerts(engine, Signals(settings.prompt_flow_lines), watches)

    def _step(
        self,
        alerts: EngineAlerts,
        watch: _Watch,
        time: float,
        signals: Mapping[str, float],
        *,
        idle: bool,
    ) -> None:
        if watch.firing is not None:
            cleared = self._holds(watch.rule.clear, signals, unknown=True)
            cleared = cleared or self._unknown(watch.rule, signals)
            watch.clear_run = watch.clear_run + 1 if cleared else 0
            if idle or watch.clear_run >= self._settings.clear_samples:
                watch.firing.until = max(time, watch.firing.fired)
                watch.firing = None
                watch.recent.clear()
            return
        past = not idle and self._holds(watch.rule.when, signals, unknown=False)
        watch.recent.append((time, past))
        hits = [at for at, hit in watch.recent if hit]
        if past and len(hits) >= watch.needed:
            # A clock that goes back does not turn an alert round.
            watch.firing = Span(watch.rule, alerts.engine, min(hits), time)
            watch.clear_run = 0
            alerts.spans.append(watch.firing)
            del alerts.spans[:-MOST_SPANS]

    def _unknown(self, rule: Rule, signals: Mapping[str, float]) -> bool:
        """Tell whether a rule that needs prompts to flow has none to judge by (HEALTH §1)."""
        return any(
            test.signal == "prompt_flow" and not self._holds((test,), signals, unknown=False)
            for test in rule.when
        )

    def _holds(
        self, tests: tuple[Test, ...], signals: Mapping[str, float], *, unknown: bool
    ) -> bool:
        for test in tests:
            value = signals.get(test.signal)
            if value is None:
                return unknown
            level, margin = self._number(test.level), self._number(test.margin)
            if test.comparison == "below" and not value < level - margin:
                return False
            if test.comparison == "above" and not value > level + margin:
                return False
            if test.comparison == "at_least" and not value >= level + margin:
                return False
        return True

    def _number(self, level: str | float) -> float:
        return float(getattr(self._settings, level)) if isinstance(level, str) else level
