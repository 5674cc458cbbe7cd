"""Thresholds for one model, and the user's own rules."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.logs import formats, log_of
from vllm_watch.cli.main import main
from vllm_watch.config import ConfigError, Settings, load_settings
from vllm_watch.config.template import shown_settings
from vllm_watch.health.finding import Finding
from vllm_watch.health.rules import known_rules
from vllm_watch.locations import config_file
from vllm_watch.reports.reading import read_saved

OWN = """
[[rule]]
id = "many-running"
word = "many"
severity = "warning"
metric = "running"
when = [{ signal = "running", above = 200 }]
clear = [{ signal = "running", at_most = 200 }]
hold = "hold_samples"
title = "{running} run"
detail = "more than we pay for"
remedy = "send fewer"
guide = "house rules"
"""


def settings_with(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, {}, {})


def found_in(capture: str, settings: Settings) -> dict[str, Finding]:
    reading = read_saved([str(log_of(capture))], formats(), settings)
    (server,) = reading.servers
    return {finding.id: finding for finding in reading.findings(server, server.run)}


@pytest.mark.parametrize("who", ['model = "*Qwen3*"', 'server = "*:8002"'])
def test_an_override_holds_for_those_it_fits(tmp_path: Path, who: str) -> None:
    """`h100_long_context` ends with 70.5, 72.5, 75.4, 78.4 and 81.5 %: five lines above 70 %."""
    settings = settings_with(
        tmp_path, f"[[health.override]]\n{who}\nkv_cache_high = 0.70\nkv_cache_healthy_high = 0.7\n"
    )
    assert "kv-cache-high" not in found_in("h100_long_context", Settings())
    high = found_in("h100_long_context", settings)["kv-cache-high"]
    assert "above 70 %" in high.detail


def test_an_override_does_not_apply_to_others(tmp_path: Path) -> None:
    text = '[[health.override]]\nmodel = "*VL*"\nkv_cache_high = 0.70\n'
    assert "kv-cache-high" not in found_in("h100_long_context", settings_with(tmp_path, text))


def test_a_later_override_replaces_an_earlier_one(tmp_path: Path) -> None:
    settings = settings_with(
        tmp_path,
        '[[health.override]]\nmodel = "*"\nhold_samples = 4\nfall_to_4k = 0.05\n'
        '[[health.override]]\nserver = "M:1"\nhold_samples = 5\n',
    )
    one, other = settings.of_server("M:1", "M"), settings.of_server("M:2", "M")
    assert (one.health.hold_samples, other.health.hold_samples) == (5, 4)
    assert (one.trend.fall_to_4k, settings.trend.fall_to_4k) == (0.05, 0.10)
    assert settings.of_server("unknown", None) is settings


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '[[health.override]]\nmodel = "*"\nkv_cache_hihg = 0.7\n',
            "did you mean health.override.kv_cache_high?",
        ),
        ("[[health.override]]\nkv_cache_high = 0.7\n", "must name the servers"),
        ('[[health.override]]\nmodel = "*"\nkv_cache_high = 7\n', "health.override.kv_cache_high"),
        ('[health]\noverride = "x"\n', "must be a list of tables"),
        ('[[health.override]]\nmodel = "*"\nkv_cache_high = 0.99\n', "must not be above"),
    ],
)
def test_a_broken_override_is_one_line_with_file_key_and_fix(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_with(tmp_path, text)
    line = str(caught.value)
    assert words in line
    assert str(tmp_path) in line
    assert "\n" not in line


def own_rules(text: str, name: str = "own.toml") -> Path:
    folder = Path(config_file(os.environ)).parent / "rules"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_rules_of_ones_own_are_judged_by_too() -> None:
    own_rules(OWN)
    found = found_in("h100_optimised", Settings())
    # 256, 256, 255, 255, 254 … from 08:56:30 on: the third line past 200 is that of 08:56:50.
    assert found["many-running"].title == "255 run" or found["many-running"].title == "256 run"
    assert found["many-running"].severity == "warning"
    assert "client-too-slow" in found


def test_a_rule_of_the_same_id_takes_the_built_in_ones_place() -> None:
    own_rules(OWN.replace("many-running", "client-too-slow"))
    assert found_in("h100_optimised", Settings())["client-too-slow"].guide == "house rules"


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (OWN.replace("remedy =", "remedi ="), "unknown key remedi: did you mean remedy?"),
        (OWN.replace('signal = "running"', 'signal = "runing"'), "signal 'runing'"),
        (OWN.replace("hold_samples", "hold_lines"), "hold 'hold_lines' is not a setting"),
        (OWN.replace("above = 200", 'above = "much"'), "level 'much' is not a setting"),
        ("rule = 3", "rule must be a list of tables"),
        ("[[rule]", "cannot be read: Expected ']]'"),
        ("[[rules]]\nid = 1", "unknown key rules"),
    ],
)
def test_a_broken_rule_file_is_refused_and_the_others_stay(
    broken: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = own_rules(broken, "a.toml")
    own_rules(OWN, "b.toml")
    book, (line,) = known_rules()
    assert words in line
    assert str(path) in line
    assert "\n" not in line
    ids = {rule.id for rule in book.rules}
    assert {"many-running", "kv-cache-high"} <= ids
    assert main(["check", str(log_of("h100_optimised"))]) == 2  # a saved log that stopped
    assert words in capsys.readouterr().err


def test_config_show_lists_overrides_and_can_be_read_back(tmp_path: Path) -> None:
    text = '[[health.override]]\nmodel = "*VL*"\nkv_cache_high = 0.75\nfall_to_4k = 0.2\n'
    settings = settings_with(tmp_path, text)
    assert settings_with(tmp_path, shown_settings(settings)) == settings
