"""The rule file read and checked: data in, frozen rules out, nothing evaluated."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from vllm_watch.core.metrics import METRIC_BY_NAME
from vllm_watch.parsing.errors import FormatError

Severity = Literal["note", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("note", "warning", "critical")
"""From least to worst."""

DERIVED_SIGNALS = frozenset({"work", "prompt_flow", "rate_share"})
"""Signals that are computed from samples; all others are metrics of the catalogue."""
_COMPARISONS = ("at_least", "above", "below")

RULE_FILE = Path(__file__).with_name("rules.toml")
"""The built-in rules."""


class RuleError(FormatError):
    """A rule file that cannot be used; the message names file, rule and key."""


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison of a signal with a level."""

    signal: str
    comparison: str
    """`at_least`, `above` or `below`."""
    level: str | float
    """Name of a setting, or a number."""
    margin: str | float = 0.0
    """How far past the level it must be (name of a setting, or a number)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A finding that samples can give."""

    id: str
    word: str
    """What stands in the state's place on the screen."""
    severity: Severity
    metric: str
    """The metric whose value the title shows, and on whose chart it is marked."""
    when: tuple[Test, ...]
    clear: tuple[Test, ...]
    hold: tuple[str, str]
    """Settings that hold how many samples of how many most recent ones are needed."""
    title: str
    detail: str
    remedy: str
    guide: str
    hides: tuple[str, ...] = ()
    """Findings that this one explains; `*` is all."""


@dataclass(frozen=True, slots=True)
class StateRule:
    """A finding that a state is in itself."""

    id: str
    word: str
    state: str
    severity: Severity
    title: str
    detail: str
    remedy: str
    guide: str
    hides: tuple[str, ...] = ()
    remedies: Mapping[str, str] = field(default_factory=dict)
    """Cause of the state to what to do about that."""


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules."""

    rules: tuple[Rule, ...]
    states: Mapping[str, StateRule]

    def hides(self, finding: str) -> tuple[str, ...]:
        """Return the ids that a finding explains."""
        every: list[Rule | StateRule] = [*self.rules, *self.states.values()]
        return next((rule.hides for rule in every if rule.id == finding), ())


@cache
def builtin_rules() -> RuleBook:
    """Return the built-in rules, read once."""
    return load_rules(RULE_FILE)


def load_rules(path: Path) -> RuleBook:
    """Read a rule file.

    Raises:
        RuleError: it cannot be read, or a rule lacks a key or names an unknown signal.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RuleError(f"{path}: cannot be read as a rule file: {error}") from error
    rules = tuple(_rule(path, entry) for entry in table.get("rule", []))
    states = [_state_rule(path, entry) for entry in table.get("state", [])]
    return RuleBook(rules, {rule.state: rule for rule in states})


def _rule(path: Path, entry: dict[str, Any]) -> Rule:
    where = f"{path}: rule {entry.get('id', '?')!r}"
    recent = entry.get("recent")
    try:
        hold = (recent["needed"], recent["of"]) if recent else (entry["hold"], entry["hold"])
        if entry["metric"] not in METRIC_BY_NAME:
            raise RuleError(f"{where}: metric {entry['metric']!r} is none of the catalogue")
        return Rule(
            entry["id"],
            entry["word"],
            _severity(where, entry["severity"]),
            entry["metric"],
            tuple(_test(where, test) for test in entry["when"]),
            tuple(_test(where, test) for test in entry["clear"]),
            hold,
            entry["title"],
            entry["detail"],
            entry["remedy"],
            entry["guide"],
            tuple(entry.get("hides", ())),
        )
    except KeyError as error:
        raise RuleError(f"{where}: key {error} is missing") from error


def _state_rule(path: Path, entry: dict[str, Any]) -> StateRule:
    where = f"{path}: state {entry.get('id', '?')!r}"
    try:
        return StateRule(
            entry["id"],
            entry["word"],
            entry["state"],
            _severity(where, entry["severity"]),
            entry["title"],
            entry["detail"],
            entry["remedy"],
            entry["guide"],
            tuple(entry.get("hides", ())),
            dict(entry.get("remedies", {})),
        )
    except KeyError as error:
        raise RuleError(f"{where}: key {error} is missing") from error


def _severity(where: str, text: str) -> Severity:
    for severity in SEVERITIES:
        if severity == text:
            return severity
    raise RuleError(f"{where}: severity {text!r} is none of {', '.join(SEVERITIES)}")


def _test(where: str, entry: dict[str, Any]) -> Test:
    signal = entry.get("signal", "")
    if signal not in METRIC_BY_NAME and signal not in DERIVED_SIGNALS:
        raise RuleError(f"{where}: signal {signal!r} is no metric and no derived signal")
    for comparison in _COMPARISONS:
        if comparison in entry:
            return Test(signal, comparison, entry[comparison], entry.get("margin", 0.0))
    raise RuleError(f"{where}: a test of {signal!r} needs one of {', '.join(_COMPARISONS)}")
