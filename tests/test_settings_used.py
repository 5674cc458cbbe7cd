"""Every setting of judgement, changed once: something else is found.

The other settings are in test_setting_effects.py.
"""

from __future__ import annotations

import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from scripts.judge import CAPTURES, READ_AT, history
from scripts.scenarios import load_scenarios, write
from tests.logs import formats
from vllm_watch.config import Settings
from vllm_watch.config.registry import known_settings
from vllm_watch.core.dataclass import replace
from vllm_watch.core.news import News
from vllm_watch.health.monitor import Monitor
from vllm_watch.health.rules import builtin_rules
from vllm_watch.reports.reading import Reading, read_saved

ROOT = Path(__file__).parents[1] / "vllm_watch"
EFFECTS: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("setting_effects.toml").read_text(encoding="utf-8")
)
TABLE = "tests/setting_effects.toml"
JUDGED = ("health", "advice", "trend")
OUT_OF_REACH = {"at_least": 1e9, "above": 1e9, "below": -1e9, "at_most": -1e9}


def levels_of_rules() -> dict[str, list[Any]]:
    """Return a log and a value for each setting that a rule compares.

    The log is a scenario that the rule must find; with the value it finds it no longer.
    """
    log_of_rule: dict[str, str] = {}
    for scenario in load_scenarios():
        for stretch in scenario.labels["stretch"]:
            for rule in stretch.get("expect", ()):
                log_of_rule.setdefault(rule, scenario.name)
    return {
        test.level: [log_of_rule[rule.id], OUT_OF_REACH[test.comparison]]
        for rule in reversed(builtin_rules().rules)
        for test in rule.when
        if isinstance(test.level, str) and rule.id in log_of_rule
    }


for level, effect in levels_of_rules().items():
    (section,) = (one for one in JUDGED if f"{one}.{level}" in known_settings())
    EFFECTS[section].setdefault(level, effect)


def test_every_setting_of_judgement_has_an_effect_that_is_checked() -> None:
    """`elsewhere` names the test of a setting that no composed log can show."""
    wanted = {key for key, one in known_settings().items() if one.section in JUDGED}
    elsewhere = EFFECTS["elsewhere"]
    shown = {key for key in wanted if key.partition(".")[2] in EFFECTS[key.partition(".")[0]]}
    unproven = sorted(wanted - shown - set(elsewhere))
    assert unproven == [], (
        f"give each a line in {TABLE}: a log, and a value that changes its findings"
    )
    assert set(elsewhere) <= wanted - shown, f"not needed in [elsewhere] of {TABLE}"
    for key, place in elsewhere.items():
        file, _, name = place.partition("::")
        text = (Path(__file__).parent / file).read_text(encoding="utf-8")
        body = text.partition(f"def {name}(")[2].partition("\ndef ")[0]
        decorators = text.partition(f"def {name}(")[0].rpartition("\n\n\n")[2]
        assert key.partition(".")[2] in decorators + body, f"{place} does not name {key}"


def said(reading: Reading, read_news: list[News], settings: Settings) -> list[object]:
    """Return state and findings of every run by other settings."""
    other = Reading(Monitor(settings), reading.found, READ_AT)
    for one in read_news:
        other.monitor.apply(one)
    other.monitor.judge()
    words: list[object] = []
    for server in other.servers:
        for run in server.runs:
            words += history(
                other.monitor, server, run, other.end(run), saved=other.saved(server, run)
            )
        health = other.health(server)
        words.append((health.state.name, [one.title for one in health.findings]))
    return words


@pytest.fixture(name="read", scope="module")
def made_read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Read each log of the table once; return what judges it by settings."""
    place = tmp_path_factory.mktemp("logs")
    scenarios = {one.name: one for one in load_scenarios()}
    judges: dict[str, Any] = {}
    for name in {log for section in JUDGED for log, _ in EFFECTS[section].values()}:
        if name in scenarios:
            path = write(scenarios[name], place, scenarios[name].seeds[0])
        else:
            (path,) = (CAPTURES / name).glob("*.log")
        read_news: list[News] = []
        reading = read_saved(
            [str(path)], formats(), Settings(), passed=read_news.append, wall=lambda: READ_AT
        )
        judges[name] = partial(said, reading, read_news)
    return judges


@pytest.mark.parametrize("section", JUDGED)
def test_every_setting_of_judgement_changes_what_is_found(
    section: str, read: dict[str, Any]
) -> None:
    usual = {name: judge(Settings()) for name, judge in read.items()}
    idle = []
    for key, (name, value) in EFFECTS[section].items():
        settings = Settings()
        changed: Any = replace(getattr(settings, section), **{key: value})
        changed_settings: Any = replace(settings, **{section: changed})
        if read[name](changed_settings) == usual[name]:
            idle.append(key)
    assert idle == [], f"with these settings the same is found: other logs or values in {TABLE}"
