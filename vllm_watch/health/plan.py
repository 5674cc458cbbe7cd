"""Rules × settings, compiled once: numbers to compare signals with, no names to look up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import cache

from vllm_watch.config import AdviceSettings, HealthSettings, Settings
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.metrics import METRIC_BY_NAME
from vllm_watch.health.holds import HoldLengths
from vllm_watch.health.rules import FACTS, RECORDED_SCOPES, Rule, RuleBook, Test

Values = Mapping[str, float]
"""Signals of one sample by name; unknown ones are left out."""
ValueOf = Callable[[str], "float | None"]
"""Returns a signal of one sample by name, None if it is unknown."""


class Guard(NamedTuple):
    """Limits of a signal between which a rule stays as it is; NaN: while the signal is unknown."""

    signal: str
    low: float
    high: float


class Bound(NamedTuple):
    """One test of a rule: `sign × value` against `bound`."""

    signal: str
    sign: float
    """−1 for tests with an upper limit."""
    bound: float
    strict: bool
    """A value equal to the bound does not pass."""

    def holds(self, value: float) -> bool:
        """Return whether a known value passes."""
        value = value * self.sign  # a new value: it may be a column
        return value > self.bound if self.strict else value >= self.bound


@cache
def guard(test: Bound, held: bool | None) -> Guard:
    """Return between which values a test has the same result; None: its signal is unknown."""
    if held is None:
        return Guard(test.signal, math.nan, math.nan)
    edge, above = test.sign * test.bound, held == (test.sign > 0)
    if held == test.strict:  # a value equal to the bound has the other result
        edge = math.nextafter(edge, math.inf if above else -math.inf)
    return Guard(test.signal, edge, math.inf) if above else Guard(test.signal, -math.inf, edge)


@dataclass(frozen=True, slots=True, eq=False)
class PlannedRule:
    """A rule with the numbers of one server's settings."""

    number: int
    """Its index in the plan."""
    rule: Rule
    when: tuple[Bound, ...]
    unless: tuple[Bound, ...]
    clear: tuple[Bound, ...]
    flow: tuple[Bound, ...]
    """Tests that must hold for the rule to be judged: prompts must flow."""
    lengths: HoldLengths
    raised_when: tuple[Bound, ...]

    def past(self, value_of: ValueOf) -> bool:
        """Return whether a sample is past the level; not if a signal is unknown."""
        for test in self.when:
            value = value_of(test.signal)
            if value is None or not test.holds(value):
                return False
        return not self.unless or not all(
            (value := value_of(test.signal)) is not None and test.holds(value)
            for test in self.unless
        )

    def possible(self, facts: Values) -> bool:
        """Return whether it can fire, given the start-up facts."""
        return all(
            test.signal not in FACTS
            or ((value := facts.get(test.signal)) is not None and test.holds(value))
            for test in self.when
        )

    def cleared(self, value_of: ValueOf) -> bool:
        """Return whether a sample is back past the margin; an unknown signal counts as back."""
        enough = self.rule.clear_any
        for test in self.clear:
            value = value_of(test.signal)
            if (value is None or test.holds(value)) == enough:
                return enough
        return not enough

    def unknown(self, value_of: ValueOf) -> bool:
        """Return whether too few prompts flow to judge."""
        for test in self.flow:
            value = value_of(test.signal)
            if value is None or not test.holds(value):
                return True
        return False

    def raised(self, value_of: ValueOf) -> bool:
        """Return whether a sample makes it worse than the rule's severity."""
        return any(
            (value := value_of(test.signal)) is not None and test.holds(value)
            for test in self.raised_when
        )

    def judges(self, value_of: ValueOf) -> bool:
        """Return whether a sample counts: those before the end of a round of engines do not."""
        return None not in [value_of(test.signal) for test in self.when]

    def rests_while(self, value_of: ValueOf) -> tuple[Guard, ...] | None:
        """Return what keeps a sample from being past the level; None if it is past."""
        for test in self.when:
            value = value_of(test.signal)
            if value is None:
                return (guard(test, None),)
            if not test.holds(value):
                return (guard(test, False),)
        if self.unless and not self.past(value_of):
            return tuple(guard(test, True) for test in self.unless)
        return None

    def fires_while(self, value_of: ValueOf, *, is_raised: bool) -> tuple[Guard, ...] | None:
        """Return what keeps an alert as it is; None if a sample changes it."""
        if self.cleared(value_of) or self.unknown(value_of):
            return None
        kept = [guard(test, True) for test in self.flow]
        if not is_raised:
            if self.raised(value_of):
                return None
            known = [(test, value_of(test.signal)) for test in self.raised_when]
            kept += [guard(test, None if value is None else False) for test, value in known]
        for test in self.clear:
            value = value_of(test.signal)
            if value is not None and not test.holds(value):
                kept.append(guard(test, False))
                if not self.rule.clear_any:  # one test that fails is enough
                    break
        return tuple(kept)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """All rules with the numbers of one server's settings."""

    settings: Settings
    engine: tuple[PlannedRule, ...]
    server: tuple[PlannedRule, ...]
    silence: Rule | None
    recorded: Mapping[str, tuple[PlannedRule, ...]]
    """Rules about recorded rows, by their scope."""

    def uses(self, signal: str) -> tuple[PlannedRule, ...]:
        """Return the rules that compare a signal."""
        return tuple(
            rule
            for rule in (*self.engine, *self.server)
            if any(test.signal == signal for test in (*rule.when, *rule.unless, *rule.clear))
        )


class Planner:
    """Makes plans and caches them: a thousand servers share a few settings."""

    def __init__(self, book: RuleBook) -> None:
        """Make plans from the rules of `book`."""
        self._book = book
        self._plans: list[tuple[Settings, Plan]] = []

    def plan(self, settings: Settings) -> Plan:
        """Return the plan for some settings."""
        for known, plan in self._plans:
            if known is settings or known == settings:
                return plan
        plan = plan_of(self._book.rules, settings)
        self._plans = [*self._plans[-63:], (settings, plan)]
        return plan


def plan_of(rules: Iterable[Rule], settings: Settings) -> Plan:
    """Compile rules with settings."""
    rules = tuple(rules)
    planned = [_rule(number, rule, settings) for number, rule in enumerate(rules)]
    return Plan(
        settings,
        tuple(one for one in planned if one.rule.scope == "engine"),
        tuple(one for one in planned if one.rule.scope == "server"),
        next((rule for rule in rules if rule.scope == "silence"), None),
        {
            scope: tuple(one for one in planned if one.rule.scope == scope)
            for scope in RECORDED_SCOPES
        },
    )


def _rule(number: int, rule: Rule, settings: Settings) -> PlannedRule:
    when = tuple(sorted((_bound(test, settings) for test in rule.when), key=_effort))
    needed, of = (int(level_of(name, settings.health, settings.advice)) for name in rule.hold)
    return PlannedRule(
        number,
        rule,
        when,
        tuple(_bound(test, settings) for test in rule.unless),
        tuple(sorted((_bound(test, settings) for test in rule.clear), key=_effort)),
        tuple(test for test in when if test.signal == "prompt_flow"),
        HoldLengths(
            needed,
            of,
            settings.health.clear_samples,
            level_of(rule.seconds, settings.health, settings.advice),
        ),
        tuple(_bound(test, settings) for test in rule.raised_when),
    )


def _effort(test: Bound) -> int:
    """Return the effort for the signal of a test: facts, then values of the line, then others."""
    return 0 if test.signal in FACTS else 1 if test.signal in METRIC_BY_NAME else 2


def _bound(test: Test, settings: Settings) -> Bound:
    level = level_of(test.level, settings.health, settings.advice)
    margin = level_of(test.margin, settings.health, settings.advice)
    low = test.comparison in ("below", "at_most")
    bound = -(level - margin) if low else level + margin
    return Bound(test.signal, -1.0 if low else 1.0, bound, test.comparison in ("below", "above"))


def level_of(level: str | float, health: HealthSettings, advice: AdviceSettings) -> float:
    """Return a level as a number, looking it up if it is the name of a setting."""
    if not isinstance(level, str):
        return level
    owner = health if hasattr(health, level) else advice
    return float(getattr(owner, level))
