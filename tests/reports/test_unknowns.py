"""Facts missing from a log are listed with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.logs import log_of
from tests.serverlog import NAME, begun, ready, stats
from tests.summaries import summary_of

Output = pytest.CaptureFixture[str]


def unknown(capture: str, capsys: Output) -> dict[str, str]:
    told = summary_of(capsys, log_of(capture))["unknown"]
    return {one["what"]: one["why"] for one in told}


def test_without_a_recording_percentiles_are_unknown(capsys: Output) -> None:
    told = unknown("h100_optimised", capsys)
    # The plug-in of this package can write them into a log, so they are not "never in a log".
    words = "vLLM does not log them; `vllm-watch record` adds them"
    assert told["percentiles of latencies"] == words
    assert "max_num_seqs" not in told  # 512 is in its log


def test_flags_that_judgement_needs_are_named(capsys: Output) -> None:
    assert "batch limit" in unknown("h100_baseline_eager", capsys)["max_num_seqs"]


def test_a_start_that_failed_has_no_figures(capsys: Output) -> None:
    told = unknown("cpu_startup_failure", capsys)
    assert told["throughput, queue and KV cache"] == "the log has no stats line"
    assert "max_num_seqs" not in told  # nothing ran that could reach it


def test_requests_that_are_not_logged_are_not_counted_as_none(
    tmp_path: Path, capsys: Output
) -> None:
    log = tmp_path / NAME
    lines = (stats(1.79e9 + 10 * number) for number in range(12))
    log.write_text(begun(1.79e9 - 60) + ready(1.79e9 - 10) + "".join(lines), encoding="utf-8")
    told = {one["what"]: one["why"] for one in summary_of(capsys, log)["unknown"]}
    why = "the log has no access lines"
    assert told["mean times of requests"] == told["requests answered, and with which status"] == why
