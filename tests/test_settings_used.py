"""Every setting of judgement, at its lowest or highest value: something else is found.

The other settings are in test_setting_effects.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from scripts.judge import READ_AT, history
from scripts.scenarios import Scenario, load_scenarios, write
from tests.logs import formats
from vllm_watch.config import Settings
from vllm_watch.config.registry import known_settings
from vllm_watch.core.dataclass import replace
from vllm_watch.core.news import News
from vllm_watch.health.monitor import Monitor
from vllm_watch.health.rules import Rule, builtin_rules
from vllm_watch.reports.reading import Reading, read_saved

JUDGED = ("health", "advice", "trend")
ELSEWHERE = {
    **dict.fromkeys(
        (
            *("health.gpu_in_use", "health.gpu_idle", "health.gpu_memory_full"),
            *("health.gpu_hot_celsius", "health.counter_difference"),
        ),
        "health/test_recorded.py::test_a_level_decides_about_its_finding",
    ),
    "advice.job_overhead": "health/test_calculators.py::test_settings_are_inputs",
}
"""The test of each setting that needs more than a log."""
TRIED = (0, 1, 0.0, 1e-6, 1.0, 10**9, 1e9)
"""Of these, the lowest and the highest that a setting accepts are tried."""


@cache
def scenarios() -> dict[str, Scenario]:
    return {one.name: one for one in load_scenarios()}


def expected_by() -> dict[str, str]:
    """Return for each finding the first scenario in which it must be found."""
    first: dict[str, str] = {}
    for scenario in scenarios().values():
        for stretch in scenario.labels["stretch"]:
            for finding in stretch.get("expect", ()):
                first.setdefault(finding, scenario.name)
    return first


def names_in(rule: Rule) -> Iterator[object]:
    """Yield what a rule names: settings, and more."""
    for value in rule:
        for part in value if isinstance(value, tuple) else (value,):
            yield from part if isinstance(part, tuple) else (part,)


def likely_logs(setting: str) -> list[str]:
    """Return all scenarios, the likely ones first.

    Likely are those of rules that name the setting, those with words of its name in theirs, and
    one of each finding.
    """
    first = expected_by()
    named = [
        first[rule.id]
        for rule in builtin_rules().rules
        if rule.id in first and setting in names_in(rule)
    ]
    words = set(setting.split("_"))
    alike = sorted(scenarios(), key=lambda name: -len(words.intersection(name.split("-"))))
    return list(dict.fromkeys([*named, *alike[:10], *first.values(), *scenarios()]))


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


@cache
def judge_of(name: str) -> tuple[Callable[[Settings], list[object]], list[object]]:
    """Read a scenario once; return what judges it by settings, and what is usually found."""
    scenario, read_news = scenarios()[name], list[News]()
    with TemporaryDirectory() as folder:
        path = write(scenario, Path(folder), scenario.seeds[0])
        reading = read_saved(
            [str(path)], formats(), Settings(), passed=read_news.append, wall=lambda: READ_AT
        )
    judge = partial(said, reading, read_news)
    return judge, judge(Settings())


def extremes(key: str) -> list[Settings]:
    """Return the settings with the lowest and the highest value of one of them."""
    kind, settings = known_settings()[key].kind, Settings()
    section, _, name = key.partition(".")
    usual = getattr(settings, section)
    accepted: list[Any] = []
    for value in TRIED:
        try:
            accepted.append(kind.accept(value))
        except ValueError:
            continue
    changed: list[Any] = [replace(usual, **{name: pick(accepted)}) for pick in (min, max)]
    return [replace(settings, **{section: one}) for one in changed if one != usual]


PROVEN = sorted(
    key for key, one in known_settings().items() if one.section in JUDGED and key not in ELSEWHERE
)


@pytest.mark.parametrize("key", PROVEN)
def test_a_setting_of_judgement_changes_what_is_found(key: str) -> None:
    others = extremes(key)
    for name in likely_logs(key.partition(".")[2]):
        judge, usual = judge_of(name)
        if any(judge(other) != usual for other in others):
            return
    pytest.fail(
        "with its lowest and its highest value the same is found in all of"
        " fixtures/judgement/scenarios: add a scenario in which it decides"
    )


@pytest.mark.parametrize("key", ELSEWHERE)
def test_a_setting_that_needs_more_than_a_log_has_a_test(key: str) -> None:
    assert key in known_settings()
    file, _, name = ELSEWHERE[key].partition("::")
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    body = text.partition(f"def {name}(")[2].partition("\ndef ")[0]
    decorators = text.partition(f"def {name}(")[0].rpartition("\n\n\n")[2]
    assert key.partition(".")[2] in decorators + body, f"{ELSEWHERE[key]} does not name {key}"
