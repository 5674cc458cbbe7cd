"""Processes that tests start: whether they run, and waiting for their effects."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 60.0
"""Time limit in seconds for anything awaited; not a measurement."""


def as_process(*words: Path | str | bytes) -> list[str | bytes]:
    """Return the words that start the program of this checkout with some arguments."""
    given = [str(word) if isinstance(word, Path) else word for word in words]
    return [sys.executable, "-m", "vllm_watch", *given]


def until(true: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Wait for an effect of another process; fail at once if that process has ended."""
    end = time.monotonic() + PATIENCE
    while not true():
        if process is not None:
            assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Return whether a process runs: one that has ended may not have been reaped yet."""
    if not os.path.exists("/proc/self/stat"):  # macOS
        told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
        return told.stdout.strip()[:1] not in ("", "Z")
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z" and os.path.exists(f"/proc/{pid}")
