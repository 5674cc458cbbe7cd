"""Iteration details of a real server (vLLM 0.32.0 on a CPU) against its own counters."""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
from pathlib import Path

import pytest

from tests.logs import formats, log_of, page_beside
from tests.summaries import summary_of
from vllm_watch.cli import main
from vllm_watch.config import Settings
from vllm_watch.core.news import PathSearch
from vllm_watch.ingest import Ingest, ReadOptions
from vllm_watch.integrations.exporter import Exporter
from vllm_watch.reports.following import FollowedServers

FOLDER = Path(__file__).parents[2] / "fixtures/recordings/cpu_iterations"
Output = pytest.CaptureFixture[str]


def counter(name: str) -> float:
    values = re.findall(rf"^vllm:{name}{{[^}}]*}} (\S+)$", page_beside(FOLDER), re.M)
    return sum(map(float, values))


def test_tokens_of_the_steps_are_the_counters(capsys: Output) -> None:
    server = summary_of(capsys, next(FOLDER.glob("*.log.gz")))
    (steps,) = server["iterations"]
    assert steps["steps"] == 2735  # lines, counted by grep
    assert steps["context_tokens"] == counter("prompt_tokens_total") == 117_634
    # The first token of each request comes out of its prefill.
    answered = counter("request_success_total")
    assert steps["generation_tokens"] == counter("generation_tokens_total") - answered == 18_223
    assert steps["most_tokens"] == server["config"]["max_num_batched_tokens"] == 512
    assert server["requests"]["by_status"] == {"200": answered}


def test_the_exporter_counts_steps_by_vllms_own_name(tmp_path: Path) -> None:
    """The page counts 2,735 steps; its sum holds the first token of each answer as well."""
    log = tmp_path / "vllm_Tiny-Qwen3_port9410_realtime.log"
    log.write_bytes(gzip.decompress(next(FOLDER.glob("*.log.gz")).read_bytes()))
    target = tmp_path / "vllm.prom"
    options = ReadOptions(live=True, poll_seconds=0.01, events=False)
    ingest = Ingest([str(log)], formats(), options)
    exporter = Exporter(FollowedServers(Settings(), formats()))
    for item in ingest.follow(threading.Event()):
        exporter.feed(item, ingest.found.logs, time.time())
        if isinstance(item, PathSearch) and item.caught_up:
            break
    ingest.close()
    exporter.write(target)
    page = target.read_text()

    def told(name: str) -> float:
        (value,) = re.findall(rf'^{name}{{[^\n]*engine="0"[^\n]*}} (\S+)$', page, re.M)
        return float(value)

    count, answered = told("vllm:iteration_tokens_total_count"), counter("request_success_total")
    assert count == counter("iteration_tokens_total_count") == 2735
    total = counter("iteration_tokens_total_sum")
    assert told("vllm:iteration_tokens_total_sum") == total - answered
    assert 0 < told("vllm_watch_steps_at_token_limit_total") < count


def test_a_comparison_and_a_page_have_the_steps(tmp_path: Path, capsys: Output) -> None:
    log = next(FOLDER.glob("*.log.gz"))
    other = log_of("cpu_two_engines")
    assert main(["compare", str(log), str(other), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    metrics = document["candidates"][0]["metrics"]
    tokens = (117_634 + 18_223) / 2735
    assert metrics["tokens_per_step"]["baseline"] == pytest.approx(tokens, abs=1e-5)
    assert metrics["tokens_per_step"]["candidate"] is None
    (steps,) = document["baseline"]["summary"]["iterations"]
    assert metrics["step_time_ms"]["baseline"] == pytest.approx(
        1000 * steps["step_time_s"], abs=1e-3
    )
    assert metrics["budget_share"]["baseline"] == pytest.approx(steps["budget_share"], abs=1e-6)
    page = tmp_path / "page.html"
    assert main(["report", str(log), "-o", str(page)]) == 0
    told = page.read_text(encoding="utf-8")
    assert "Time of a step" in told
    assert "Tokens a step" in told
