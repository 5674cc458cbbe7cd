"""Iteration details of a real server (vLLM 0.32.0 on a CPU) against its own counters."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from vllm_watch.cli import main

FOLDER = Path(__file__).parents[2] / "fixtures/recordings/cpu_iterations"
Output = pytest.CaptureFixture[str]


def counter(name: str) -> float:
    page = next(FOLDER.glob("*.prom")).read_text(encoding="utf-8")
    return sum(float(v) for v in re.findall(rf"^vllm:{name}{{[^}}]*}} (\S+)$", page, re.M))


def test_tokens_of_the_steps_are_the_counters(capsys: Output) -> None:
    assert main(["summary", str(next(FOLDER.glob("*.log.gz"))), "--json"]) == 0
    (server,) = json.loads(capsys.readouterr().out)["servers"]
    (steps,) = server["iterations"]
    assert steps["steps"] == 2735  # lines, counted by grep
    assert steps["context_tokens"] == counter("prompt_tokens_total") == 117_634
    # The first token of each request comes out of its prefill.
    answered = counter("request_success_total")
    assert steps["generation_tokens"] == counter("generation_tokens_total") - answered == 18_223
    assert steps["most_tokens"] == server["config"]["max_num_batched_tokens"] == 512
    assert server["requests"]["by_status"] == {"200": answered}
