"""Latencies and GPUs from beside the log, compared with the server's histograms and the table."""

from __future__ import annotations

import csv
import json
import statistics
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.logs import log_of, page_beside
from vllm_watch.cli import main
from vllm_watch.core.recorded import Latency
from vllm_watch.reports.recorded import _both
from vllm_watch.serverside.histogram import latency_of
from vllm_watch.serverside.metricspage import read_page

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "fixtures/recordings/h100x2_tp2"
LOG = next(FOLDER.glob("*.log"))
SCHEMA = json.loads((ROOT / "docs/schemas/summary.json").read_text())
Output = pytest.CaptureFixture[str]


@pytest.fixture(name="summary", scope="module")
def made_summary() -> dict[str, Any]:
    import contextlib
    import io

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["summary", str(LOG), "--json"]) == 0
    document = json.loads(out.getvalue())
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)
    found: dict[str, Any] = document["servers"][0]
    return found


@pytest.mark.parametrize("name", ["ttft_s", "itl_s", "queue_s", "request_s"])
def test_latencies_are_those_of_the_servers_own_histograms(
    summary: dict[str, Any], name: str
) -> None:
    """Means and counts are exact; percentiles of intervals together within 12 %."""
    page = read_page(page_beside(FOLDER))
    whole = latency_of(page.engines[0].histograms[name])
    found = summary["latency"][name]
    assert found["count"] == whole.count == (2_053_815 if name == "itl_s" else 4_813)
    assert found["mean"] == pytest.approx(whole.mean, abs=1e-6)
    for part in ("p50", "p95", "p99"):
        assert found[part] == pytest.approx(getattr(whole, part), rel=0.15)


def test_mean_times_are_the_recorded_ones(summary: dict[str, Any]) -> None:
    """The estimate from the log is 0 and 3.29 s; the page is exact."""
    times = summary["times"]
    assert times["source"] == "metrics"
    assert times["request_s"] == pytest.approx(3.3805, abs=1e-4)
    assert times["per_token_s"] == pytest.approx(0.007783, abs=1e-6)
    assert times["answered"] == 4813


def test_gpus_are_those_of_the_table(summary: dict[str, Any]) -> None:
    with next(FOLDER.glob("*_gpu.csv")).open() as file:
        rows = list(csv.reader(file, skipinitialspace=True))[1:]
    for gpu in summary["gpus"]:
        own = [row for row in rows if row[1] == str(gpu["gpu"])]
        assert gpu["samples"] == len(own) == 59
        assert gpu["name"] == "NVIDIA H100 80GB HBM3"
        watts = [float(row[7].removesuffix(" W")) for row in own]
        assert gpu["power_w"]["mean"] == pytest.approx(statistics.fmean(watts), abs=1e-4)
        assert gpu["power_w"]["max"] == max(watts)
        used = [float(row[5].removesuffix(" MiB")) * 2**20 for row in own]
        assert gpu["memory_used"]["max"] == max(used)
        assert gpu["memory_total"] == 81_559 * 2**20
        assert gpu["sm_clock_hz"]["max"] == 1.98e9
        busy = [float(row[3].removesuffix(" %")) / 100 for row in own]
        assert gpu["utilization"]["p50"] == pytest.approx(statistics.median(busy))


def test_exact_percentiles_and_exact_means_go_together() -> None:
    """Lines of the plug-in have no means, the page's histograms no exact percentiles."""
    page = {"ttft_s": Latency(0.05, 0.5, 0.7, 0.12, 90), "decode_s": Latency(1.0, 2.0, 3.0, 1.2, 9)}
    lines = {"ttft_s": Latency(0.043, 0.41, 0.66, None, 80)}
    both = _both(lines, page)
    assert both["ttft_s"] == Latency(0.043, 0.41, 0.66, 0.12, 90)
    assert both["decode_s"] == page["decode_s"]


def test_they_are_reported_in_words(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    assert main(["summary", str(LOG)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "first token p50 29 ms p95 69 ms p99 1.4 s" in text
    # All are in the first bucket, up to 0.3 s: without a mean, its middle would be reported.
    assert "queue p50 ≤ 2.1 ms" in text
    assert "GPU 1 NVIDIA H100 80GB HBM3, 243 W (at most 538), 75 of 80 GiB" in text


def compared(capsys: Output, baseline: Path, candidate: Path) -> dict[str, Any]:
    assert main(["compare", str(baseline), str(candidate), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)["candidates"][0]["metrics"]
    return found


def test_compare_has_them(capsys: Output) -> None:
    metrics = compared(capsys, log_of("h100_optimised"), LOG)
    assert metrics["ttft_p95_s"]["candidate"] == pytest.approx(0.0691, abs=1e-4)
    assert metrics["itl_p50_ms"]["candidate"] == pytest.approx(6.31, abs=0.01)
    assert metrics["gpu_power_w"]["baseline"] is None


def test_compare_has_nothing_where_nothing_was_recorded(capsys: Output) -> None:
    metrics = compared(capsys, log_of("h100_baseline_eager"), log_of("h100_optimised"))
    assert not [name for name in metrics if name.startswith(("ttft", "gpu"))]


def test_an_export_has_every_row(capsys: Output) -> None:
    assert main(["export", str(LOG), "--recorded", "-o", "-"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum(row["kind"] == "engine" for row in rows) == 35
    # The first rows of the table are older than the log: they belong to its only run.
    assert sum(row["kind"] == "gpu" for row in rows) == 118
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    last = [row for row in rows if row["kind"] == "engine"][-1]
    assert (last["generated_tokens_total"], last["finished_length"]) == (2_058_628, 4_813)
    busiest = max((row for row in rows if row["kind"] == "gpu"), key=lambda row: row["power_w"])
    assert (busiest["gpu"], busiest["name"]) == (1, "NVIDIA H100 80GB HBM3")
    assert busiest["running"] is None


def test_an_export_as_a_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    assert main(["export", str(LOG), "--recorded", "-o", str(path), "--since", "+3m"]) == 0
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["time"] >= "2026-11-25T22:37:21"
    assert {row["kind"] for row in rows} == {"engine", "gpu"}


def test_an_export_as_parquet(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = tmp_path / "rows.parquet"
    assert main(["export", str(LOG), "--recorded", "-o", str(path)]) == 0
    table = pq.read_table(path)
    assert table.num_rows == 153
    assert str(table.schema.field("ttft_s_p95").type) == "double"
    assert str(table.schema.field("generated_tokens_total").type) == "int64"


def test_recorded_rows_are_not_followed_and_not_resampled(capsys: Output) -> None:
    for more in (["--follow"], ["--resample", "1min"], ["--events"]):
        assert main(["export", str(LOG), "--recorded", "-o", "-", *more]) == 2
        assert "--recorded" in capsys.readouterr().err
