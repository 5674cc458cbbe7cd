"""Alerts as spans of log time, for one sample or thousands together.

A rule's verdict on a sample is: past its level, or back past its margin, or neither. Verdicts go
through the same state machine: sample by sample in `RuleWatch.step` (`holds.py`), or many together
in `holdcolumns.py`, which tells `RuleWatch.take` what has changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain

from vllm_watch.config import HealthSettings
from vllm_watch.core.copying import copied
from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.hints import Literal
from vllm_watch.health.holds import AT_REST, Hold, HoldChange, eased, pressed
from vllm_watch.health.plan import Guard, PlannedRule, ValueOf, Values
from vllm_watch.health.rules import FACTS, Rule

Ending = Literal["cleared", "few prompts", "idle"]
"""Why an alert ended: back within its level, no longer judged, or no work."""
MOST_SPANS = 1_000
"""Alerts kept per engine; beyond that, the oldest are dropped."""
REST_SPANS = 100
"""Alerts kept per engine when its run is over."""
WHOLE_SERVER = -2
"""Used as the engine in alerts about a whole server."""


@dataclass(frozen=True, slots=True)
class AlertSpan:
    """One alert from begin to end."""

    rule: Rule
    engine: int
    since: float
    """First sample past the level."""
    fired: float
    """The sample at which the hold was complete."""
    until: float | None = None
    """The sample at which the alert was over, None while it fires."""
    ending: Ending = "cleared"
    """Why the alert was over, once it is."""
    times: int = 1
    """How often the alert has fired with only short pauses (flapping), this time included."""
    begun: float | None = None
    """`since` of the first such alert, None if this is the first."""
    returned: float | None = None
    """When the alert fired again after only a short pause, as another span; None if never."""
    figures: Mapping[str, float] | None = None
    """The values at which the alert fired, kept because that sample is thinned later."""
    peaks: tuple[tuple[float, Mapping[str, float]], ...] = ()
    """When the alert's values got worse, and the values: kept where no sample has them."""
    ran: tuple[float, ...] = ()
    """Running requests of each engine when the alert fired."""
    later: tuple[tuple[float, Mapping[str, float], tuple[float, ...]], ...] = ()
    """Time, values and running requests for each moment at which it grew worse or ended."""
    raised: float | None = None
    """The first sample at which a test of the rule's `raised_when` held, None if there is none."""

    def firing_at(self, time: float) -> bool:
        """Return whether the alert fires at `time`."""
        return self.fired <= time and (self.until is None or time < self.until)

    @property
    def remembered(self) -> bool:
        """Whether the figures of all moments of the alert are kept, because it has ended."""
        if self.figures is None or self.until is None:
            return False
        return self.until in (self.fired, *(at for at, _, _ in self.later))

    def moved(self, seconds: float) -> AlertSpan:
        """Return the alert with its times shifted."""
        return replace(
            self,
            since=self.since + seconds,
            fired=self.fired + seconds,
            until=None if self.until is None else self.until + seconds,
            begun=None if self.begun is None else self.begun + seconds,
            returned=None if self.returned is None else self.returned + seconds,
            raised=None if self.raised is None else self.raised + seconds,
            peaks=tuple((at + seconds, values) for at, values in self.peaks),
            later=tuple((at + seconds, values, ran) for at, values, ran in self.later),
        )


class _Begun:
    """An alert that began among many samples, until all of them are judged."""

    __slots__ = (
        *("row", "rule", "since", "fired", "until", "ending", "times", "begun", "returned"),
        "raised",
    )

    def __init__(self, row: int, rule: PlannedRule, since: float, fired: float) -> None:
        self.row, self.rule, self.since, self.fired = row, rule, since, fired
        self.until: float | None = None
        self.ending: Ending = "cleared"
        self.times = 1
        self.begun: float | None = None
        self.returned: float | None = None
        self.raised: float | None = None

    def returns(self, before: AlertSpan | _Begun, flap_seconds: float) -> bool:
        """Return whether it came back after only a short pause; note that it did."""
        if before.until is not None and self.since - before.until > flap_seconds:
            return False
        self.times = before.times + 1
        self.begun = before.since if before.begun is None else before.begun
        return True

    def made(self, engine: int) -> AlertSpan:
        """Return the alert of an engine."""
        return AlertSpan(
            self.rule.rule,
            engine,
            self.since,
            self.fired,
            self.until,
            self.ending,
            self.times,
            self.begun,
            self.returned,
            raised=self.raised,
        )


Guards = tuple[Guard, ...]
_NO_LIMITS: Guards = ()


@lru_cache(4_096)
def _joined(guards: tuple[Guards | None, ...], *, by_facts: bool) -> Guards:
    """Return the limits of each signal within which all hold; `by_facts`: facts are fixed."""
    limits: dict[str, Guard] = {}
    for signal, low, high in chain.from_iterable(filter(None, guards)):
        if not (by_facts and signal in FACTS):
            known = limits.get(signal)
            if known is not None:
                low, high = max(known.low, low), min(known.high, high)
            limits[signal] = Guard(signal, low, high)
    return tuple(limits.values())


def _hold(guards: Guards, value_of: ValueOf) -> bool:
    """Return whether all signals are within their limits."""
    for signal, low, high in guards:
        value = value_of(signal)
        if not (low != low if value is None else low <= value <= high):
            return False
    return True


class RuleWatch:
    """The rules of one engine, or of a whole server, and their alerts."""

    __slots__ = (
        *("engine", "rules", "spans", "holds", "changes", "row", "rounds", "flap_seconds"),
        *("_of_rounds", "_facts", "_guards", "_is_open", "_limits"),
    )

    def __init__(self, engine: int, rules: Sequence[PlannedRule], health: HealthSettings) -> None:
        """Watch an engine by `rules`."""
        self.engine = engine
        self.use(rules, health)
        self.spans: list[AlertSpan] = []
        """In the order in which they fired."""
        self.holds: dict[int, Hold] = {}
        """Index of a rule to its hold; a rule without one has nothing to remember."""
        self.changes = 0
        """Grows with every change of an alert."""
        self.row = 0
        """Rows judged so far."""
        self.rounds: dict[int, int] = {}
        """The same for rules that do not judge every row."""

    def use(self, rules: Sequence[PlannedRule], health: HealthSettings) -> None:
        """Use another plan from here on."""
        self.rules = rules
        self._of_rounds = [rule for rule in rules if rule.rule.each_round]
        self._facts: Values | None = None
        self.unsettle()
        self.flap_seconds = health.flap_seconds

    def unsettle(self) -> None:
        """Judge the next row by every rule, not only by those whose signals pass a limit."""
        self._guards: tuple[Guards | None, ...] = (None,) * len(self.rules)
        """What keeps each rule as it is, None if every row may change it …"""
        self._is_open, self._limits = bool(self.rules), _NO_LIMITS
        """… whether every row may change one of them, and what keeps the others."""

    def copy(self) -> RuleWatch:
        """Return a copy that further rows do not change."""
        other = copied(self)
        other.spans, other.holds = self.spans.copy(), self.holds.copy()
        other.rounds = self.rounds.copy()
        return other

    def shift(self, seconds: float) -> None:
        """Shift all times."""
        self.changes += 1
        self.spans = [span.moved(seconds) for span in self.spans]
        self.holds = {number: hold.moved(seconds) for number, hold in self.holds.items()}

    def inherit(self, spans: Sequence[AlertSpan], edge: float) -> None:
        """Take over alerts that fired before a moment; an alert still firing then continues."""
        numbers = {rule.rule.id: rule.number for rule in self.rules}
        for span in spans:
            if span.fired < edge and (span.until is None or span.until >= edge):
                number = numbers.get(span.rule.id)
                span = replace(span, until=edge if number is None else None, ending="cleared")
                if number is not None:
                    self.holds[number] = Hold(firing=True)
            if span.fired < edge:
                self.spans.append(span)

    def step(
        self, time: float, value_of: ValueOf, facts: Values | None = None, *, idle: bool
    ) -> None:
        """Judge one row by its signals.

        Rules are looked at if a row can change them. For all others, an earlier look gave limits
        (`rests_while`, `fires_while`) that the signals have not left. `facts` are the signals from
        the start-up, None if no rule compares any.
        """
        if facts is not self._facts:
            self._facts = facts
            self.unsettle()
        judged = self._of_rounds and [one for one in self._of_rounds if one.judges(value_of)]
        if self._is_open or (idle and self.holds) or not _hold(self._limits, value_of):
            guards = tuple(
                [
                    self._step_rule(rule, time, value_of, idle=idle)
                    if known is None
                    or (judged and rule.rule.each_round)
                    or (idle and rule.number in self.holds)
                    or not _hold(known, value_of)
                    else known
                    for rule, known in zip(self.rules, self._guards, strict=True)
                ]
            )
            if guards != self._guards:
                self._guards, self._is_open = guards, None in guards
                self._limits = _joined(guards, by_facts=facts is not None)
        else:
            for rule in judged:
                self._step_rule(rule, time, value_of, idle=idle)
        self.row += 1

    def _step_rule(
        self, rule: PlannedRule, time: float, value_of: ValueOf, *, idle: bool
    ) -> Guards | None:
        """Take a row to a rule; return what keeps the rule as is, None if any row may change it."""
        row = self.row
        if rule.rule.each_round:
            if not rule.judges(value_of):
                return ()
            row = self.rounds.get(rule.number, 0)
            self.rounds[rule.number] = row + 1
        hold = self._take_row(rule, row, time, value_of, idle=idle)
        if rule.rule.each_round:
            return ()
        if not hold.firing:
            return rule.rests_while(value_of)
        if hold.clear:
            return None
        at = self._newest(rule.rule) if rule.raised_when else None
        is_raised = at is None or self.spans[at].raised is not None
        return rule.fires_while(value_of, is_raised=is_raised)

    def _take_row(
        self, rule: PlannedRule, row: int, time: float, value_of: ValueOf, *, idle: bool
    ) -> Hold:
        """Take a row to the hold of a rule, and return it."""
        hold, lengths = self.holds.get(rule.number, AT_REST), rule.lengths
        if hold.firing:
            self._raise(rule, time, value_of)
            better = rule.cleared(value_of)
            cleared = better or rule.unknown(value_of)
            if not (cleared or idle or hold.clear):
                return hold
            hold = eased(hold, lengths, cleared=cleared, idle=idle)
            self._put(rule, hold)
            if not hold.firing:
                ending: Ending = "cleared" if better else "few prompts"
                self._end(rule, time, "idle" if idle else ending)
        elif not idle and rule.past(value_of):
            self.holds[rule.number] = hold = pressed(hold, lengths, row, time)
            if hold.firing:
                self._fire(rule, hold.since, time)
                self._raise(rule, time, value_of)
        return hold

    def _put(self, rule: PlannedRule, hold: Hold) -> None:
        if hold is AT_REST:
            self.holds.pop(rule.number, None)
        else:
            self.holds[rule.number] = hold

    def _fire(self, rule: PlannedRule, since: float, time: float) -> None:
        before = self._newest(rule.rule)
        span = AlertSpan(rule.rule, self.engine, since, time)
        if before is not None:
            again, span = self._returned(self.spans[before], span)
            self.spans[before] = again
        self.keep([span])

    def _returned(self, before: AlertSpan, span: AlertSpan) -> tuple[AlertSpan, AlertSpan]:
        """Return an alert and the alert before, marked as flapping if it came back just now."""
        if before.until is not None and span.since - before.until > self.flap_seconds:
            return before, span
        begun = before.since if before.begun is None else before.begun
        again = replace(before, returned=span.fired)
        return again, replace(span, times=before.times + 1, begun=begun)

    def _end(self, rule: PlannedRule, time: float, ending: Ending) -> None:
        at = self._newest(rule.rule)
        if at is not None:
            self.changes += 1
            span = self.spans[at]
            self.spans[at] = replace(span, until=max(time, span.fired), ending=ending)

    def _raise(self, rule: PlannedRule, time: float, value_of: ValueOf) -> None:
        if rule.raised_when and rule.raised(value_of):
            self._mark(rule, time)

    def _mark(self, rule: PlannedRule, time: float) -> None:
        """Note the first sample that raises an alert's severity."""
        at = self._newest(rule.rule)
        if at is not None and self.spans[at].raised is None:
            self.changes += 1
            self.spans[at] = replace(self.spans[at], raised=time)

    def _newest(self, rule: Rule) -> int | None:
        """Return the index of the newest alert of a rule."""
        numbers = range(len(self.spans) - 1, -1, -1)
        return next((at for at in numbers if self.spans[at].rule is rule), None)

    def keep(self, spans: Sequence[AlertSpan]) -> None:
        """Add alerts in the order in which they fired."""
        self.changes += 1
        self.spans.extend(spans)
        del self.spans[:-MOST_SPANS]

    def take(
        self, rows: Sequence[tuple[HoldChange, PlannedRule, Ending]], times: Sequence[float]
    ) -> None:
        """Begin and end alerts at the changes that `hold_changes` found, rule by rule."""
        fresh: list[_Begun] = []
        newest: dict[int, _Begun] = {}
        for change, rule, ending in rows:
            known, time = newest.get(rule.number), times[change.row]
            if change.kind == "fires":
                span = newest[rule.number] = _Begun(change.row, rule, change.since, time)
                fresh.append(span)
                if known is not None:
                    if span.returns(known, self.flap_seconds):
                        known.returned = time
                elif (old := self._newest(rule.rule)) is not None:
                    before = self.spans[old]
                    if span.returns(before, self.flap_seconds):
                        self.spans[old] = replace(before, returned=time)
            elif known is None:
                if change.kind == "raised":
                    self._mark(rule, time)
                else:
                    self._end(rule, time, ending)
            elif change.kind == "ends":
                known.until, known.ending = max(time, known.fired), ending
            elif known.raised is None:
                known.raised = time
        fresh.sort(key=lambda one: (one.row, one.rule.number))
        self.keep([span.made(self.engine) for span in fresh[-MOST_SPANS:]])
