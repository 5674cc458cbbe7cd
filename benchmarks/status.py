"""Times `vllm-watch status` against an interpreter that does nothing.

Run it as `python -m benchmarks.status`.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests import serverlog as log


def main() -> None:
    """Print median wall and processor seconds of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--megabytes", type=int, default=0, help="size of the log's middle")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = _log(Path(folder), options.megabytes)
        commands = {
            "python3 -c pass": [sys.executable, "-c", "pass"],
            "vllm-watch status": [sys.executable, "-m", "vllm_watch", "status", str(path)],
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(options.rounds):  # in turns: a busy moment of the machine hits both
            for name, command in commands.items():
                times[name].append(_timed(command))
    medians = {
        name: tuple(statistics.median(column) for column in zip(*taken, strict=True))
        for name, taken in times.items()
    }
    for name, (wall, cpu) in medians.items():
        print(f"{name:20} {wall * 1000:6.0f} ms  {cpu * 1000:6.0f} ms of processor")
    base, status = medians.values()
    print(f"ratio                {status[0] / base[0]:6.1f}     {status[1] / base[1]:6.1f}")


def _log(folder: Path, megabytes: int) -> Path:
    now = time.time()
    access = '(APIServer pid=1) INFO:     127.0.0.1:5 - "POST /v1/completions HTTP/1.1" 200 OK\n'
    path = log.write(folder, log.begun(now - 900) + log.ready(now - 800))
    with path.open("a", encoding="utf-8") as file:
        for _ in range(megabytes):
            file.write(access * (1_000_000 // len(access)))
        file.write(log.busy(now - 3, lines=60))
    return path


def _timed(command: list[str]) -> tuple[float, float]:
    """Return wall and processor seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
