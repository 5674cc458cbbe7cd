"""The alert machine: ok, pending, firing, resolved, in log time, over the whole timeline.

Fed with samples in time order, once. What was firing at a moment is looked up, not recomputed:
replay and live show the same alerts, and seeking back is free.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from vllm_watch.config import AdviceSettings, HealthSettings
from vllm_watch.health.levels import holds, level_of
from vllm_watch.health.rules import Rule, RuleBook, Test
from vllm_watch.health.signals import ServerSignals, Signals

Ending = Literal["cleared", "few prompts", "idle"]
"""Why an alert ended: its level was left, there was nothing to judge it by, or no work at all."""
MOST_SPANS = 1_000
"""Alerts kept per engine; of more, the oldest go."""
REST_SPANS = 100
"""Alerts kept per engine when its run is over."""
WHOLE_SERVER = -2
"""Stands for an engine in alerts about a whole server."""


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
    ending: Ending = "cleared"
    """Why it resolved, once it has."""
    times: int = 1
    """How often it has fired without a longer pause, this one included: flapping."""
    begun: float | None = None
    """`since` of the first of those, None: of its own."""
    returned: float | None = None
    """When it fired again as another span without a longer pause, None: it did not."""
    figures: Mapping[str, float] | None = None
    """The values of the moment at which it fired: its sample is thinned one day."""
    ran: tuple[float, ...] = ()
    """And the running requests of each engine."""
    raised: float | None = None
    """The first sample at which a test of the rule's `raised_when` held, None: at none."""

    def firing_at(self, time: float) -> bool:
        """Tell whether it fires at `time`."""
        return self.fired <= time and (self.until is None or time < self.until)


class Streak(NamedTuple):
    """Samples in a row that are past a level, without a longer pause between two of them."""

    begin: float
    newest: float


@dataclass(slots=True)
class _Watch:
    """One rule on one engine, or on the whole server."""

    rule: Rule
    needed: int
    of: int
    recent: deque[tuple[float, bool]]
    seconds: float = 0.0
    """For how long samples must be past the level in a row."""
    clear_run: int = 0
    firing: Span | None = None
    streak: Streak | None = None
    """Samples past the level in a row, where their time counts."""

    def past_for(self, time: float, *, past: bool) -> bool:
        """Take notice of a sample; tell whether those in a row cover enough time."""
        if not self.seconds:
            return True
        before = self.streak
        apart = before is None or time - before.newest > self.seconds / 2
        begin = time if before is None or apart else before.begin
        self.streak = Streak(begin, time) if past else None
        return past and time - begin >= self.seconds


@dataclass(slots=True)
class EngineAlerts:
    """All rules on one engine of one run."""

    engine: int
    watches: list[_Watch]
    spans: list[Span] = field(default_factory=list)


class AlertMachine:
    """Alerts of one run of one server."""

    def __init__(
        self, book: RuleBook, settings: HealthSettings, advice: AdviceSettings | None = None
    ) -> None:
        """Judge by `book`, with the levels of `settings` (and of `advice`)."""
        self._book = book
        self._settings = settings
        self._advice = advice or AdviceSettings()
        self._engines: dict[int | tuple[str, int], EngineAlerts] = {}
        self._signals: dict[int, Signals] = {}
        self._server_signals = ServerSignals(settings)
        self._facts: Mapping[str, float] = {}
        self._silent: dict[int, Span] = {}
        self._fresh: list[Span] = []

    def use(self, settings: HealthSettings, advice: AdviceSettings) -> None:
        """Judge further samples with other levels: this model or server has its own."""
        self._settings, self._advice = settings, advice

    def tell(self, time: float | None, facts: Mapping[str, float]) -> None:
        """Take notice of what the start-up told up to `time` (stamped or not)."""
        if facts == self._facts:
            return
        self._facts = facts
        if time is not None:
            self._step_all(self._alerts_of(WHOLE_SERVER), time, facts, idle=False)

    def feed(self, engine: int, time: float, values: Mapping[str, float]) -> None:
        """Take the next sample of an engine."""
        signals = self._signals.get(engine)
        if signals is None:
            signals = self._signals[engine] = Signals(self._settings, engine)
        derived = signals.feed(values, self._facts)
        self._step_all(self._alerts_of(engine), time, derived, idle=derived.get("work") == 0)
        server = self._server_signals.feed(engine, time, values, self._facts)
        self._step_all(self._alerts_of(WHOLE_SERVER), time, server, idle=False)
        if len(self._signals) > 1:
            self._watch_silence(engine, time, busy=bool(derived.get("work")))

    def feed_recorded(
        self, scope: str, number: int, time: float, signals: Mapping[str, float]
    ) -> None:
        """Take the signals of a row from beside the log: of an engine, or of a GPU."""
        alerts = self._engines.get((scope, number))
        if alerts is None:
            rules = (rule for rule in self._book.rules if rule.scope == scope)
            watches = [self._new_watch(rule) for rule in rules]
            engine = number if scope == "recorded" else WHOLE_SERVER
            alerts = self._engines[scope, number] = EngineAlerts(engine, watches)
        before = len(alerts.spans)
        self._step_all(alerts, time, signals, idle=False)
        for span in alerts.spans[before:]:
            span.figures = dict(signals)

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

    def rest(self) -> None:
        """Keep fewer alerts: the run is over."""
        for alerts in self._engines.values():
            del alerts.spans[:-REST_SPANS]

    def shift(self, seconds: float) -> None:
        """Move every alert in time: the zone of the log turned out to be another."""
        self._server_signals.shift(seconds)
        for alerts in self._engines.values():
            for watch in alerts.watches:
                moved = ((time + seconds, past) for time, past in watch.recent)
                watch.recent = deque(moved, maxlen=watch.of)
                if watch.streak is not None:
                    watch.streak = Streak(*(time + seconds for time in watch.streak))
            for span in alerts.spans:
                span.since += seconds
                span.fired += seconds
                span.until = None if span.until is None else span.until + seconds
                span.raised = None if span.raised is None else span.raised + seconds
                span.begun = None if span.begun is None else span.begun + seconds
                span.returned = None if span.returned is None else span.returned + seconds

    def _alerts_of(self, engine: int) -> EngineAlerts:
        alerts = self._engines.get(engine)
        if alerts is None:
            scope = "server" if engine == WHOLE_SERVER else "engine"
            rules = (rule for rule in self._book.rules if rule.scope == scope)
            watches = [self._new_watch(rule) for rule in rules]
            alerts = self._engines[engine] = EngineAlerts(engine, watches)
        return alerts

    def _new_watch(self, rule: Rule) -> _Watch:
        needed, of = (int(self._number(name)) for name in rule.hold)
        return _Watch(rule, needed, of, deque(maxlen=of), self._number(rule.seconds))

    def _watch_silence(self, engine: int, time: float, *, busy: bool) -> None:
        """Begin and end the alerts of engines that fall silent while others are busy."""
        ended = self._silent.pop(engine, None)
        if ended is not None:
            ended.until = max(time, ended.fired)
        rule = next((rule for rule in self._book.rules if rule.scope == "silence"), None)
        if rule is None or not busy:
            return
        for other, since in self._server_signals.silent(time):
            if other not in self._silent and other != engine:
                span = self._silent[other] = Span(rule, other, since, time)
                self._keep(self._alerts_of(other), span)

    def _step_all(
        self, alerts: EngineAlerts, time: float, signals: Mapping[str, float], *, idle: bool
    ) -> None:
        for watch in alerts.watches:
            self._step(alerts, watch, time, signals, idle=idle)

    def _step(
        self,
        alerts: EngineAlerts,
        watch: _Watch,
        time: float,
        signals: Mapping[str, float],
        *,
        idle: bool,
    ) -> None:
        rule = watch.rule
        if rule.each_round and not all(test.signal in signals for test in rule.when):
            return  # within a round of engines nothing can be told
        if watch.firing is not None:
            self._raise(watch.firing, time, signals)
            better = self._cleared(rule, signals)
            cleared = better or self._unknown(rule, signals)
            watch.clear_run = watch.clear_run + 1 if cleared else 0
            if idle or watch.clear_run >= self._settings.clear_samples:
                watch.firing.until = max(time, watch.firing.fired)
                watch.firing.ending = "idle" if idle else "cleared" if better else "few prompts"
                watch.firing = None
                watch.recent.clear()
            return
        past = not idle and self._past(rule, signals)
        watch.recent.append((time, past))
        hits = [at for at, hit in watch.recent if hit]
        if not watch.past_for(time, past=past):
            return
        if past and len(hits) >= watch.needed:
            # A clock that goes back does not turn an alert round.
            since = min(hits) if watch.streak is None else min(*hits, watch.streak.begin)
            watch.firing = self._fire(alerts, rule, since, time)
            self._raise(watch.firing, time, signals)
            watch.clear_run = 0

    def _fire(self, alerts: EngineAlerts, rule: Rule, since: float, time: float) -> Span:
        """Begin an alert; one that ended just now has come back."""
        span = Span(rule, alerts.engine, since, time)
        before = next((span for span in reversed(alerts.spans) if span.rule is rule), None)
        if before is not None and (
            before.until is None or since - before.until <= self._settings.flap_seconds
        ):
            before.returned, span.times = time, before.times + 1
            span.begun = before.since if before.begun is None else before.begun
        self._keep(alerts, span)
        return span

    def _raise(self, span: Span, time: float, signals: Mapping[str, float]) -> None:
        """Take notice of the first sample that makes an alert worse."""
        if span.raised is None and any(
            self._holds(test, signals, unknown=False) for test in span.rule.raised_when
        ):
            span.raised = time

    def fresh(self) -> list[Span]:
        """Return the alerts that have fired since this was asked last."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def _keep(self, alerts: EngineAlerts, span: Span) -> None:
        self._fresh = [*self._fresh[-MOST_SPANS:], span]
        alerts.spans.append(span)
        del alerts.spans[:-MOST_SPANS]

    def _past(self, rule: Rule, signals: Mapping[str, float]) -> bool:
        """Tell whether a sample is past a rule's level; unknown is not past it."""
        if not all(self._holds(test, signals, unknown=False) for test in rule.when):
            return False
        return not rule.unless or not all(
            self._holds(test, signals, unknown=False) for test in rule.unless
        )

    def _cleared(self, rule: Rule, signals: Mapping[str, float]) -> bool:
        """Tell whether a sample is back past a rule's margin; unknown is."""
        held: Iterable[bool] = (self._holds(test, signals, unknown=True) for test in rule.clear)
        return any(held) if rule.clear_any else all(held)

    def _unknown(self, rule: Rule, signals: Mapping[str, float]) -> bool:
        """Tell whether a rule that needs prompts to flow has none to judge by (HEALTH §1)."""
        return any(
            test.signal == "prompt_flow" and not self._holds(test, signals, unknown=False)
            for test in rule.when
        )

    def _holds(self, test: Test, signals: Mapping[str, float], *, unknown: bool) -> bool:
        return holds(test, signals, self._settings, self._advice, unknown=unknown)

    def _number(self, level: str | float) -> float:
        return level_of(level, self._settings, self._advice)
