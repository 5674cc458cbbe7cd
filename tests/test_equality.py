"""A log read in several ways gives the same: the logs in which it did not, once."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from scripts import equality
from scripts.equalitylogs import LOGS
from scripts.scenarios import load_scenarios, write
from tests.logs import formats

CASES = {
    "two-deaths-and-a-start": "the stamps of lines without a record belong to their own run",
    "a-tail-of-debug-lines": "a run begins with its first line, also if that gives no record",
    "a-gateway-beside-the-server": "a gateway that starts first is not the server",
    "the-year-of-another-logger-s-line": "the year comes in an earlier piece than the first stamp",
    "long-prompts-fill-the-steps": "steps arrive after their window was judged",
}


def logs_of(part: str, place: Path) -> dict[str, Path]:
    return dict(LOGS[part](place, 1))


@pytest.mark.parametrize("case", CASES)
def test_all_ways_of_reading_find_the_same(case: str, tmp_path: Path) -> None:
    figures = equality.Figures()
    for name, log in logs_of("cases", tmp_path).items():
        if name.startswith(case):
            equality.compare_log(name, log, formats(), 1, figures)
    assert figures.compared.total() > 3
    assert figures.different == []


@pytest.mark.parametrize("case", ["killed-by-the-shell-s-word", "nccl-watchdog", "aborted"])
def test_all_ways_of_reading_find_the_same_behind_wrappers(case: str, tmp_path: Path) -> None:
    figures = equality.Figures()
    for name, log in logs_of("wrapped", tmp_path).items():
        if name.startswith(case):
            equality.compare_log(name, log, formats(), 1, figures)
    assert figures.compared.total() > 3
    assert figures.different == []


def test_a_replay_shows_the_errors_of_its_moment_not_later_ones(tmp_path: Path) -> None:
    figures = equality.Figures()
    (scenario,) = (one for one in load_scenarios() if one.name == "http-errors")
    log = write(scenario, tmp_path)
    equality.replayed("scenario", log, formats(), random.Random(3), figures)
    equality.compare_log("scenario", log, formats(), 3, figures)
    assert figures.compared["line by line", "alerts"] > 0
    assert figures.compared.total() > 10
    assert figures.different == []


def test_a_difference_is_found() -> None:
    figures = equality.Figures()
    figures.compare("x", "way", {"a": Counter("pqq")}, {"a": Counter("pq")})
    assert figures.different == ["x, way: a missing: q"]
    assert figures.compared.total() == 3
