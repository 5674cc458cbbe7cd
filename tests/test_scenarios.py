"""Composed logs: their stats lines have the numbers of the scenario, and no others."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts import scenarios
from scripts.scenarios import load_scenarios, main, write
from scripts.statstext import FORMAT, parts_of
from vllm_watch.core.metrics import METRIC_BY_NAME, Metric

HEAD = "(APIServer pid=447) INFO 11-23 10:00:10 [loggers.py:310] Engine 000: "
USUAL = (
    "Avg prompt throughput: 100.0 tokens/s, Avg generation throughput: 40.0 tokens/s, "
    "Running: 2 reqs, Waiting: 0 reqs, "
)


def stats_lines(tmp_path: Path, *segments: str) -> list[str]:
    """The stats lines of a scenario with these segments, without a start-up's lines."""
    load = ", ".join(f"{{ {segment} }}" for segment in segments)
    (tmp_path / "one.toml").write_text(f'[[scenario]]\nname = "one"\nwhy = "-"\nload = [{load}]\n')
    (scenario,) = load_scenarios(tmp_path)
    lines = write(scenario, tmp_path).read_text().splitlines()
    return [line for line in lines if "throughput: " in line]


def test_a_number_that_a_scenario_does_not_give_has_no_part(tmp_path: Path) -> None:
    (line,) = stats_lines(tmp_path, "lines = 1, running = 2, per_request = 20, kv = 50")
    assert line == f"{HEAD}{USUAL}GPU KV cache usage: 50.0%, Prefix cache hit rate: 50.0%"


def test_every_number_of_the_format_file_can_be_given_by_name(tmp_path: Path) -> None:
    given = "lines = 1, running = 2, generation = 40, kv_fetch_in_progress = 3, preemptions = 4"
    (line,) = stats_lines(tmp_path, f"{given}, mm_cache_hit_rate = 12.5, without = ['prefix']")
    assert line == (
        f"{HEAD}{USUAL}KV fetch: 0 waiting to start, 3 in progress, 0 completed waiting, "
        "Preemptions: 4, GPU KV cache usage: 0.0%, MM cache hit rate: 12.5%"
    )


def test_preemptions_are_written_only_if_there_are_some(tmp_path: Path) -> None:
    segments = ("lines = 1, preemptions = 2", "lines = 1, preemptions = 0", "lines = 1")
    found = ["Preemptions: 2" in line for line in stats_lines(tmp_path, *segments)]
    assert found == [True, False, False]
    assert "Preemptions" not in stats_lines(tmp_path, *segments)[1]


def test_a_new_part_needs_only_its_declaration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = Metric("parked_slots", "Parked slots", "", "count", "sum")
    monkeypatch.setitem(METRIC_BY_NAME, metric.name, metric)
    file = tmp_path / "stats.format"
    text = FORMAT.read_text(encoding="utf-8")
    file.write_text(text.replace("parts = [\n", 'parts = [\n"Parked slots: {parked_slots}",\n'))
    monkeypatch.setattr(scenarios, "PARTS", parts_of(file))
    lines = stats_lines(tmp_path, "lines = 1", "lines = 1, parked_slots = 3")
    assert [line.count("Parked slots: 3, Avg prompt") for line in lines] == [0, 1]


def test_an_unknown_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown parked_slots; known: .*deferred"):
        stats_lines(tmp_path, "lines = 1, parked_slots = 3")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["scenarios", *arguments])
    return main()


def test_the_command_writes_the_log_of_a_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "stalls", str(tmp_path)) == 0
    path = tmp_path / "stalls-1" / "vllm_Random-Qwen3-1.7B_port8000_realtime.log"
    assert capsys.readouterr().out == f"{path}\n"
    assert "throughput: " in path.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stall-not", "x"], "no scenario stall-not: did you mean stalls-not-yet?"),
        (["stalls"], "name a folder for its log"),
    ],
)
def test_a_wrong_command_says_why(
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(monkeypatch, *arguments)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_without_arguments_it_lists_the_scenarios(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == len(load_scenarios())
    assert any(line.startswith("comes-back-after-idleness: ten minutes of work") for line in listed)
