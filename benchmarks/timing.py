"""Commands timed in turns, so that a busy moment of the machine hits all of them."""

from __future__ import annotations

import compileall
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import vllm_watch

PROGRAM = (sys.executable, "-m", "vllm_watch")
"""How the program is run: with the interpreter that runs the benchmark."""
PEER = "vllmstat==0.9.1"
PEER_FOLDER = Path(".venv") / "peer"
"""A separate environment for the peer, which must not share our dependencies."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians of several runs, in seconds."""

    wall: float
    cpu: float
    """User and system time of the process and its children."""


def in_turns(commands: Mapping[str, Sequence[str] | str], rounds: int) -> dict[str, Cost]:
    """Run each command once per round; return the medians. A text is run by the shell."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            taken[name].append(timed(command))
    return {
        name: Cost(*(statistics.median(column) for column in zip(*each, strict=True)))
        for name, each in taken.items()
    }


def as_installed() -> None:
    """Compile the program's modules, as an installer does."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(Path(vllm_watch.__file__).parent, quiet=1)


def timed(command: Sequence[str] | str) -> tuple[float, float]:
    """Return wall and processor seconds of one run; its output is discarded."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(
        command,
        shell=isinstance(command, str),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def peer() -> str | None:
    """Return the peer's program, installed if possible; None if not."""
    program = PEER_FOLDER / "bin" / "vllmstat"
    if not program.exists():
        steps = (
            [sys.executable, "-m", "venv", str(PEER_FOLDER)],
            [str(PEER_FOLDER / "bin" / "python"), "-m", "pip", "install", "-qq", PEER],
        )
        for step in steps:
            if subprocess.run(step, capture_output=True, check=False).returncode:
                return None
    return str(program) if program.exists() else None


def machine() -> list[str]:
    """Return what the figures depend on: processor, load, versions."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    packages = ("vllm-watch", "numpy", "pandas", "textual", "watchfiles")
    load = os.getloadavg()
    return [
        f"- {model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        f"- Python {platform.python_version()}, "
        + ", ".join(f"{name} {metadata.version(name)}" for name in packages),
        f"- load average before the run: {load[0]:.1f} {load[1]:.1f} {load[2]:.1f}"
        + ("" if load[0] < 0.7 else " (not idle: ratios hold less well)"),
    ]
