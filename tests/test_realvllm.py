"""The parts of `make test-real` that need no server: its table, figures, requests, requirements."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from scripts.realvllm.__main__ import ON_REQUEST, SETUPS
from scripts.realvllm.environment import needed
from scripts.realvllm.figures import Figures, percentile
from scripts.realvllm.load import Load, request_of
from scripts.realvllm.sheet import Sheet

PAGE = next((Path(__file__).parents[1] / "fixtures/recordings/h100x2_tp2").glob("*.prom"))


def test_a_page_is_read_as_by_eye() -> None:
    figures = Figures(PAGE.read_text())
    assert figures.generated() == figures.generated(0) == 2_058_628
    assert figures.answered() == 4_813
    assert not figures.busy()
    request = figures.latencies["request_s"]
    assert request.count == 4_813
    assert request.mean() == pytest.approx(3.3805, abs=1e-4)
    low, high = request.ranks(3.0)  # in the bucket from 2.5 to 5 s
    assert (round(low * 4_813), round(high * 4_813)) == (1_292, 4_087)


def test_bad_rows_come_first_and_errors_are_rows() -> None:
    sheet = Sheet()
    with sheet.of("one"):
        sheet.near("tokens", 1000, 1029, 0.03)
        sheet.near("tokens", 1000, 969, 0.03)
        sheet.findings("findings", ["a", "c"], ["a"], ["b"])
    with sheet.of("two"):
        raise LookupError("no log")
    assert [(row.scenario, row.good) for row in sheet.rows] == [
        ("one", True), ("one", False), ("one", False), ("two", False),
    ]  # fmt: skip
    lines = sheet.text().splitlines()
    assert [line.split()[0] for line in lines[2:6]] == ["BAD", "BAD", "BAD", "ok"]
    assert "LookupError: no log" in lines[4]
    assert "4 comparisons, 3 bad" in lines[-1]
    assert sheet.rows[1].error == pytest.approx(-0.031)


def test_requests_share_the_beginning_of_their_prompts() -> None:
    load = Load(1, 1, prompt=60, shared=20, output=40)
    chance = random.Random(1)
    shared = chance.choices(range(300, 5000), k=20)
    bodies = [request_of(load, chance, shared) for _ in range(5)]
    assert all(body["prompt"][:20] == shared for body in bodies)
    assert len({tuple(body["prompt"]) for body in bodies}) == 5
    assert "stream" not in bodies[0]


def test_what_fits_no_processor_is_left_out_of_the_requirements() -> None:
    requires = [
        "torch==2.13.0",
        "torchaudio==2.13.0",
        "uvicorn[standard]",
        "numpy; python_version > '3'",
        "ray>=2; extra == 'ray'",
    ]
    assert needed(requires) == ["uvicorn[standard]", "numpy"]


def test_every_scenario_has_a_name_of_its_own_and_says_what_it_is() -> None:
    names = [name for setup in (*SETUPS, *ON_REQUEST) for name in setup.scenes]
    assert len(names) == len(set(names)) >= 20
    assert sum(name.startswith("fails-by-") for name in names) >= 6


def test_percentiles_are_linear() -> None:
    assert percentile([4.0, 1.0, 2.0, 3.0], 0.5) == 2.5
