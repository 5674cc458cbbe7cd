"""The verdict on a run: facts of the captures, in one line."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest

from tests.logs import formats, log_of
from tests.serverlog import NAME, begun, ready, stats
from vllm_watch.config import Settings
from vllm_watch.core.dataclass import replace
from vllm_watch.reports.reading import read_saved
from vllm_watch.reports.summary import summarise
from vllm_watch.reports.verdict import verdict_of


@pytest.mark.parametrize(
    ("capture", "severity", "words", "remedy"),
    [
        ("h100_saturated_then_killed", "critical", "died 08:51:43: engine core exited unexpectedly; before: KV cache full for 62 s, perhaps why it died", "check dmesg and the batch system, restart with --gpu-memory-utilization 0.15 → 0.90 if nothing else uses this GPU"),
        ("cpu_startup_failure", "critical", "died 12:26:56: KV cache too small", "drop --num-gpu-blocks-override, or set --max-model-len 144"),
        ("h100_optimised", "good", "stopped 08:57:54, all well", "raise the client's concurrency: send more requests in parallel"),
        ("cpu_two_engines", "warning", "Few prefix cache hits: 0 %, 09:24:02 – 09:24:32", "put the shared part of prompts first, the varying part last"),
    ],
)  # fmt: skip
def test_the_captures(capture: str, severity: str, words: str, remedy: str) -> None:
    (summary,) = summarise(read_saved([str(log_of(capture))], formats(), Settings()))
    verdict = verdict_of(summary, UTC)
    assert (verdict.severity, verdict.words, verdict.remedy) == (severity, words, remedy)


def test_a_healthy_run_shows_its_figures() -> None:
    (summary,) = summarise(read_saved([str(log_of("h100_optimised"))], formats(), Settings()))
    told = "12,439 tok/s while busy, KV cache up to 28 %, none waited, 10 ms per token"
    assert verdict_of(summary, UTC).figures == told


def test_an_end_without_a_message_has_no_error_to_read(tmp_path: Path) -> None:
    log = tmp_path / NAME
    full = (stats(1.79e9 + 10 * n, running=8, waiting=20, kv=99.0) for n in range(12))
    log.write_text(begun(1.79e9 - 60) + ready(1.79e9 - 10) + "".join(full), encoding="utf-8")
    (summary,) = summarise(read_saved([str(log)], formats(), Settings()))
    verdict = verdict_of(summary, UTC)
    assert verdict.words.startswith("ended without a message")
    assert verdict.words.endswith("before: KV cache full for 1 m 50 s, perhaps why it ended")
    assert verdict.remedy.startswith("ask the batch system why it ended, restart")


def test_further_findings_are_counted() -> None:
    (summary,) = summarise(read_saved([str(log_of("cpu_startup_failure"))], formats(), Settings()))
    loud = [one for one in summary.findings if one.severity != "note"]
    several = replace(summary, findings=(*loud, replace(loud[0], id="a"), replace(loud[0], id="b")))
    assert verdict_of(several, UTC).aside == "2 more findings"
