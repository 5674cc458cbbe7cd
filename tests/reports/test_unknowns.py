"""Facts missing from a log are listed with the reason."""

from __future__ import annotations

import pytest

from tests.logs import log_of
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
