"""Latency lines of a real, saturated server (vLLM 0.32.0 on a CPU) against its own histograms."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from scripts.realvllm.figures import Figures
from tests.logs import page_beside
from tests.summaries import summary_of
from vllm_watch.cli import main

FOLDER = Path(__file__).parents[2] / "fixtures/recordings/cpu_saturated"
Output = pytest.CaptureFixture[str]


@pytest.fixture(name="truth", scope="module")
def made_truth() -> Figures:
    return Figures(page_beside(FOLDER))


def test_percentiles_of_lines_lie_where_the_histograms_have_them(
    tmp_path: Path, truth: Figures, capsys: Output
) -> None:
    """Of sixty requests at once half wait for a minute: intervals differ by a thousand times."""
    log = shutil.copy2(next(FOLDER.glob("*.log.gz")), tmp_path)
    latency = summary_of(capsys, log)["latency"]
    for name, histogram in truth.latencies.items():
        for part, share, off in (("p50", 0.5, 0.12), ("p95", 0.95, 0.04)):
            low, high = histogram.ranks(latency[name][part])
            assert low - off <= share <= high + off, (name, part, latency[name][part], low, high)


def test_counts_and_preemptions_are_the_counters(truth: Figures, capsys: Output) -> None:
    server = summary_of(capsys, next(FOLDER.glob("*.log.gz")))
    for name, histogram in truth.latencies.items():
        assert server["latency"][name]["count"] == histogram.count
        assert server["latency"][name]["mean"] == pytest.approx(histogram.mean(), rel=0.001)
    assert main(["export", str(next(FOLDER.glob("*.log.gz"))), "-o", "-"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum(row["preemptions"] or 0 for row in rows) == truth.preemptions() > 0
