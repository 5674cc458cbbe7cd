"""Rules: what they are, and the built-in ones with the user's own. They are not evaluated here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cache

from vllm_watch.config.sections import Severity
from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.hints import Any, NamedTuple
from vllm_watch.locations import rule_files
from vllm_watch.parsing.errors import FormatError
from vllm_watch.tables import keep_tables, kept_tables

SEVERITIES: tuple[Severity, ...] = ("note", "warning", "critical")
"""From the least to the most severe."""
GLYPHS = {"note": "•", "warning": "▲", "critical": "✖"}
"""A shape for each severity: colour is never the only sign."""

FACTS = frozenset(
    {
        *("max_num_seqs", "max_model_len", "max_num_batched_tokens", "gpu_memory_utilization"),
        *("tensor_parallel_size", "data_parallel_size", "kv_cache_tokens", "max_concurrency"),
        *("eager", "custom_allreduce_off", "vision_language", "model_billions", "over_capacity"),
        *("prefix_caching", "kv_override", "kv_cache_fp8", "cuda", "cpu", "gpu_gib"),
        *("kv_cache_gib", "latent_attention"),
        *("num_gpu_blocks", "num_gpu_blocks_override"),
    }
)
"""Signals from the start-up (`startupfacts.py`)."""
RECORDED_SCOPES = ("recorded", "gpu", "answers", "steps")
"""Scopes of rules that do not judge stats lines.

They judge recorded rows of an engine or a GPU, answers of the server, or steps of an engine.
"""
SAMPLED_SCOPES = ("engine", "server")
"""Scopes of rules that judge stats lines: of one engine, or of all together."""
RULE_FILE = os.path.join(os.path.dirname(__file__), "rules.toml")


class RuleError(FormatError):
    """A rule file with an error; the message names file, rule and key."""


class Test(NamedTuple):
    """One comparison of a signal with a level."""

    signal: str
    """What is compared: a metric, or a value of docs/reference/findings.md, Signals."""
    comparison: str
    """`at_least`, `above`, `below` or `at_most`."""
    level: str | float
    """Name of a setting, or a number."""
    margin: str | float = 0.0
    """How far past the level a value must be (name of a setting, or a number)."""


class Rule(NamedTuple):
    """A finding from samples."""

    id: str
    """Its name in `hides`, reports and exports; an own rule replaces the one of the same id."""
    word: str
    """Shown instead of the state on the screen, at most 9 characters."""
    severity: Severity
    """How bad it is."""
    metric: str
    """The metric whose value is in the title, and whose chart is marked."""
    when: tuple[Test, ...]
    """Tests that must all be true; a test of an unknown signal counts as false."""
    clear: tuple[Test, ...]
    """Tests that must all be true for `clear_samples` samples in a row before an alert is over."""
    hold: tuple[str | float, str | float]
    """Settings: how many samples are needed, of how many most recent ones."""
    title: str
    """What is wrong, with its figure."""
    detail: str
    """The numbers behind it, and what follows from it."""
    remedy: str
    """What to do; shown if no flag can be computed."""
    guide: str
    """Where its range comes from: a source of docs/reference/health.md, or one of your own."""
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
    """The text when the alert is over, with the figures of then; else the title up to its colon."""
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
    """The state of a server, or `slow-start`, `slow-started`, `crash-loop`, `workers-hang`."""
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


def title_over(title: str) -> str:
    """Return what is said when a finding is over and no text of its own says so."""
    return f"{title.partition(':')[0]}: over"


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
    """Read a rule file; what passed its checks is kept for the next start.

    Raises:
        RuleError: it cannot be read, or a rule lacks a key or names an unknown signal.
    """
    path = os.fspath(path)
    kept = kept_tables("checked-rules", [path])
    if kept is not None:
        rules = tuple(_rule_of(values) for values in kept[0]["rules"])
        states = [StateRule(**values) for values in kept[0]["states"]]
    else:
        from vllm_watch.health.rulefile import read_rules  # only for changed files

        rules, states = read_rules(path)
        plain = {"rules": list(map(_plain, rules)), "states": list(map(_plain, states))}
        keep_tables("checked-rules", [path], [plain])
    return RuleBook(rules, {rule.state: rule for rule in states})


_TESTS = ("when", "clear", "unless", "raised_when")
"""Fields of a rule that hold tests."""


def _plain(rule: Rule | StateRule) -> dict[str, Any]:
    """Return the values of a rule as they are kept: a test as the tuple of its values."""
    values: dict[str, Any] = {name: getattr(rule, name) for name in rule.__match_args__}
    for name in _TESTS if isinstance(rule, Rule) else ():
        values[name] = [tuple(test) for test in values[name]]
    return values


def _rule_of(values: dict[str, Any]) -> Rule:
    """Return a rule from its plain values."""
    return Rule(**values | {name: tuple([Test(*test) for test in values[name]]) for name in _TESTS})
