from __future__ import annotations

import re
from pathlib import Path

import pytest

from vllm_watch.config import AdviceSettings, HealthSettings
from vllm_watch.health import rulefile, trendfindings
from vllm_watch.health.calculators import CALCULATORS
from vllm_watch.health.rulefile import AT_ONCE, LONGEST_WORD
from vllm_watch.health.rules import (
    RULE_FILE,
    Rule,
    RuleError,
    StateRule,
    builtin_rules,
    load_rules,
)

RULE = """
[[rule]]
id = "x"
word = "x"
severity = "note"
metric = "running"
when = [{ signal = "running", above = 3 }]
clear = [{ signal = "running", below = 3 }]
hold = "hold_samples"
title = "t"
detail = "d"
remedy = "r"
guide = "g"
"""


TRENDS = {"slows-as-expected", "slows-too-much", "sudden-drop", "no-recovery"}


def levels() -> list[str]:
    tests = [test for rule in builtin_rules().rules for test in (*rule.when, *rule.clear)]
    names = [name for test in tests for name in (test.level, test.margin)]
    names += [str(name) for rule in builtin_rules().rules for name in rule.hold]
    return [name for name in names if isinstance(name, str) and name != str(AT_ONCE)]


def test_every_level_is_a_setting() -> None:
    assert levels()
    owners = (HealthSettings(), AdviceSettings())
    assert [name for name in levels() if not any(hasattr(one, name) for one in owners)] == []


def test_every_finding_says_what_to_do_and_who_says_so() -> None:
    book = builtin_rules()
    every: list[Rule | StateRule] = [*book.rules, *book.states.values()]
    names = [(rule.id, getattr(rule, "state", "")) for rule in every]
    assert len(set(names)) == len(names)
    for rule in every:
        assert rule.remedy
        assert rule.guide
        assert 0 < len(rule.word) <= LONGEST_WORD


def test_every_source_of_a_finding_is_explained() -> None:
    """Only rule files of a user may name a source of their own."""
    page = (Path(__file__).parents[2] / "docs/reference/health.md").read_text(encoding="utf-8")
    sources = page.partition("## Sources")[2].partition("\n## ")[0]
    book = builtin_rules()
    guides = {rule.guide for rule in book.rules} | {one.guide for one in book.states.values()}
    guides |= {trendfindings.GUIDE, *(one.guide for one in CALCULATORS)}
    assert sorted(guide for guide in guides if f"| {guide} |" not in sources) == []


def test_a_text_reads_well_if_only_one_request_runs_or_waits() -> None:
    counts = re.compile(r"\{(running|waiting|step_batch)\} requests")
    for rule in builtin_rules().rules:
        assert not any(map(counts.search, (rule.title, rule.raised_title, rule.detail))), rule.id


def test_a_finding_without_an_end_of_its_own_ends_with_its_title() -> None:
    over = {rule.id: rule.over for rule in builtin_rules().rules}
    assert over["kv-cache-low"] == "Room for more: over"
    assert over["over-capacity-start"] == "More requests allowed than fit: over"
    assert over["kv-cache-high"] == "KV cache down to {value}"


def test_severities_are_those_of_the_guides() -> None:
    severities = {  # new rules may be added, these may not be removed or changed
        "kv-cache-critical": "critical",
        "kv-cache-high": "warning",
        "kv-cache-low": "note",
        "prefix-hits-low": "warning",
        "queue-long": "warning",
        "queue-short": "note",
        "throughput-near-zero": "critical",
        # A binding limit is a warning, critical from KV 95 %; the client
        # is a note; imbalance a warning; signs of the start-up are notes.
        "batch-limit-binds": "warning",
        "kv-cache-binds": "warning",
        "preemptions": "warning",
        "over-capacity-swings": "warning",
        "engines-unbalanced": "warning",
        "engine-silent": "critical",
        "client-too-slow": "note",
        "eager-mode": "note",
        "tensor-parallel-small-model": "note",
        "custom-allreduce-off": "note",
        "over-capacity-start": "note",
        "max-model-len-large": "note",
        "batched-tokens-small": "note",
        "vision-language": "note",
        # Findings from recordings.
        "slo-ttft": "warning",
        "slo-itl": "warning",
        "slo-queue": "warning",
        "stats-from-recording": "note",
        "log-and-counters-differ": "note",
        "gpu-idle-while-waiting": "warning",
        "gpu-throttled": "warning",
        "gpu-hot": "warning",
        "gpu-memory-full": "warning",
        # Other findings from the log.
        "nothing-generated": "critical",
        "prefill-binds": "warning",
        "waits-though-free": "warning",
        "runaway-generation": "note",
        "deferred": "note",
        "drafts-rejected": "note",
        "engines-missing": "note",
        "kv-override": "note",
        "prefix-caching-off": "note",
        "http-errors": "warning",
        "slow-step": "warning",
        "budget-binds": "note",
    }
    found = {rule.id: rule.severity for rule in builtin_rules().rules}
    assert {name: found.get(name) for name in severities} == severities
    assert {state: rule.severity for state, rule in builtin_rules().states.items()} == {
        "dead": "critical",
        "stalled": "critical",
        "ended": "critical",
        "no-stats": "note",
        "slow-start": "warning",
        "slow-started": "note",
        "crash-loop": "critical",
        "workers-hang": "warning",
    }


def test_what_is_hidden_exists() -> None:
    book = builtin_rules()
    every: list[Rule | StateRule] = [*book.rules, *book.states.values()]
    ids = {rule.id for rule in every}
    for rule in every:
        assert set(rule.hides) - {"*"} <= ids | TRENDS
    assert book.hides("kv-cache-critical") == ("kv-cache-high", "over-capacity-start")
    assert book.hides("no such finding") == ()


def test_the_built_in_file_is_read_once() -> None:
    assert builtin_rules() is builtin_rules()
    assert load_rules(RULE_FILE) == builtin_rules()


def test_a_rule_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULE + 'recent = { needed = "recent_needed", of = "recent_of" }\n')
    (rule,) = load_rules(file).rules
    assert rule.hold == ("recent_needed", "recent_of")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('guide = "g"', "", "key 'guide' is missing"),
        ('hold = "hold_samples"', "", "key 'hold' is missing"),
        ('"note"', '"fatal"', "severity 'fatal' is not one of note, warning, critical"),
        ('metric = "running"', 'metric = "runing"', "metric 'runing' is not in the catalogue"),
        (
            'signal = "running", above',
            'signal = "load", above',
            "signal 'load' is neither a metric",
        ),
        ("above = 3", "over = 3", "needs one of at_least, above, below"),
        ("[[rule]]", "[[rule", "cannot be read: Expected ']]'"),
        ("[[rule]]", "[[state]]\nstat = 'dead'\n[[rule]]", "unknown key stat: did you mean state?"),
    ],
)
def test_a_bad_rule_is_refused_with_file_rule_and_key(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULE.replace(old, new, 1))
    with pytest.raises(RuleError) as refused:
        load_rules(file)
    assert words in str(refused.value)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({}, "rule 'x': is defined twice"),
        ({"id": "y", "word": "y"}, "rule 'y': title 't' is also that of 'x'"),
        ({"id": "y", "title": "u"}, "word 'x' is also that of 'x', and neither hides the other"),
        ({"id": "y", "title": "u", "word": "z", "raised_word": "x"}, "word 'x' is also that of"),
    ],
)
def test_rules_that_look_alike_are_refused(
    tmp_path: Path, other: dict[str, str], words: str
) -> None:
    first = {"id": "x", "word": "x", "title": "t", "raised_word": "w"}
    common = [line for line in RULE.splitlines() if line.partition(" =")[0] not in first]
    lines: list[str] = []
    for keys in (first, {**first, "raised_word": "v", **other}):
        lines += [*common, *(f'{key} = "{text}"' for key, text in keys.items())]
    (tmp_path / "rules.toml").write_text("\n".join(lines))
    with pytest.raises(RuleError) as refused:
        load_rules(tmp_path / "rules.toml")
    assert words in str(refused.value)
    if "title" in other:  # if it hides the first, only one of them is shown
        (tmp_path / "rules.toml").write_text("\n".join([*lines, 'hides = ["x"]']))
        assert len(load_rules(tmp_path / "rules.toml").rules) == 2


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"none\.toml: cannot be read: no such file or directory$"):
        load_rules(tmp_path / "none.toml")


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_bytes(RULE.encode() + "# größer".encode("latin-1"))
    with pytest.raises(RuleError, match=r"rules\.toml: cannot be read: 'utf-8' codec can't decode"):
        load_rules(file)


def test_rules_that_were_kept_are_those_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    read = load_rules(RULE_FILE)
    monkeypatch.setattr(rulefile, "read_rules", None)  # the file is not read again
    assert load_rules(RULE_FILE) == read
    assert len(read.rules) > 40
