"""How fast large logs are read, against grep in the same run.

    python -m benchmarks.reading [--megabytes 512]

Prints seconds (the best of three) and the ratio to `grep -a 'Engine 0' FILE | cat >/dev/null`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.biglog import write
from vllm_watch.cli.common import formats
from vllm_watch.config import Settings
from vllm_watch.health.monitor import Monitor
from vllm_watch.ingest import Ingest


def best(what: Callable[[Path], object], log: Path, times: int = 3) -> float:
    """Return the shortest of `times` runs in seconds."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        what(log)
        found.append(time.perf_counter() - began)
    return min(found)


def grep(log: Path) -> None:
    """Run what people use today."""
    subprocess.run(f"grep -a 'Engine 0' '{log}' | cat >/dev/null", shell=True, check=True)


def records(log: Path) -> int:
    """Read the log into records."""
    return sum(len(batch.records) for batch in Ingest([str(log)], formats()).read_once())


def judged(log: Path) -> Monitor:
    """Read the log into columns and alerts, as the screen does."""
    monitor = Monitor(Settings())
    for batch in Ingest([str(log)], formats()).read_once():
        monitor.apply(batch)
    return monitor


def export(log: Path) -> None:
    """Run the export as a command, its start included."""
    command = [sys.executable, "-m", "vllm_watch", "export", str(log), "-o", "-"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=512)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for title, others in (("1 % stats lines", 0.0), ("and 9 % others of vLLM", 0.09)):
            log = Path(folder) / "big.log"
            count, _ = write(log, arguments.megabytes << 20, others=others)
            print(f"{arguments.megabytes} MB, {title}: {count:,} samples")
            grep(log)  # into the cache
            base = best(grep, log)
            print(f"  {'grep':28} {base:6.2f} s")
            for name, what in (("records", records), ("judged", judged), ("export", export)):
                seconds = best(what, log, 2)
                print(f"  {name:28} {seconds:6.2f} s  × {seconds / base:.1f}")


if __name__ == "__main__":
    main()
