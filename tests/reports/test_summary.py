"""`summary`: figures calculated independently from the log, and results for odd logs."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.logs import FIXTURES, formats, log_of, stats_by_hand
from vllm_watch.cli import main
from vllm_watch.config import Settings
from vllm_watch.core.metrics import METRICS
from vllm_watch.reports.reading import read_saved
from vllm_watch.reports.summary import RunSummary, summarise

Output = pytest.CaptureFixture[str]
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/summary.json").read_text())
CAPTURES = sorted(path.name for path in FIXTURES.iterdir() if path.is_dir())
LINE = (
    "(APIServer pid=1) INFO 11-23 09:{minute:02}:{second:02} [loggers.py:310] Engine 000: "
    "Avg prompt throughput: {prompt:.1f} tokens/s, Avg generation throughput: {generation:.1f} "
    "tokens/s, Running: {running} reqs, Waiting: 0 reqs, GPU KV cache usage: 10.0%, "
    "Prefix cache hit rate: 0.0%\n"
)


def summarised(*paths: Path | str) -> list[RunSummary]:
    return summarise(read_saved([str(path) for path in paths], formats(), Settings()))


def as_json(capsys: Output, *words: Path | str, code: int = 0) -> dict[str, Any]:
    assert main(["summary", *map(str, words), "--json"]) == code
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.validate(
        document,
        SCHEMA,
        format_checker=jsonschema.FormatChecker(),
        cls=jsonschema.Draft202012Validator,
    )
    return document


def by_linear_percentile(values: list[float], share: float) -> float:
    """Percentile between the two nearest ranks, as Hyndman and Fan's type 7 defines it."""
    ordered = sorted(values)
    rank = share * (len(ordered) - 1)
    low = int(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (rank - low) * (ordered[high] - ordered[low])


@pytest.mark.parametrize(
    "capture", ["h100_optimised", "h100_saturated_then_killed", "cpu_two_engines"]
)
def test_the_figures_of_every_engine(capture: str, capsys: Output) -> None:
    (server,) = as_json(capsys, log_of(capture))["servers"]
    rows = stats_by_hand(capture)
    assert [engine["engine"] for engine in server["engines"]] == sorted(
        {row["engine"] for row in rows}
    )
    for engine in server["engines"]:
        own = [row for row in rows if row["engine"] == engine["engine"]]
        busy = [row for row in own if int(row["running"]) > 0]
        assert (engine["samples"], engine["busy_samples"]) == (len(own), len(busy))
        assert (engine["first"], engine["last"]) == (own[0]["time"], own[-1]["time"])
        for metric in (
            "prompt_tps", "generation_tps", "running", "waiting", "kv_cache_usage",
            "prefix_cache_hit_rate",
        ):  # fmt: skip
            values = [float(row[metric]) for row in own]
            assert engine[metric] == pytest.approx(
                {
                    "last": values[-1],
                    "mean": statistics.fmean(values),
                    "busy_mean": statistics.fmean(float(row[metric]) for row in busy),
                    "p50": by_linear_percentile(values, 0.5),
                    "p95": by_linear_percentile(values, 0.95),
                    "max": max(values),
                },
                abs=1e-6,
            )
        assert engine["mfu_tflops"] is None


def test_what_it_was_and_how_it_was_configured(capsys: Output) -> None:
    (server,) = as_json(capsys, log_of("h100_optimised"))["servers"]
    # 08:52:30 is the first stamp, 08:54:00 that of `Starting vLLM server`.
    assert server["ready_after_s"] == 90
    assert (server["server"], server["model"], server["port"]) == (
        "Random-Qwen3-1.7B:8001", "Random-Qwen3-1.7B", 8001,
    )  # fmt: skip
    assert (server["version"], server["state"], server["runs"]) == ("0.26.0", "stopped", 1)
    assert server["config"] == {
        "tensor_parallel_size": 1,
        "pipeline_parallel_size": 1,
        "data_parallel_size": 1,
        "max_num_seqs": 512,
        "max_model_len": 40960,
        "max_num_batched_tokens": 8192,
        "gpu_memory_utilization": 0.95,
        "enforce_eager": False,
        "enable_prefix_caching": True,
        "dtype": "bfloat16",
        "quantization": None,
        "kv_cache_dtype": "auto",
        "load_format": "dummy",
    }
    assert server["capacity"] == {
        "kv_cache_tokens": 672032, "max_concurrency": 16.41, "for_tokens": 40960, "kv_cache_gib": 71.78,
    }  # fmt: skip
    text = log_of("h100_optimised").read_text()
    answered = re.findall(r'"POST /v1/\S+ HTTP/1\.1" (\d{3})', text)
    polls = re.findall(r"\"GET /(?:metrics|health|v1/models)\S* HTTP/1\.1\"", text)
    assert len(answered) > 1000
    assert server["requests"] == {
        "total": len(answered), "by_status": {"200": answered.count("200")}, "polls": len(polls),
    }  # fmt: skip
    assert server["unrecognised_lines"] == 0
    assert server["warnings"] == []
    phases = {phase["phase"]: phase["seconds"] for phase in server["startup"]}
    # 08:52:58 "Model loading took" to 08:53:31 "torch.compile took".
    assert phases["compiling"] == 33
    assert sum(phases.values()) == 90


def test_the_tokens_are_the_rates_over_time(capsys: Output) -> None:
    (server,) = as_json(capsys, log_of("h100_optimised"))["servers"]
    rows = stats_by_hand("h100_optimised")
    # Its lines are 10 s apart, without a silence; the first one stands for 10 s.
    expected = round(sum(float(row["generation_tps"]) * 10 for row in rows))
    assert server["engines"][0]["generated_tokens"] == pytest.approx(expected, rel=0.001)


def test_two_engines_are_also_taken_together(capsys: Output) -> None:
    (server,) = as_json(capsys, log_of("cpu_two_engines"))["servers"]
    by_time: dict[str, list[dict[str, Any]]] = {}
    for row in stats_by_hand("cpu_two_engines"):
        by_time.setdefault(str(row["time"]), []).append(row)
    assert all(len(rows) == 2 for rows in by_time.values())
    sums = [sum(row["generation_tps"] for row in rows) for rows in by_time.values()]
    usage = [statistics.fmean(row["kv_cache_usage"] for row in rows) for rows in by_time.values()]
    assert server["together"]["samples"] == len(sums)
    assert server["together"]["generation_tps"]["max"] == pytest.approx(max(sums))
    assert server["together"]["generation_tps"]["mean"] == pytest.approx(statistics.fmean(sums))
    assert server["together"]["kv_cache_usage"]["max"] == pytest.approx(max(usage))


@pytest.mark.parametrize("capture", CAPTURES)
def test_every_capture_fits_the_schema(capture: str, capsys: Output) -> None:
    (server,) = as_json(capsys, log_of(capture))["servers"]
    for engine in (*server["engines"], server["together"]):
        assert {metric.name for metric in METRICS} <= engine.keys()


def test_a_failed_start_up_has_nulls_where_nothing_is_known(capsys: Output) -> None:
    (server,) = as_json(capsys, log_of("cpu_startup_failure"))["servers"]
    assert (server["state"], server["ready_after_s"], server["engines"]) == ("dead", None, [])
    assert server["requests"]["total"] == 0
    whole = server["together"]
    assert (whole["generated_tokens"], whole["prompt_tokens"]) == (None, None)
    assert server["startup"][-1]["seconds"] is None
    # The death first; its configuration says enforce_eager: true, and so are the notes.
    assert [finding["id"] for finding in server["findings"]] == [
        "server-dead", "eager-mode", "kv-override",
    ]  # fmt: skip
    assert server["capacity"]["kv_cache_tokens"] is None


def test_requests_that_were_never_answered_are_none_and_not_unknown(capsys: Output) -> None:
    text = log_of("h100_long_context").read_text()
    assert '"POST /' not in text  # all were aborted by the stop
    assert '"GET /' in text  # but access lines are on
    (server,) = as_json(capsys, log_of("h100_long_context"))["servers"]
    assert server["requests"]["total"] == 0


def test_work_without_access_lines_leaves_the_requests_unknown(
    tmp_path: Path, capsys: Output
) -> None:
    log = tmp_path / "a.log"
    lines = log_of("h100_optimised").read_text().splitlines(keepends=True)
    log.write_text("".join(line for line in lines if "HTTP/1.1" not in line))
    (server,) = as_json(capsys, log)["servers"]
    assert server["requests"] == {"total": None, "by_status": {}, "polls": 0}


def test_two_runs_in_one_file(tmp_path: Path, capsys: Output) -> None:
    first, second = log_of("cpu_clean_stop"), log_of("cpu_two_engines")
    log = tmp_path / "vllm_Tiny-Qwen3_port9101_realtime.log"
    log.write_text(first.read_text() + second.read_text())
    (server,) = as_json(capsys, log)["servers"]
    assert server["runs"] == 2
    assert len(server["engines"]) == 2
    (earlier,) = server["earlier_runs"]
    alone = as_json(capsys, first)["servers"][0]
    for same in ("engines", "state", "ready_after_s", "config", "capacity", "requests", "startup"):
        assert earlier[same] == alone[same]
    assert earlier["run"] == 0
    assert earlier["unrecognised_lines"] is None
    (warning,) = server["warnings"]
    assert "different servers wrote to this file: Tiny-Qwen3:9101, Tiny-Qwen3:9102" in warning


def test_two_servers_that_write_to_one_file_at_once(tmp_path: Path) -> None:
    lines = log_of("cpu_clean_stop").read_text().splitlines(keepends=True)
    up = next(number for number, line in enumerate(lines) if "Starting vLLM server" in line)
    other = re.sub(r":\d+\n$", ":9999\n", lines[up])
    log = tmp_path / "mixed.log"
    log.write_text("".join([*lines[: up + 1], other, *lines[up + 1 :]]))
    (summary,) = summarised(log)
    (warning,) = summary.warnings
    assert "127.0.0.1:9101, http://127.0.0.1:9999 wrote to this file at the same time" in warning


def test_stats_lines_behind_an_unknown_envelope_are_counted(tmp_path: Path, capsys: Output) -> None:
    log = tmp_path / "a.log"
    strange = "Engine 000: Avg prompt throughput: 1.0 tokens/s, Avg generation throughput: 1.0 tokens/s, Running: 1 reqs, Waiting: 0 reqs, GPU KV cache usage: 1.0%, Prefix cache hit rate: 0.0%\n"
    log.write_text(log_of("cpu_clean_stop").read_text() + 3 * f"?? {strange}")
    (server,) = as_json(capsys, log)["servers"]
    assert server["unrecognised_lines"] == 3
    assert "formats check" in server["warnings"][0]


def test_one_sample_is_enough_for_figures(tmp_path: Path, capsys: Output) -> None:
    log = tmp_path / "a.log"
    log.write_text(LINE.format(minute=5, second=0, prompt=3, generation=7, running=1))
    (server,) = as_json(capsys, log)["servers"]
    (engine,) = server["engines"]
    assert engine["generation_tps"] == {
        "last": 7, "mean": 7, "busy_mean": 7, "p50": 7, "p95": 7, "max": 7,
    }  # fmt: skip
    # One line stands for one interval of 10 s.
    assert (engine["generated_tokens"], engine["prompt_tokens"]) == (70, 30)
    assert server["server"] == "a"
    assert (server["model"], server["port"], server["version"]) == (None, None, None)


def test_idle_samples_have_no_busy_mean(tmp_path: Path, capsys: Output) -> None:
    log = tmp_path / "a.log"
    log.write_text(
        "".join(
            LINE.format(minute=5, second=s, prompt=0, generation=0, running=0) for s in (0, 10, 20)
        )
    )
    (server,) = as_json(capsys, log)["servers"]
    assert server["engines"][0]["generation_tps"]["busy_mean"] is None
    assert server["engines"][0]["generation_tps"]["mean"] == 0


def test_secrets_are_in_no_form_of_it(tmp_path: Path, capsys: Output) -> None:
    log = tmp_path / "a.log"
    text = log_of("h100_optimised").read_text()
    assert "'port': 8001" in text
    log.write_text(
        text.replace("'port': 8001", "'api_key': ['S3CRET'], 'hf_token': 'S3CRET', 'port': 8001")
    )
    (server,) = as_json(capsys, log)["servers"]
    assert (server["config"]["api_key"], server["config"]["hf_token"]) == ("(hidden)", "(hidden)")
    assert server["config"]["max_num_batched_tokens"] == 8192
    assert main(["summary", str(log)]) == 0
    assert main(["summary", str(log), "--markdown"]) == 0
    assert main(["report", str(log), "-o", str(tmp_path / "r.html")]) == 0
    assert "S3CRET" not in capsys.readouterr().out + (tmp_path / "r.html").read_text()


def test_the_text_fits_a_hundred_columns_and_says_what_matters(capsys: Output) -> None:
    assert main(["summary", *(str(log_of(capture)) for capture in CAPTURES)]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    assert "\x1b" not in out
    for words in (
        "stopped since 08:57:54 · vLLM 0.26.0",
        "2026-11-23 08:52:30 – 08:57:54 UTC (5 m 24 s)",
        "ready after 1 m 30 s",
        "672,032 KV cache tokens · 16.41 requests of 40,960 tokens at once",
        "2,692 answered with 200",
        "119 answered with 200 · 497 answered with 500",
        "✖ critical: KV cache full",
        "never ready: launching 14 s",
    ):
        assert words in out


@pytest.mark.parametrize("form", [(), ("--markdown",)])
def test_the_verdict_and_the_findings_stand_before_the_figures(
    form: tuple[str, ...], capsys: Output
) -> None:
    assert main(["summary", str(log_of("h100_saturated_then_killed")), *form]) == 0
    out = capsys.readouterr().out
    words = (
        "dead since 08:51:43", "✖ died 08:51:43", "critical: The server died",
        "critical: KV cache full", "note: CUDA graphs are off", "max", "generation throughput",
        "percentiles of latencies",
    )  # fmt: skip
    places = [out.index(one) for one in words[:-3]]
    places += [out.index(one, places[-1]) for one in words[-3:]]
    assert places == sorted(places)
    if not form:
        assert out.count("engine core exited unexpectedly") == 2  # the verdict and the finding
        assert "died 08:51:43: engine core exited unexpectedly; before: KV cache full" in out


def test_markdown_renders_hostile_names_as_they_are(tmp_path: Path, capsys: Output) -> None:
    log = tmp_path / "<img src=x>|`[a](b)`.log"
    log.write_text(LINE.format(minute=5, second=0, prompt=3, generation=7, running=1))
    assert main(["summary", str(log), "--markdown"]) == 0
    out = capsys.readouterr().out
    assert r"## &lt;img src=x&gt;\|\`\[a\](b)\`" in out
    for line in out.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 8)


def test_colour_is_for_terminals_alone(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    words = ["summary", str(log_of("h100_optimised"))]
    assert main(words) == 0
    assert "\x1b[1mRandom-Qwen3-1.7B:8001\x1b[0m" in capsys.readouterr().out
    assert main([*words, "--no-color"]) == 0
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(words) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_what_comes_often_is_reported_once_with_how_often(tmp_path: Path, capsys: Output) -> None:
    log = tmp_path / "a.log"
    # KV cache at 85 % for 40 s and at 50 % for 80 s (what comes back within a minute is one alert),
    # five times over from 09:00:00 on.
    lines = []
    for number in range(64):
        minute, second = divmod(number * 10, 60)
        line = LINE.format(minute=minute, second=second, prompt=3, generation=70, running=2)
        lines.append(line.replace("10.0%", "85.0%" if number % 12 < 4 else "50.0%"))
    log.write_text("".join(lines[:60]))
    (server,) = as_json(capsys, log)["servers"]
    high = [finding for finding in server["findings"] if finding["id"] == "kv-cache-high"]
    (once,) = high
    assert len(once["spans"]) == 5
    assert (once["since"], once["until"]) == (once["spans"][0][0], once["spans"][-1][1])
    assert main(["summary", str(log)]) == 0
    out = capsys.readouterr().out
    assert out.count("KV cache high") == 1
    assert "KV cache high: 85 %, 5 times, 09:00:00 – 09:08:" in out
    log.write_text("".join(lines))  # it has come back a sixth time, and lasts
    assert main(["summary", str(log)]) == 0
    assert "KV cache high: 85 %, 6 times since 09:00:00, for " in capsys.readouterr().out


def test_a_refused_model_names_what_is_served_as_the_client_must_write_it(
    tmp_path: Path, capsys: Output
) -> None:
    """Without a served name the path of the model is its name."""
    args = "non-default args: {'model': '/models/Dunlin-9B', 'port': 8000}"
    refused = "Error with model error=ErrorInfo(message='The model `Dunlin-9B` does not exist.'"
    log = tmp_path / "vllm_Dunlin-9B_port8000_realtime.log"
    log.write_text(
        f"(APIServer pid=1) INFO 11-23 08:00:00 [utils.py:233] {args}\n"
        f"(APIServer pid=1) ERROR 11-23 08:05:00 [serving_chat.py:157] {refused}, code=404)\n"
        + LINE.format(minute=5, second=0, prompt=3, generation=7, running=1)
    )
    assert main(["summary", str(log)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "the model Dunlin-9B does not exist; the server serves /models/Dunlin-9B" in told
