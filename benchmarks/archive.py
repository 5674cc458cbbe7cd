"""Thousands of logs into an archive: made from the captures, read by 1 and 2 processes and by Dask.

`python -m benchmarks.archive --logs 2000` makes the logs (seeded), archives them three ways, kills
one archiver in the middle and lets another finish its work, and prints a table. Every way must give
the same rows.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
CAPTURES = ROOT / "fixtures" / "logs"
SEED = 20261126
_STAMP = re.compile(rb"(?<=[A-Z] )\d\d-\d\d(?= \d\d:\d\d:\d\d )")
_FIRST_DAY = date(2026, 1, 5)


def make_logs(folder: Path, count: int) -> None:
    """Write `count` logs with their companions: captures on other days, under other ports."""
    chance = random.Random(SEED)
    captures = sorted(path for path in CAPTURES.glob("*/*.log"))
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        capture = captures[number % len(captures)]
        day = _FIRST_DAY + timedelta(days=chance.randrange(320))
        model = capture.name.split("_port")[0]
        stem = f"{model}_port{10_000 + number}_realtime"
        for ending in (".log", ".err"):
            source = capture.with_suffix(ending)
            if source.exists():
                text = _STAMP.sub(f"{day:%m-%d}".encode(), source.read_bytes())
                (folder / f"{stem}{ending}").write_bytes(text)


def archive(logs: Path, target: Path, *words: str) -> tuple[float, float]:
    """Archive a folder; return the seconds it took, and those of all its processes on a core.

    On a machine with only one free core, two processes take as long as one; each then uses half of
    the second number.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(_command(logs, target, *words), check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    on_core = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, on_core


def killed_and_started_again(logs: Path, target: Path, seconds: float) -> tuple[float, float]:
    """Kill an archiver after some seconds, start another; return how long that one took."""
    process = subprocess.Popen(_command(logs, target), start_new_session=True)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)
    process.wait()
    return archive(logs, target)


def rows_of(folder: Path) -> list[str]:
    """Return every run and sample of an archive as text, sorted."""
    runs = pq.read_table(folder / "runs").to_pylist()
    samples = pq.read_table(folder / "samples").to_pylist()
    return sorted(map(repr, (*runs, *samples)))


def _command(logs: Path, target: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "vllm_watch", "archive", str(logs), "-o", str(target), *words]


def _with_dask(logs: Path, target: Path) -> tuple[float, float]:
    from importlib import import_module

    distributed = import_module("dask.distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        return archive(logs, target, "--dask", cluster.scheduler_address)


def main(words: Sequence[str] | None = None) -> int:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--logs", type=int, default=2_000)
    parser.add_argument("--keep", type=Path, help="folder for the logs, which are kept")
    arguments = parser.parse_args(words)
    place = Path(tempfile.mkdtemp(prefix="vllm-archive-"))
    logs = arguments.keep or place / "logs"
    try:
        make_logs(logs, arguments.logs)
        took = {"1 process": archive(logs, place / "one", "--processes", "1")}
        took["2 processes"] = archive(logs, place / "two", "--processes", "2")
        took["Dask, 2 workers"] = _with_dask(logs, place / "dask")
        took["second call"] = archive(logs, place / "two")
        half = took["2 processes"][0] / 2
        took["after a kill"] = killed_and_started_again(logs, place / "killed", half)
        whole = rows_of(place / "one")
        print(f"{arguments.logs:,} logs, {len(whole):,} rows (runs and samples)\n")
        print("| how | seconds | on a core | logs per second | rows equal |\n|---|---|---|---|---|")
        folders = ("one", "two", "dask", "two", "killed")
        for (how, (seconds, on_core)), name in zip(took.items(), folders, strict=True):
            same = "yes" if rows_of(place / name) == whole else "NO"
            rate = arguments.logs / seconds
            print(f"| {how} | {seconds:.1f} | {on_core:.1f} | {rate:.0f} | {same} |")
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
