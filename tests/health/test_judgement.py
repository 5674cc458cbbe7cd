from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from scripts.advice_ledger import PAGE, page
from scripts.judge import (
    CAPTURES,
    faults,
    judge_all,
    judge_scenario,
    known_faults,
    known_key,
    reader,
    report,
    shown_at,
)
from scripts.labels import Found, Label, Stretch, contradictions, read_label, score, unhidden
from scripts.scenarios import FOLDER, Scenario, load_scenarios, moment, write
from tests.logs import stats_by_hand
from vllm_watch.config import HealthSettings, Settings
from vllm_watch.health.rules import RECORDED_SCOPES, builtin_rules

STATS = re.compile(
    r"^\(APIServer pid=447\) INFO 11-23 (\d\d:\d\d:\d\d) \[loggers\.py:310\] Engine (\d{3}): "
    r"Avg prompt throughput: (\S+) tokens/s, Avg generation throughput: (\S+) tokens/s, "
    r"Running: (\d+) reqs, Waiting: (\d+) reqs, GPU KV cache usage: (\S+)%, "
    r"Prefix cache hit rate: (\S+)%$"
)


def stretch(start: float, end: float, *expect: str, **more: object) -> Label:
    return Label("log", (Stretch(start, end, "why", expect, **more),))  # type: ignore[arg-type]


def verdicts(label: Label, *found: Found) -> list[str]:
    return [f"{one.kind} {one.text}".strip() for one in score(label, found, 10.0)]


def test_no_fault_but_the_known_ones_and_all_advice_worked_out() -> None:
    """One test, since both parts need every log judged, which takes some seconds."""
    judged = list(judge_all())
    text, good = report(judged, known_faults())
    assert good, f"make judge says:\n{text}"
    assert len(judged) > 100
    assert sum(one.kind == "hit" for log in judged for one in log.verdicts) > 80

    text, missing, vain = page(judged)
    assert [advice.key for advice in missing] == [], (
        "work them out in fixtures/judgement/followed.toml"
    )
    assert vain == set(), "never advised: take them out of fixtures/judgement/followed.toml"
    assert "| worse |" not in text
    up_to_date = PAGE.read_text(encoding="utf-8") == text
    assert up_to_date, "docs/judgement.md is out of date: run `make reference`, look at `git diff`"


def test_only_the_named_logs_are_judged() -> None:
    assert [one.name for one in judge_all(["deferred", "h100_optimised"])] == [
        "h100_optimised",
        "deferred",
    ]


@pytest.mark.parametrize(
    ("scenario", "setting", "value"),
    [
        ("single-odd-lines", "hold_samples", 1),
        ("kv-critical", "hold_samples", 30),
        ("kv-flaps-after", "kv_clear_margin", 0.0),
        ("prefix-flaps", "prefix_clear_margin", 0.0),
        ("queue-flaps", "waiting_clear_below", 10),
        ("queue-comes-and-goes", "recent_needed", 2),
        ("queue-long-mostly", "recent_needed", 4),
        ("kv-not-quite-high", "kv_cache_high", 0.75),
        ("kv-not-quite-low", "kv_cache_low", 0.33),
        ("prefix-not-judged", "prompt_flow_needed", 0),
        ("near-zero-not-quite", "near_zero_lines", 1),
    ],
)
def test_the_measure_notices_a_rule_that_is_off(
    scenario: str, setting: str, value: float, tmp_path: Path
) -> None:
    (table,) = (one for one in load_scenarios() if one.name == scenario)
    known = known_faults()
    # Alerts that come back at once count as one, which is not the subject here.
    changed: dict[str, Any] = {setting: value, "flap_seconds": 0.001}

    def new(health: HealthSettings) -> list[str]:
        judged = list(judge_scenario(table, tmp_path, reader(Settings(health=health))))
        return [one.text for one in faults(judged) if known_key(one, known) is None]

    assert new(HealthSettings()) == []
    assert new(replace(HealthSettings(), **changed)) != []


@pytest.mark.parametrize("name", ["h100_optimised", "h100_long_context"])
def test_a_healthy_capture_never_shows_more_than_notes(name: str) -> None:
    (log,) = (CAPTURES / name).glob("*.log")
    reading = reader()(log)
    (server,) = reading.servers
    moments = list(server.run.stamps())
    assert len(moments) > 20
    seen = [one for _, shown in shown_at(reading, moments) for one in shown]
    assert [one for one in seen if one.severity != "note"] == []


def test_every_rule_has_a_stretch_that_must_be_found() -> None:
    book = builtin_rules()
    trends = {"slows-as-expected", "slows-too-much", "sudden-drop", "no-recovery"}
    wanted = trends | {
        rule.id for rule in book.rules if rule.scope not in RECORDED_SCOPES
    }  # those of recordings: tests/health/test_recorded.py
    wanted |= {rule.id for rule in book.states.values()}
    captures = tomllib.loads((FOLDER.parent / "captures.toml").read_text(encoding="utf-8"))
    tables = [*captures["capture"], *(one.labels for one in load_scenarios())]
    seen = {
        identity
        for table in tables
        for stretch in table.get("stretch", ())
        for identity in stretch.get("expect", ())
    }
    assert wanted <= seen


def beginnings(log: Path, place: Path) -> Iterator[tuple[float, Path]]:
    """Yield some moments of a log, and the log as it was then (without its twin: no stamps)."""
    text = log.read_text(encoding="utf-8")
    rows = re.finditer(r"^.*11-23 (\d\d:\d\d:\d\d).* Running: .*\n", text, re.M)
    ends = {found.group(1): found.end() for found in rows}  # engines share a stamp: the last
    for clock in list(ends)[2 :: max(1, len(ends) // 8)]:
        cut = place / clock.replace(":", "") / log.name
        cut.parent.mkdir()
        cut.write_text(text[: ends[clock]], encoding="utf-8")
        cut.with_name("capture.toml").write_text('year = 2026\ntz = "UTC"\n', encoding="utf-8")
        yield moment(clock), cut


@pytest.mark.parametrize(
    "name",
    [
        "h100_baseline_eager", "h100_long_context", "h100_optimised", "h100_saturated_then_killed",
        "cpu_two_engines", "batch-limit", "kv-binds", "preempted", "slows-for-no-reason", "swings",
        "does-not-come-back", "dp-one-silent-returns", "over-capacity-withdrawn", "near-zero",
    ],
)  # fmt: skip
def test_what_was_shown_at_a_moment_does_not_depend_on_what_came_later(
    name: str, tmp_path: Path
) -> None:
    if "_" in name:
        (log,) = (CAPTURES / name).glob("*.log")
    else:
        log = write(next(one for one in load_scenarios() if one.name == name), tmp_path)
    read = reader()
    place = tmp_path / "whole" / log.name
    place.parent.mkdir()
    place.write_bytes(log.read_bytes())
    place.with_name("capture.toml").write_text('year = 2026\ntz = "UTC"\n', encoding="utf-8")
    whole = read(place)
    for at, cut in beginnings(log, tmp_path):
        ((_, then),) = shown_at(read(cut), [at])
        ((_, now),) = shown_at(whole, [at])
        assert now == then, f"at {at - moment('00:00:00'):.0f} s"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Found("x", 100.0, 200.0, "warning"), ["hit"]),
        (Found("x", 130.0, 170.0, "warning"), ["hit"]),
        (Found("x", 131.0, 200.0, "warning"), ["miss begins 31 s late"]),
        (Found("x", 100.0, 169.0, "warning"), ["miss ends 31 s early"]),
        (Found("x", 69.0, 200.0, "warning"), ["hit", "false alarm warning for 1 s:"]),
        (Found("x", 100.0, 260.0, "warning"), ["hit", "false alarm warning for 30 s:"]),
        (Found("x", 100.0, 200.0, "note"), ["miss note, should be warning"]),
        (Found("y", 100.0, 200.0, "note"), ["miss not found", "false alarm note for 100 s:"]),
    ],
)
def test_a_finding_must_fit_its_stretch(found: Found, expected: list[str]) -> None:
    assert verdicts(stretch(100.0, 200.0, "x", severity={"x": "warning"}), found) == expected


def test_a_hole_and_flapping_are_misses() -> None:
    halves = [Found("x", 100.0, 150.0, "note"), Found("x", 190.0, 300.0, "note")]
    assert verdicts(stretch(100.0, 300.0, "x"), *halves) == ["miss gone for 40 s"]
    assert verdicts(stretch(100.0, 300.0, "x", most={"x": 1}, edge=50.0), *halves) == [
        "miss 2 alerts, should be 1"
    ]


def test_an_engine_of_its_own_is_distinguished_from_the_others() -> None:
    label = stretch(100.0, 200.0, "x", engine=2)
    assert verdicts(label, Found("x", 100.0, 200.0, "note", 2)) == ["hit"]
    assert verdicts(label, Found("x", 100.0, 200.0, "note")) == ["hit"]
    wrong = verdicts(label, Found("x", 100.0, 200.0, "note", 1))
    assert wrong == ["miss not found", "false alarm note for 100 s:"]


def test_flags_must_be_the_right_ones() -> None:
    label = stretch(100.0, 200.0, "x", flags={"x": ["--a 1", "--a 2"]})
    right = Found("x", 100.0, 200.0, "note", flags=("--a 2",))
    assert verdicts(label, right) == ["hit"]
    for flags in ((), ("--a 3",), ("--a 1", "--b 1")):
        wrong = Found("x", 100.0, 200.0, "note", flags=flags)
        assert verdicts(label, wrong)[0].startswith("miss advises")


def test_advice_that_makes_it_worse_is_a_false_alarm() -> None:
    label = stretch(100.0, 200.0, may=("x",), never=("--a",))
    found = Found("x", 150.0, 200.0, "note", flags=("--a 2", "--b 1"))
    assert verdicts(label, found) == ["false alarm advises --a 2"]


@pytest.mark.parametrize(("flag", "good"), [("--a 2", True), ("--a 9", False), ("--b 9", True)])
def test_numbers_beyond_their_bounds_are_false_alarms(flag: str, good: bool) -> None:
    label = stretch(100.0, 200.0, "x", bounds={"--a": (1, 8)})
    found = Found("x", 100.0, 200.0, "note", flags=(flag,))
    assert (verdicts(label, found) == ["hit"]) == good


LEVELS: dict[str, Callable[[dict[str, float]], bool]] = {
    "kv-cache-critical": lambda row: row["kv_cache_usage"] >= 0.95,
    "kv-cache-high": lambda row: row["kv_cache_usage"] > 0.75,
    "kv-cache-low": lambda row: row["kv_cache_usage"] < 0.35 and row["running"] > 0,
    "kv-cache-binds": lambda row: row["kv_cache_usage"] > 0.75 and row["waiting"] > 0,
    "queue-short": lambda row: row["waiting"] > 0,
    "client-too-slow": lambda row: row["waiting"] == 0 and 0 < row["running"] < 256,
    "prefix-hits-low": lambda row: row["prefix_cache_hit_rate"] < 0.25,
}


@pytest.mark.parametrize("name", sorted(path.name for path in CAPTURES.iterdir() if path.is_dir()))
def test_the_labels_of_the_captures_are_what_their_lines_say(name: str) -> None:
    """Uses an independent reader: a label for a level needs lines past the level."""
    day = moment("00:00:00")
    rows = [
        {**{key: value for key, value in row.items() if isinstance(value, (int, float))},
         "time": datetime.fromisoformat(str(row["time"])).timestamp()}
        for row in stats_by_hand(name)
    ]  # fmt: skip
    captures = tomllib.loads((FOLDER.parent / "captures.toml").read_text(encoding="utf-8"))
    (table,) = (table for table in captures["capture"] if table.pop("name") == name)
    label = read_label(name, table, day, day + 86_400, day)
    for one in label.stretches:
        for identity in set(one.expect) & set(LEVELS):
            inside = [
                row
                for row in rows
                if one.start <= row["time"] < one.end and one.engine in (None, row["engine"])
            ]
            assert len(inside) >= 2, (identity, one.why)
            assert all(LEVELS[identity](row) for row in inside), (identity, one.why)


def test_one_flag_with_two_numbers_at_one_moment_is_a_false_alarm() -> None:
    one = Found("x", 0.0, 9.0, "note", flags=("--a 1",))
    same = Found("y", 0.0, 9.0, "note", flags=("--a 1", "--b 1"))
    other = Found("z", 0.0, 9.0, "note", flags=("--a 2",))
    label = Label("log", ())
    assert not list(contradictions(label, [(1.0, [one, same]), (2.0, [other])]))
    (told,) = contradictions(label, [(1.0, [one, same, other]), (2.0, [one, other])])
    assert (told.id, told.at) == ("z", 1.0)


def test_what_another_finding_explains_is_not_shown_beside_it() -> None:
    label = stretch(100.0, 200.0, "x", hidden=("y",))
    both = [Found("x", 100.0, 200.0, "note"), Found("y", 100.0, 200.0, "note")]
    assert not list(unhidden(label, [(150.0, both[:1]), (110.0, both), (190.0, both)], 10.0))
    (told,) = unhidden(label, [(150.0, both), (160.0, both)], 10.0)
    assert (told.kind, told.id, told.text) == (
        "false alarm", "y", "shown, though explained; beside it: x",
    )  # fmt: skip


def test_labels_are_checked() -> None:
    with pytest.raises(ValueError, match="unknown form"):
        read_label("log", {"stretch": [{"why": "x", "form": "10:00:00"}]}, 0, 9, 0)
    with pytest.raises(ValueError, match="no why"):
        read_label("log", {"stretch": [{"expect": ["x"]}]}, 0, 9, 0)
    with pytest.raises(ValueError, match="unknown wants"):
        read_label("log", {"wants": []}, 0, 9, 0)


def test_a_composed_log_says_exactly_what_its_scenario_says(tmp_path: Path) -> None:
    load = [
        {"lines": 2, "running": 3, "per_request": 10, "kv": {"from": 10, "to": 20}},
        {"pause": 60, "lines": 2, "waiting": [7, 8], "generation": float("nan")},
    ]
    log = write(Scenario("plain", "why", {"args": {"max_num_seqs": 4}}, load), tmp_path)
    lines = log.read_text(encoding="utf-8").splitlines()
    rows = [found.groups() for line in lines if (found := STATS.match(line))]
    assert rows == [
        ("10:00:10", "000", "100.0", "30.0", "3", "0", "10.0", "50.0"),
        ("10:00:20", "000", "100.0", "30.0", "3", "0", "20.0", "50.0"),
        ("10:01:30", "000", "100.0", "nan", "3", "7", "20.0", "50.0"),
        ("10:01:40", "000", "100.0", "nan", "3", "8", "20.0", "50.0"),
    ]
    assert "'max_num_seqs': 4" in lines[2]
    assert lines[-1].endswith(
        "11-23 10:01:44 [launcher.py:100] [shutdown] API server: shutdown triggered"
    )


def test_the_same_scenario_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    scenario = next(one for one in load_scenarios() if one.name == "busy-hour")
    first = write(scenario, tmp_path / "a", 1).read_bytes()
    assert write(scenario, tmp_path / "b", 1).read_bytes() == first
    assert write(scenario, tmp_path / "b", 2).read_bytes() != first


def test_scenarios_are_checked(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(
        '[[scenario]]\nname = "a"\nwhy = "b"\nload = [{ line = 3 }]\n', encoding="utf-8"
    )
    with pytest.raises(ValueError, match=r"x\.toml: a: unknown line"):
        load_scenarios(tmp_path)
    assert moment("24:00:01") - moment("00:00:00") == 86_401.0
    assert len(load_scenarios(FOLDER)) > 80
