"""Results of benchmark clients beside the log: both formats, other times, foreign files."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.logs import at, judged, log_of, stats_by_hand
from vllm_watch.cli import main
from vllm_watch.core.benchmark import Benchmark
from vllm_watch.reports.benchmarks import BenchmarkError, load_benchmarks
from vllm_watch.tui.chartscope import ChartScope
from vllm_watch.tui.chartspecs import chart_spec
from vllm_watch.tui.charttable import CHART_NAMES

Output = pytest.CaptureFixture[str]


def vllm_result(**changes: Any) -> dict[str, Any]:
    """A result as `vllm bench serve --save-result` writes it, of 08:56:40 to 08:57:30."""
    return {
        "date": "20261123-085730", "endpoint_type": "openai", "model_id": "/m/Random-Qwen3-1.7B",
        "num_prompts": 900, "request_rate": "inf", "max_concurrency": 256, "duration": 50.0,
        "completed": 900, "total_output_tokens": 900_000, "request_throughput": 18.0,
        "output_throughput": 18_000.0, "mean_ttft_ms": 40.0, "p99_ttft_ms": 200.0,
        "mean_itl_ms": 12.5, "p99_itl_ms": 30.0, **changes,
    }  # fmt: skip


def guidellm_report() -> dict[str, Any]:
    begin = at("08:56:40")
    figures = {"mean": 17.0, "percentiles": {"p99": 30.0}}
    metrics = {
        name: {"successful": dict(figures)}
        for name in ("requests_per_second", "time_to_first_token_ms", "inter_token_latency_ms")
    }
    one = {"start_time": begin, "end_time": begin + 20.0, "metrics": metrics}
    return {"args": {"model": "Random-Qwen3-1.7B"}, "benchmarks": [one, one]}


def saved(folder: Path, document: object, name: str = "bench.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def test_what_vllm_saves(tmp_path: Path) -> None:
    (one,) = load_benchmarks(saved(tmp_path, vllm_result()))
    assert one.name == "bench"
    assert one.end == datetime(2026, 11, 23, 8, 57, 30)  # noqa: DTZ001  # the client's own clock
    assert one.figures["ttft_mean_s"] == pytest.approx(0.04)
    assert one.figures["max_concurrency"] == 256
    assert "request_rate" not in one.figures  # without a limit


def test_one_result_a_line(tmp_path: Path) -> None:
    path = tmp_path / "all.json"
    path.write_text("\n".join(json.dumps(vllm_result(duration=d)) for d in (10, 20)) + "\n")
    assert [one.seconds for one in load_benchmarks(path)] == [10, 20]


def test_what_guidellm_saves(tmp_path: Path) -> None:
    first, second = load_benchmarks(saved(tmp_path, guidellm_report()))
    assert (first.name, second.name) == ("bench 1", "bench 2")
    assert first.end == at("08:57:00")
    assert first.figures["ttft_mean_s"] == pytest.approx(0.017)
    assert first.figures["itl_p99_s"] == pytest.approx(0.03)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "[1, 2]", '{"benchmarks": []}', '{"benchmarks": [3]}', '{"date": 1}',
     json.dumps(vllm_result(duration="long")), json.dumps(vllm_result(date="yesterday")), "\0", json.dumps(vllm_result(duration=1e300)),
     json.dumps(vllm_result(duration=-5)), json.dumps(vllm_result(date="00011123-085730")),
     '{"benchmarks": [{"start_time": 1e300, "end_time": 1e300, "metrics": {}}]}'],
)  # fmt: skip
def test_a_foreign_file_is_named(text: str, tmp_path: Path, capsys: Output) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(BenchmarkError, match=r"x\.json: is not a result"):
        load_benchmarks(path)
    log = str(log_of("h100_optimised"))
    assert main(["compare", log, log, "--mark", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no such file"):
        load_benchmarks(tmp_path / "none.json")


def test_client_and_log_side_by_side(tmp_path: Path, capsys: Output) -> None:
    path = saved(tmp_path, vllm_result())
    before, after = str(log_of("h100_baseline_eager")), str(log_of("h100_optimised"))
    assert main(["compare", before, after, "--mark", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["baseline"]["summary"]["benchmarks"] == []  # it ran at another time
    (one,) = told["candidates"][0]["summary"]["benchmarks"]
    inside = [
        row
        for row in stats_by_hand("h100_optimised")
        if "2026-11-23T08:56:40" <= str(row["time"])[:19] <= "2026-11-23T08:57:30"
    ]
    rates = [float(row["generation_tps"]) for row in inside]
    assert one["log"]["generation_tps"] == pytest.approx(sum(rates) / len(rates))
    assert one["log"]["kv_cache_usage"] == max(float(row["kv_cache_usage"]) for row in inside)
    assert one["client"]["generation_tps"] == 18_000.0
    assert main(["compare", before, after, "--mark", str(path)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Client: 900 requests, 18.00 per second, 18,000 tok/s, TTFT 40 ms, p99 200 ms" in text


def test_another_model_is_not_this_server() -> None:
    one = Benchmark("b", "meta/Llama-3-8B", 0.0, 1.0, {})
    assert one.is_of("Llama-3-8B")
    assert one.is_of("meta_Llama-3-8B")  # as in vllm_meta_Llama-3-8B_port8000_realtime.log
    assert one.is_of(None)
    assert not one.is_of("Random-Qwen3-1.7B")


def test_on_the_charts(tmp_path: Path) -> None:
    from tests.logs import read

    monitor = judged(read(log_of("h100_optimised")).read_once())
    monitor.store.benchmarks = tuple(load_benchmarks(saved(tmp_path, vllm_result())))
    (server,) = monitor.store.servers.values()
    begin, end = at("08:50:00"), at("08:58:00")
    spec = chart_spec(ChartScope(monitor, server, None, begin, end, end), CHART_NAMES[0])
    zone = spec.zones[-1]
    assert (zone.begin, zone.end, zone.label) == (at("08:56:40"), at("08:57:30"), "bench")


def test_what_ran_at_another_time_or_against_another_model_is_reported(
    tmp_path: Path, capsys: Output
) -> None:
    log = str(log_of("h100_optimised"))
    early = saved(tmp_path, vllm_result(date="20240101-120000"), "early.json")
    other = saved(tmp_path, vllm_result(model_id="meta/Llama-3-8B"), "other.json")
    fits = saved(tmp_path, vllm_result(), "fits.json")
    page = tmp_path / "page.html"
    words = ["--mark", str(early), "--mark", str(other), "--mark", str(fits)]
    assert main(["report", log, "-o", str(page), *words]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "vllm-watch: --mark early: no log covers its time, 2024-01-01 11:59 – 2024-01-01 12:00; "
        "check its date",
        "vllm-watch: --mark other: its model is meta/Llama-3-8B, the logs' is Random-Qwen3-1.7B",
    ]
