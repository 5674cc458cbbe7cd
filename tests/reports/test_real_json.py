"""A real server whose logging and uvicorn's are configured as JSON (vLLM 0.32.0 on a CPU)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.realvllm.figures import Figures
from tests.logs import page_beside
from tests.summaries import summary_of

FOLDER = Path(__file__).parents[2] / "fixtures/recordings/cpu_json"


@pytest.fixture(name="server")
def made_server(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return summary_of(capsys, next(FOLDER.glob("*.log.gz")))


@pytest.fixture(name="truth")
def made_truth() -> Figures:
    return Figures(page_beside(FOLDER))


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
