"""Logs written at moments that a test chooses, with lines of real captures."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

NAME = "vllm_Tiny-Qwen3_port9101_realtime.log"


def stamp(at: float) -> str:
    """Return vLLM's stamp of a moment, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%m-%d %H:%M:%S")


def written_at(text: str) -> str:
    """Return the stamp of the first line with one: lines are sorted by it."""
    return text[text.index("INFO ") :][:20]


def line(at: float, file: str, text: str, level: str = "INFO") -> str:
    """Return one line of the API server."""
    return f"(APIServer pid=27447) {level} {stamp(at)} [{file}] {text}\n"


def begun(at: float) -> str:
    """Return the first lines of a run."""
    args = "non-default args: {'model_tag': '/models/Tiny-Qwen3', 'port': 9101, 'max_num_seqs': 8}"
    return line(at, "api_utils.py:347", "version 0.32.0") + line(at, "api_utils.py:286", args)


def loading(at: float) -> str:
    """Return the first line of loading the weights."""
    text = "Starting to load model /models/Tiny-Qwen3..."
    return f"(Worker pid=30913) INFO {stamp(at)} [cpu_model_runner.py:68] {text}\n"


def ready(at: float) -> str:
    """Return the line with which the HTTP server starts."""
    text = "Starting vLLM server on http://127.0.0.1:9101"
    return line(at, "entry.py:140", text)


def stats(
    at: float,
    *,
    engine: int = 0,
    generation: float = 734.9,
    running: int = 3,
    waiting: int = 0,
    kv: float = 50.0,
    hits: float = 40.0,
) -> str:
    """Return a stats line."""
    text = (
        f"Engine {engine:03d}: Avg prompt throughput: 51.2 tokens/s, Avg generation throughput: "
        f"{generation} tokens/s, Running: {running} reqs, Waiting: {waiting} reqs, "
        f"GPU KV cache usage: {kv}%, Prefix cache hit rate: {hits}%"
    )
    return line(at, "loggers.py:279", text)


def stopped(at: float) -> str:
    """Return the first line of a stop."""
    return line(at, "launcher.py:254", "[shutdown] API server: shutdown triggered")


def died(at: float) -> str:
    """Return the last line of a dying engine."""
    text = "[shutdown] MPClient: engine core exited unexpectedly; starting cleanup"
    return line(at, "core_client.py:702", text, "WARNING")


def idle(at: float) -> str:
    """Return a stats line of a server without work."""
    return stats(at, generation=0.0, running=0, kv=0.0)


def busy(until: float, lines: int = 4, **values: float) -> str:
    """Return stats lines ten seconds apart, the last one at `until`."""
    times = (until - 10.0 * n for n in reversed(range(lines)))
    return "".join(stats(at, **values) for at in times)  # type: ignore[arg-type]


def write(folder: Path, text: str, *, name: str = NAME, modified: float | None = None) -> Path:
    """Write a log; `modified` is when its last line was written."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    if modified is not None:
        os.utime(path, (modified, modified))
    return path
