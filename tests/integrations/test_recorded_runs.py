"""Recorded values are in the table of runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vllm_watch.cli import main

LOG = next(
    (Path(__file__).parents[2] / "fixtures/recordings/h100x2_tp2").glob("*.log"),
)


def test_latencies_and_power_are_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", str(LOG), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["runs"]
    assert row["ttft_p95_s"] == pytest.approx(0.0691, abs=1e-4)
    assert row["itl_p50_s"] == pytest.approx(0.00631, abs=1e-5)
    assert row["gpu_power_w"] == pytest.approx(238, abs=1)
