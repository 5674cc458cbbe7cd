"""An unknown name: every kind of name gets the same hint."""

from __future__ import annotations

from pathlib import Path

import pytest

from vllm_watch.cli.main import main
from vllm_watch.core.mistakes import name_hint

KNOWN = ("time.tz", "screen.theme", "screen.charts", "replay.speed", "kv_low", "kv_high", "kv_a")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("screen.t", "did you mean screen.theme?"),
        ("screen", "did you mean screen.theme or screen.charts?"),
        ("kv_", "did you mean kv_low or kv_high or kv_a?"),
        ("k", "did you mean kv_low or kv_high or kv_a?"),
        ("tz", "did you mean time.tz?"),
        ("screen.speed", "did you mean replay.speed?"),
        ("replay.sped", "did you mean replay.speed?"),
        ("", f"there are {', '.join(KNOWN)}"),
        ("xyz", f"there are {', '.join(KNOWN)}"),
    ],
)
def test_a_name_means_those_it_begins_or_ends_like_else_a_similar_one(name: str, hint: str) -> None:
    assert name_hint(name, KNOWN) == hint


def test_at_most_three_names_are_suggested() -> None:
    assert name_hint("a", [f"a{number}" for number in range(9)]) == "did you mean a0 or a1 or a2?"


def test_a_hint_says_where_all_names_are_listed_and_writes_names_as_users_do() -> None:
    assert name_hint("jsno", ["json"], "--{}", "`x --help` lists them all") == (
        "did you mean --json? `x --help` lists them all"
    )
    assert (
        name_hint("foo", ["json"], "--{}", "`x --help` lists them all")
        == "`x --help` lists them all"
    )
    assert name_hint("foo", ["json", "tz"], "--{}") == "there are --json, --tz"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["summary", "--jsno", "a"], "unknown option --jsno: did you mean --json? `vllm-watch "),
        (["web", "a", "--port", "8499"], "unknown option --port: `vllm-watch web --help` lists"),
        (["runs", "LOG", "--sort", "runing"], "unknown column runing: did you mean running? `vllm"),
        (["runs", "LOG", "--sort", "tps"], "unknown column tps: `vllm-watch runs --json` shows "),
        (["status", "LOG", "--format", "{runing}"], "unknown field {runing}: did you mean {runn"),
        (["summary", "a", "--config", "SETTINGS"], "unknown key time.zt: did you mean time.tz? `v"),
    ],
)
def test_options_columns_fields_and_keys_are_refused_in_the_same_words(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[time]\nzt = "UTC"\n')
    log = Path(__file__).parents[2] / "fixtures" / "logs" / "h100_baseline_eager"
    places = {"LOG": str(log), "SETTINGS": str(settings)}
    assert main([places.get(word, word) for word in words]) == 2
    assert said in capsys.readouterr().err
