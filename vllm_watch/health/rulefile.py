"""Reads a rule file and checks it: text in, frozen rules out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import combinations

from vllm_watch.config import AdviceSettings, HealthSettings
from vllm_watch.config.sections import Severity
from vllm_watch.core.hints import Any
from vllm_watch.core.metrics import METRIC_BY_NAME
from vllm_watch.core.mistakes import name_hint
from vllm_watch.health.recordedsignals import SIGNALS
from vllm_watch.health.rules import (
    FACTS,
    RECORDED_SCOPES,
    SAMPLED_SCOPES,
    SEVERITIES,
    Rule,
    RuleError,
    StateRule,
    Test,
    title_over,
)
from vllm_watch.health.ruletexts import check_texts, names_of_rule, names_of_state
from vllm_watch.tables import read_table

DERIVED_SIGNALS = frozenset(
    {
        *("work", "prompt_flow", "prompt_share", "rate_share", "prefill", "running_share"),
        *("preempted", "swing", "length_used", "imbalance", "seen_share", "engines_missing"),
        *("tokens", "prompts_per_token", "running_step", "kv_step", "draft_acceptance"),
        *("not_filling", "flowing", "http_errors", "http_failing", "http_refusing"),
        *("step_ratio", "budget_share"),
    }
)
"""Signals that are computed from samples, steps or answers."""
COMPARISONS = ("at_least", "above", "below", "at_most")
"""Keys of a test: exactly one of these has the level."""
LONGEST_WORD = 9
"""Characters that the table of servers has for a word."""
SCOPES = (*SAMPLED_SCOPES, "silence", *RECORDED_SCOPES)
AT_ONCE = 1.0
"""Samples needed by a rule with `hold = "at once"`."""

KNOWN_SIGNALS = METRIC_BY_NAME.keys() | DERIVED_SIGNALS | FACTS | SIGNALS
"""Whatever a test may compare."""
HOLDS = frozenset(HealthSettings.__match_args__)
"""Names of settings that holds may be."""
LEVELS = HOLDS | frozenset(AdviceSettings.__match_args__)
"""Names of settings that levels may be."""

RULE_KEYS = frozenset({*Rule.__match_args__, "recent"})
"""Keys of a `[[rule]]`."""
STATE_KEYS = frozenset(StateRule.__match_args__)
"""Keys of a `[[state]]`."""
NEEDED = ("id", "word", "severity", "title", "detail", "remedy", "guide")
"""Keys that every rule and every state has."""


def read_rules(path: str) -> tuple[tuple[Rule, ...], list[StateRule]]:
    """Read the rules and states of a file.

    Raises:
        RuleError: it cannot be read, or a rule lacks a key or names an unknown signal.
    """
    table = read_table(path, RuleError)
    for name, entries in table.items():
        if name not in ("rule", "state"):
            raise RuleError(f"{path}: unknown key {name}: write [[rule]] or [[state]]")
        if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
            raise RuleError(f"{path}: {name} must be a list of tables: write [[{name}]]")
    rules = tuple(_rule(path, entry) for entry in table.get("rule", []))
    states = [_state_rule(path, entry) for entry in table.get("state", [])]
    _check_distinct(path, [*rules, *states])
    return rules, states


def _check_distinct(path: str, rules: Sequence[Rule | StateRule]) -> None:
    """Refuse rules of one file that a person could not tell apart on the screen."""
    for one, other in combinations(rules, 2):
        where = f"{path}: rule {other.id!r}"
        if (one.id, getattr(one, "state", "")) == (other.id, getattr(other, "state", "")):
            raise RuleError(f"{where}: is defined twice")
        if one.title == other.title:
            raise RuleError(f"{where}: title {other.title!r} is also that of {one.id!r}")
        words = {one.word, getattr(one, "raised_word", one.word)}
        same = words & {other.word, getattr(other, "raised_word", other.word)}
        hidden = one.id == other.id or other.id in one.hides or one.id in other.hides
        if same and not hidden:
            text = f"word {min(same)!r} is also that of {one.id!r}, and neither hides the other"
            raise RuleError(f"{where}: {text}")


def _rule(path: str, entry: dict[str, Any]) -> Rule:
    where = f"{path}: rule {entry.get('id', '?')!r}"
    try:
        values = _values(where, entry, RULE_KEYS, (*NEEDED, "metric", "when", "clear"))
        if entry["metric"] not in METRIC_BY_NAME:
            raise RuleError(f"{where}: metric {entry['metric']!r} is not in the catalogue")
        if entry.get("scope", "engine") not in SCOPES:
            raise RuleError(f"{where}: scope {entry['scope']!r} is not one of {', '.join(SCOPES)}")
        check_texts(where, entry, names_of_rule(entry.get("scope", "engine")))
        for key in ("word", "raised_word"):
            if len(entry.get(key, "")) > LONGEST_WORD:
                raise RuleError(f"{where}: {key} {entry[key]!r} has over {LONGEST_WORD} characters")
        values["hold"] = _hold_of(where, values.pop("recent", None), entry)
        values.setdefault("over", title_over(entry["title"]))
        for key in ("word", "title", "remedy"):
            values.setdefault(f"raised_{key}", entry[key])
        return Rule(**values)
    except KeyError as error:
        raise RuleError(f"{where}: key {error} is missing") from error
    except (TypeError, AttributeError) as error:
        raise RuleError(f"{where}: has a value of the wrong kind: {error}") from error


def _state_rule(path: str, entry: dict[str, Any]) -> StateRule:
    where = f"{path}: state {entry.get('id', '?')!r}"
    try:
        values = _values(where, entry, STATE_KEYS, (*NEEDED, "state"))
        check_texts(where, entry, names_of_state(entry["state"]))
        return StateRule(**values)
    except KeyError as error:
        raise RuleError(f"{where}: key {error} is missing") from error


def _values(
    where: str, entry: dict[str, Any], known: Collection[str], needed: Iterable[str]
) -> dict[str, Any]:
    """Return the checked values of an entry; an unknown key is refused, with one that is meant.

    Raises:
        KeyError: a needed key is missing.
    """
    unknown = sorted(entry.keys() - known)
    if unknown:
        raise RuleError(
            f"{where}: unknown key {unknown[0]}: {name_hint(unknown[0], sorted(known))}"
        )
    given = {key: entry[key] for key in needed} | entry
    return {
        key: _READ[key](where, value) if key in _READ else value for key, value in given.items()
    }


def _hold_of(
    where: str, recent: dict[str, str] | None, entry: dict[str, Any]
) -> tuple[str | float, str | float]:
    """Return how many of how many most recent samples a rule needs."""
    hold = (recent["needed"], recent["of"]) if recent else (entry["hold"], entry["hold"])
    if hold[0] == "at once":
        return AT_ONCE, AT_ONCE
    for name in hold:
        if name not in HOLDS:
            raise RuleError(f"{where}: hold {name!r} is not a setting of [health]")
    return hold


def _severity(where: str, text: str) -> Severity:
    for severity in SEVERITIES:
        if severity == text:
            return severity
    raise RuleError(f"{where}: severity {text!r} is not one of {', '.join(SEVERITIES)}")


def _tests(where: str, entries: list[dict[str, Any]]) -> tuple[Test, ...]:
    return tuple(_test(where, entry) for entry in entries)


def _test(where: str, entry: dict[str, Any]) -> Test:
    signal = entry.get("signal", "")
    if signal not in KNOWN_SIGNALS:
        raise RuleError(f"{where}: signal {signal!r} is neither a metric nor a derived signal")
    for comparison in COMPARISONS:
        if comparison in entry:
            level, margin = entry[comparison], entry.get("margin", 0.0)
            return Test(signal, comparison, _level(where, level), _level(where, margin))
    raise RuleError(f"{where}: a test of {signal!r} needs one of {', '.join(COMPARISONS)}")


def _advice(where: str, name: str) -> str:
    """Return the name of an existing advice function, or none."""
    from vllm_watch.health.advice import ADVICE

    if name and name not in ADVICE:
        raise RuleError(f"{where}: unknown advice {name!r}: {name_hint(name, ADVICE)}")
    return name


def _state(where: str, name: str) -> str:
    """Return the name of a state, or of what is judged like one."""
    from vllm_watch.core.states import SHAPES
    from vllm_watch.health.statefindings import CRASH_LOOP, HANG, SLOW_START, SLOW_STARTED

    known = (*SHAPES, SLOW_START, SLOW_STARTED, CRASH_LOOP, HANG)
    if name not in known:
        raise RuleError(f"{where}: unknown state {name!r}: {name_hint(name, known)}")
    return name


def _level(where: str, level: str | float) -> str | float:
    """Return a number, or the name of an existing setting."""
    if isinstance(level, str) and level not in LEVELS:
        raise RuleError(f"{where}: level {level!r} is not a setting")
    return level


_READ: Mapping[str, Callable[[str, Any], object]] = {
    **dict.fromkeys(("severity", "raised"), _severity),
    **dict.fromkeys(("when", "clear", "unless", "raised_when"), _tests),
    **dict.fromkeys(("hides", "raised_with", "flags"), lambda _, texts: tuple(texts)),
    "seconds": _level,
    "advice": _advice,
    "advices": lambda where, names: {cause: _advice(where, name) for cause, name in names.items()},
    "state": _state,
}
"""What checks and converts the value of a key; other values stay as they are."""
