"""Reads and checks the rule file: data in, frozen rules out. Rules are not evaluated here."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from itertools import combinations

from vllm_watch.config import AdviceSettings, HealthSettings
from vllm_watch.config.sections import Severity
from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.hints import Any
from vllm_watch.core.metrics import METRIC_BY_NAME
from vllm_watch.core.mistakes import meant
from vllm_watch.health.recordedsignals import SIGNALS
from vllm_watch.locations import rule_files
from vllm_watch.parsing.errors import FormatError
from vllm_watch.tables import keep_tables, kept_tables

SEVERITIES: tuple[Severity, ...] = ("note", "warning", "critical")
"""From the least to the most severe."""
GLYPHS = {"note": "•", "warning": "▲", "critical": "✖"}
"""A shape for each severity: colour is never the only sign."""

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
FACTS = frozenset(
    {
        *("max_num_seqs", "max_model_len", "max_num_batched_tokens", "gpu_memory_utilization"),
        *("tensor_parallel_size", "data_parallel_size", "kv_cache_tokens", "max_concurrency"),
        *("eager", "custom_allreduce_off", "vision_language", "model_billions", "over_capacity"),
        *("prefix_caching", "kv_override", "kv_cache_fp8", "cuda", "gpu_gib"),
        *("kv_cache_gib", "latent_attention"),
        *("num_gpu_blocks", "num_gpu_blocks_override"),
    }
)
"""Signals from the start-up (`startupfacts.py`)."""
COMPARISONS = ("at_least", "above", "below", "at_most")
"""Keys of a test: exactly one of these has the level."""
RECORDED_SCOPES = ("recorded", "gpu", "answers", "steps")
"""Scopes of rules that do not judge stats lines.

They judge recorded rows of an engine or a GPU, answers of the server, or steps of an engine.
"""
LONGEST_WORD = 9
"""Characters that the table of servers has for a word."""
SCOPES = ("engine", "server", "silence", *RECORDED_SCOPES)
AT_ONCE = 1.0
"""Samples needed by a rule with `hold = "at once"`."""

KNOWN_SIGNALS = METRIC_BY_NAME.keys() | DERIVED_SIGNALS | FACTS | SIGNALS
"""Whatever a test may compare."""
HOLDS = frozenset(HealthSettings.__match_args__)
"""Names of settings that holds may be."""
LEVELS = HOLDS | frozenset(AdviceSettings.__match_args__)
"""Names of settings that levels may be."""
RULE_FILE = os.path.join(os.path.dirname(__file__), "rules.toml")


class RuleError(FormatError):
    """A rule file with an error; the message names file, rule and key."""


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison of a signal with a level."""

    signal: str
    comparison: str
    """`at_least`, `above`, `below` or `at_most`."""
    level: str | float
    """Name of a setting, or a number."""
    margin: str | float = 0.0
    """How far past the level a value must be (name of a setting, or a number)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A finding from samples."""

    id: str
    word: str
    """Shown instead of the state on the screen."""
    severity: Severity
    metric: str
    """The metric whose value is in the title, and whose chart is marked."""
    when: tuple[Test, ...]
    clear: tuple[Test, ...]
    hold: tuple[str | float, str | float]
    """Settings: how many samples are needed, of how many most recent ones."""
    title: str
    detail: str
    remedy: str
    guide: str
    hides: tuple[str, ...] = ()
    """Findings that this one explains; `*` means all."""
    scope: str = "engine"
    """What the rule judges.

    Each `engine`, the whole `server`, the `silence` of an engine, the `answers` of a server, the
    `steps` of an engine, or rows beside the log: `recorded` of an engine, or of a `gpu`.
    """
    unless: tuple[Test, ...] = ()
    """If all of these tests are true, the rule does not fire."""
    clear_any: bool = False
    """One test of `clear` is enough."""
    each_round: bool = False
    """Judged once for each round of the engines: only then its signals are known."""
    advice: str = ""
    """Name of the function that computes its flags (`advice.py`)."""
    expect: str = ""
    """The expected effect of the change, if no figure says more."""
    over: str = ""
    """The text when the value is back within its level; may use the placeholders of a title."""
    settled: str = ""
    """The remedy once the alert is over, if it differs."""
    raised: Severity | None = None
    """Its severity while one of `raised_with` fires too, or once a test of `raised_when` held."""
    raised_with: tuple[str, ...] = ()
    """Findings that raise its severity."""
    raised_when: tuple[Test, ...] = ()
    """Tests of a sample's values and of the start-up; each of them raises its severity."""
    raised_word: str = ""
    """The word with the raised severity."""
    raised_title: str = ""
    """The title with the raised severity."""
    raised_remedy: str = ""
    """The remedy with the raised severity."""
    seconds: str | float = 0.0
    """For how long its samples must be past the level in a row (a setting, or seconds)."""


@dataclass(frozen=True, slots=True)
class StateRule:
    """A finding that is a state."""

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
    """Cause of the state to its remedy."""
    advices: Mapping[str, str] = field(default_factory=dict)
    """Cause of the state to the name of the function that computes its flags."""
    flags: tuple[str, ...] = ()
    """The flags if no function computes them."""


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules."""

    rules: tuple[Rule, ...]
    states: Mapping[str, StateRule]
    _hides: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, compare=False)

    def __post_init__(self) -> None:
        """Index the findings that each one explains: every judgement of a server needs them."""
        every: list[Rule | StateRule] = [*self.rules, *self.states.values()]
        self._hides.update((rule.id, rule.hides) for rule in reversed(every))

    def ids_of(self, states: Iterable[str]) -> set[str]:
        """Return the ids of the findings that are states."""
        return {self.states[name].id for name in states if name in self.states}

    def hides(self, finding: str) -> tuple[str, ...]:
        """Return the ids that a finding explains."""
        return self._hides.get(finding, ())


RULE_KEYS = frozenset({*Rule.__match_args__, "recent"})
"""Keys of a `[[rule]]`."""
STATE_KEYS = frozenset(StateRule.__match_args__)
"""Keys of a `[[state]]`."""
NEEDED = ("id", "word", "severity", "title", "detail", "remedy", "guide")
"""Keys that every rule and every state has."""


@cache
def builtin_rules() -> RuleBook:
    """Return the built-in rules, read once."""
    return load_rules(RULE_FILE)


def known_rules() -> tuple[RuleBook, tuple[str, ...]]:
    """Return the built-in rules with the user's own, and one line for each refused file.

    The user's files are read in the order of their names; a rule or state replaces an earlier one
    with the same id. A broken file is refused as a whole, and the others still apply.
    """
    book, refused = builtin_rules(), []
    for path in rule_files():
        try:
            own = load_rules(path)
        except RuleError as error:
            refused.append(f"{error}; this file is not used, the others are")
            continue
        rules = {rule.id: rule for rule in (*book.rules, *own.rules)}
        book = RuleBook(tuple(rules.values()), {**book.states, **own.states})
    return book, tuple(refused)


def load_rules(path: str | os.PathLike[str]) -> RuleBook:
    """Read a rule file.

    Raises:
        RuleError: it cannot be read, or a rule lacks a key or names an unknown signal.
    """
    path = os.fspath(path)
    kept = kept_tables("rules", [path])
    table = _table(path) if kept is None else kept[0]
    for name, entries in table.items():
        if name not in ("rule", "state"):
            raise RuleError(f"{path}: unknown key {name}: write [[rule]] or [[state]]")
        if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
            raise RuleError(f"{path}: {name} must be a list of tables: write [[{name}]]")
    rules = tuple(_rule(path, entry) for entry in table.get("rule", []))
    states = [_state_rule(path, entry) for entry in table.get("state", [])]
    if kept is None:
        _check_distinct(path, [*rules, *states])
        keep_tables("rules", [path], [table])
    return RuleBook(rules, {rule.state: rule for rule in states})


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


def _table(path: str) -> dict[str, Any]:
    import tomllib  # 8 ms, and only changed files are parsed

    try:
        with open(path, encoding="utf-8") as file:
            return tomllib.loads(file.read())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RuleError(f"{path}: cannot be read as a rule file: {error}") from error


def _rule(path: str, entry: dict[str, Any]) -> Rule:
    where = f"{path}: rule {entry.get('id', '?')!r}"
    try:
        values = _values(where, entry, RULE_KEYS, (*NEEDED, "metric", "when", "clear"))
        if entry["metric"] not in METRIC_BY_NAME:
            raise RuleError(f"{where}: metric {entry['metric']!r} is not in the catalogue")
        if entry.get("scope", "engine") not in SCOPES:
            raise RuleError(f"{where}: scope {entry['scope']!r} is not one of {', '.join(SCOPES)}")
        for key in ("word", "raised_word"):
            if len(entry.get(key, "")) > LONGEST_WORD:
                raise RuleError(f"{where}: {key} {entry[key]!r} has over {LONGEST_WORD} characters")
        values["hold"] = _hold_of(where, values.pop("recent", None), entry)
        values.setdefault("over", f"{entry['word']}: ended")
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
        return StateRule(**_values(where, entry, STATE_KEYS, (*NEEDED, "state")))
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
        raise RuleError(f"{where}: unknown key {unknown[0]}: {meant(unknown[0], sorted(known))}")
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
}
"""What checks and converts the value of a key; other values stay as they are."""
