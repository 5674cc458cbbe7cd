"""The {names} in texts of rules: unknown ones are refused, known ones are filled in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.logs import formats, log_of
from vllm_watch.config import Settings
from vllm_watch.core.metrics import METRIC_BY_NAME
from vllm_watch.health import alertfindings, statefindings
from vllm_watch.health.rules import FACTS, RuleError, load_rules
from vllm_watch.health.ruletexts import names_of_rule, names_of_state, text_names
from vllm_watch.reports.reading import read_saved

RULE = """
[[rule]]
id = "many-running"
word = "many"
severity = "warning"
scope = "engine"
metric = "running"
when = [{ signal = "running", above = 200 }]
clear = [{ signal = "running", at_most = 200 }]
hold = "hold_samples"
title = "{running} run"
detail = "more than {limit}"
remedy = "send fewer"
guide = "house rules"
"""
STATE = """
[[state]]
id = "loops"
word = "loop"
severity = "critical"
state = "crash-loop"
title = "Died {times} times"
detail = "{why}"
remedy = "stop it"
guide = "house rules"
"""


def refusal(tmp_path: Path, text: str) -> str:
    """The words of the error about a rule file, after its path."""
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RuleError) as refused:
        load_rules(path)
    line = str(refused.value)
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            RULE.replace("{limit}", "{limt}"),
            "rule 'many-running': detail: unknown {limt}: did you mean {limit}? there are {value}, ",
        ),
        (
            RULE.replace("{running} run", "{of_answered}"),  # known in the scope `answers`
            "rule 'many-running': title: unknown {of_answered}: there are {value}, ",
        ),
        (
            RULE + 'over = "down to {vlaue}"\n',
            "rule 'many-running': over: unknown {vlaue}: did you mean {value}? ",
        ),
        (RULE + 'expect = "{}"\n', "rule 'many-running': expect: unknown {}: there are {value}"),
        (
            RULE + 'raised_title = "{gpu}"\n',
            "rule 'many-running': raised_title: unknown {gpu}: did you mean {gpu_gib} or "
            "{gpu_memory_utilization}? ",
        ),
        (
            RULE.replace('scope = "engine"', 'scope = "gpu"'),
            "rule 'many-running': title: unknown {running}: there are {gpu}, {utilization}, ",
        ),
        (
            STATE.replace("{times}", "{took}"),
            "state 'loops': title: unknown {took}: there are {why}, {times}, {span}, {limit}, ",
        ),
    ],
)
def test_an_unknown_name_is_refused_with_the_names_there_are(
    text: str, said: str, tmp_path: Path
) -> None:
    line = refusal(tmp_path, text)
    assert line.startswith(said)
    assert "{limit}" in line.partition("there are")[2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            RULE.replace("{running} run", "{running run"),
            "title: expected '}' before end of string; a brace that is meant is written twice",
        ),
        (
            RULE.replace("{running} run", "{running:.1f} run"),
            "title: write {running} without anything else in the braces",
        ),
        (
            RULE.replace("send fewer", "send {limit}"),
            "remedy: {limit} is replaced only in title, detail, over, expect, raised_title",
        ),
        (RULE.replace('"send fewer"', "3"), "remedy must be a text"),
        (
            RULE + 'advice = "fre-cache"\n',
            "unknown advice 'fre-cache': did you mean free-cache?",
        ),
    ],
)
def test_a_text_that_could_not_be_filled_in_is_refused(
    text: str, said: str, tmp_path: Path
) -> None:
    assert refusal(tmp_path, text) == f"rule 'many-running': {said}"


def test_a_state_that_there_is_not_is_refused(tmp_path: Path) -> None:
    line = refusal(tmp_path, STATE.replace('"crash-loop"', '"crashloop"'))
    assert line == "state 'loops': unknown state 'crashloop': did you mean crash-loop?"


def test_braces_written_twice_and_other_words_in_braces_may_stand(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    text = RULE.replace("{running} run", "{{a}} {value}").replace("send fewer", '{\\"method\\": 1}')
    path.write_text(text + STATE, encoding="utf-8")
    book = load_rules(path)
    assert book.rules[0].title.format_map({"value": "7"}) == "{a} 7"


def test_what_texts_may_name_is_what_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """In real logs no other name is filled in, and each documented one is."""
    filled: set[str] = set()
    real_words, real_said = alertfindings.span_words, statefindings._said

    def words(case: Any, span: Any, time: float) -> dict[str, str]:
        found = real_words(case, span, time)
        if span.rule.scope in ("engine", "server"):
            internal = {"context_tokens", "of_answered", "reasons"}
            assert found.keys() - internal <= {*names_of_rule(span.rule.scope)}
            filled.update(found)
        return found

    def said(case: Any, time: float, given: Mapping[str, str]) -> dict[str, str]:
        found = real_said(case, time, given)
        every = {name for state in ("dead", "crash-loop", "workers-hang", "slow-started")
                 for name in names_of_state(state)}  # fmt: skip
        assert found.keys() <= every
        return found

    monkeypatch.setattr(alertfindings, "span_words", words)
    monkeypatch.setattr(statefindings, "_said", said)
    names = ("h100_optimised", "h100_long_context", "h100_saturated_then_killed", "cpu_two_engines")
    for name in names:
        reading = read_saved([str(log_of(name))], formats(), Settings())
        for server in reading.servers:
            assert reading.findings(server, server.run)
    assert {*names_of_rule("engine")} - {*METRIC_BY_NAME} - FACTS <= filled


def test_the_documented_names_are_those_that_are_known() -> None:
    told = {name for names, *_ in text_names() for name in names.split(", ")}
    scopes = ("engine", "server", "silence", "recorded", "gpu", "answers", "steps")
    known = {name for scope in scopes for name in names_of_rule(scope)}
    states = {name for state in ("dead", "crash-loop", "workers-hang", "slow-started")
              for name in names_of_state(state)}  # fmt: skip
    assert told == (known | states) - (METRIC_BY_NAME.keys() - {"waiting"}) - FACTS
