"""Alerts, healths and programs for the tests of actions."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from vllm_watch.actions.payload import Alert
from vllm_watch.config.sections import Severity
from vllm_watch.core.states import ServerState, State
from vllm_watch.health.finding import Finding, RankedFinding
from vllm_watch.health.monitor import Health

ALERT = Alert(
    status="firing",
    id="kv-cache-critical",
    severity="critical",
    title="KV cache full: 99 %",
    detail="45 waiting for memory",
    remedy="raise --gpu-memory-utilization",
    flags=("--max-num-seqs 64",),
    guide="long-context guide",
    server="Qwen3-8B:8003",
    model="Qwen3-8B",
    port=8003,
    engine=None,
    state="busy",
    log="/logs/vllm_Qwen3-8B_port8003_realtime.log",
    since=1_795_424_455.0,
    time=1_795_424_465.0,
)

HOSTILE = replace(
    ALERT, server="$(touch pwned);`id`\"'\x1b]0;x\x07\n|&:1", model="$(touch pwned)\x00\n\u202e"
)


def program(folder: Path, body: str) -> tuple[str, ...]:
    """Write a Python script and return the words that run it."""
    path = folder / "program.py"
    path.write_text("import json, os, signal, subprocess, sys, time\n" + body, encoding="utf-8")
    return (sys.executable, "-S", "-E", str(path))


def finding(name: str, severity: Severity = "critical", since: float | None = 0.0) -> Finding:
    return Finding(name, "word", severity, name, "detail", "remedy", "guide", since)


def health(*found: Finding, state: State = "busy") -> Health:
    return Health(ServerState(state, 0.0), tuple(map(RankedFinding.of, found)))
