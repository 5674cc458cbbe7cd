"""Rules × settings, compiled once: numbers to compare signals with, no names to look up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vllm_watch.config import AdviceSettings, HealthSettings, Settings
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import NamedTuple
from vllm_watch.health.rules import FACTS, RECORDED_SCOPES, Rule, RuleBook, Test

_BUSY = frozenset({"running", "work", "tokens", "generation_tps", "prompt_flow"})
"""Most samples of a working server pass the tests "at least" and "above" of these signals."""
Values = Mapping[str, float]
"""Signals of one sample by name; unknown ones are left out."""


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
    needed: int
    """This many samples …"""
    of: int
    """… of so many most recent ones make it fire …"""
    seconds: float
    """… if they are past the level in a row for so long."""
    raised_when: tuple[Bound, ...]
    first: Bound | None
    """The test of `when` that most samples fail; None if there are special cases."""

    def past(self, signals: Values) -> bool:
        """Return whether a sample is past the level; an unknown signal is not."""
        for signal, sign, bound, strict in self.when:
            value = signals.get(signal)
            if value is None:
                return False
            value *= sign
            if not (value > bound if strict else value >= bound):
                return False
        return not self.unless or not all(
            (value := signals.get(test.signal)) is not None and test.holds(value)
            for test in self.unless
        )

    def possible(self, facts: Values) -> bool:
        """Return whether it can fire, given the start-up facts."""
        return all(
            test.signal not in FACTS
            or ((value := facts.get(test.signal)) is not None and test.holds(value))
            for test in self.when
        )

    def cleared(self, signals: Values) -> bool:
        """Return whether a sample is back past the margin; an unknown signal is."""
        enough = self.rule.clear_any
        for test in self.clear:
            value = signals.get(test.signal)
            if (value is None or test.holds(value)) == enough:
                return enough
        return not enough

    def unknown(self, signals: Values) -> bool:
        """Return whether too few prompts flow to judge."""
        for test in self.flow:
            value = signals.get(test.signal)
            if value is None or not test.holds(value):
                return True
        return False

    def raised(self, signals: Values) -> bool:
        """Return whether a sample makes it worse than the rule's severity."""
        return any(
            (value := signals.get(test.signal)) is not None and test.holds(value)
            for test in self.raised_when
        )

    def judges(self, signals: Values) -> bool:
        """Return whether a sample counts: those before the end of a round of engines do not."""
        if self.rule.each_round:
            for test in self.when:
                if test.signal not in signals:
                    return False
        return True


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
    when = tuple(_bound(test, settings) for test in rule.when)
    needed, of = (int(level_of(name, settings.health, settings.advice)) for name in rule.hold)
    return PlannedRule(
        number,
        rule,
        when,
        tuple(_bound(test, settings) for test in rule.unless),
        tuple(_bound(test, settings) for test in rule.clear),
        tuple(test for test in when if test.signal == "prompt_flow"),
        needed,
        of,
        level_of(rule.seconds, settings.health, settings.advice),
        tuple(_bound(test, settings) for test in rule.raised_when),
        None if rule.each_round else _rarest(when),
    )


def _rarest(when: Sequence[Bound]) -> Bound | None:
    """Return the test that is true least often, so that it is the first one to look at."""
    telling = tuple(
        test
        for test in when
        if test.signal not in FACTS and not (test.signal in _BUSY and test.sign > 0)
    )
    tests = telling or when
    return tests[-1] if tests else None


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
