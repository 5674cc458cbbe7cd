"""A real server whose logging and uvicorn's are configured as JSON (vLLM 0.32.0 on a CPU)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.realvllm.figures import Figures
from vllm_watch.cli import main

FOLDER = Path(__file__).parents[2] / "fixtures/recordings/cpu_json"


@pytest.fixture(name="server")
def made_server(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["summary", str(next(FOLDER.glob("*.log.gz"))), "--json"]) == 0
    (server,) = json.loads(capsys.readouterr().out)["servers"]
    assert isinstance(server, dict)
    return server


@pytest.fixture(name="truth")
def made_truth() -> Figures:
    return Figures(next(FOLDER.glob("*.prom")).read_text(encoding="utf-8"))


def test_requests_and_tokens_are_the_counters(server: dict[str, Any], truth: Figures) -> None:
    assert server["requests"]["by_status"] == {"200": truth.answered()} == {"200": 310}
    (engine,) = server["engines"]
    assert engine["generated_tokens"] == pytest.approx(truth.generated(), rel=0.03)
    assert engine["prompt_tokens"] == pytest.approx(truth.computed(), rel=0.03)
    assert server["state"] == "stopped"
    assert server["unrecognised_lines"] == 0


def test_mean_times_by_littles_law(server: dict[str, Any], truth: Figures) -> None:
    times = server["times"]
    assert times["source"] == "log"
    assert times["request_s"] == pytest.approx(truth.latencies["request_s"].mean(), rel=0.1)
