"""The advice after a death, in words for places without keys."""

from __future__ import annotations

import pytest

from tests.logs import log_of
from vllm_watch.cli import main
from vllm_watch.health import trendfindings
from vllm_watch.health.rules import builtin_rules

SAYS_WHAT_TO_DO = [
    ("check",), ("check", "--json"), ("summary",), ("summary", "--json"),
    ("status", "--format", "{remedy}"),
]  # fmt: skip


@pytest.mark.parametrize("command", SAYS_WHAT_TO_DO, ids=" ".join)
def test_scripts_get_the_remedy_without_a_key(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    main([*command, str(log_of("h100_saturated_then_killed"))])
    told = "".join(capsys.readouterr())
    assert "check dmesg and the batch system, restart" in told
    assert "key x" not in told


def test_no_remedy_names_a_key() -> None:
    book = builtin_rules()
    said = [rule.remedy for rule in book.rules] + [rule.remedy for rule in book.states.values()]
    said += [words for state in book.states.values() for words in state.remedies.values()]
    said += [words for words in vars(trendfindings).values() if isinstance(words, str)]
    assert len(said) > 30
    assert not [words for words in said if "key x" in words or "press" in words]
