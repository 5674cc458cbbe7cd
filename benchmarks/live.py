"""Servers that only log, at vLLM's own pace, and the screen that watches them."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.terminal import Terminal
from benchmarks.timing import PROGRAM

PACE = 10.0
"""Seconds between two stats lines of one engine."""
_LINE = (
    "(APIServer pid=1) INFO {stamp} [loggers.py:310] Engine {engine:03d}: Avg prompt throughput: "
    "{prompt:.1f} tokens/s, Avg generation throughput: {generation:.1f} tokens/s, Running: "
    "{running} reqs, Waiting: {waiting} reqs, GPU KV cache usage: {kv:.1f}%, "
    "Prefix cache hit rate: 30.0%\n"
)


PAST = "reading the past"
"""What the screen says while it reads the past of a large log."""
MOST_SETTLING = 150.0
"""Longest time in seconds for reading a fleet before it is measured."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a live screen takes."""

    cpu: float
    """Share of a core, 0…1."""
    sent: float
    """Bytes per second to the terminal."""


def stats_line(engine: int, number: int, *, sick: bool = False, now: float | None = None) -> str:
    """Return a stats line of now; a faulty server's cache is full and its queue long."""
    stamp = time.strftime("%m-%d %H:%M:%S", time.gmtime(now))
    return _LINE.format(
        stamp=stamp,
        engine=engine,
        prompt=900.0 + number % 90,
        generation=1000.0 + 37 * (number % 50),
        running=64,
        waiting=120 if sick else 0,
        kv=99.5 if sick else 40.0 + number % 9,
    )


def fleet(folder: Path, servers: int, engines: int, *, sick: bool) -> list[Path]:
    """Write the logs of a fleet that has been up for a quarter of an hour."""
    folder.mkdir(parents=True, exist_ok=True)
    now = time.time()
    paths = []
    for number in range(servers):
        path = folder / f"vllm_M_port{8000 + number}_realtime.log"
        lines = (
            stats_line(engine, ago, sick=sick, now=now - ago * PACE)
            for ago in range(90, 0, -1)
            for engine in range(engines)
        )
        path.write_text("".join(lines), encoding="utf-8")
        paths.append(path)
    return paths


def share(folder: Path, servers: int, engines: int, seconds: float, *, sick: bool) -> Share:
    """Watch a fleet that writes at its pace; return the cost of the screen meanwhile."""
    fleet(folder, servers, engines, sick=sick)
    words = [sys.executable, "-m", "benchmarks.live", str(folder), str(engines), str(int(sick))]
    writer = subprocess.Popen(words)
    screen = Terminal([*PROGRAM, str(folder), "--tz", "UTC"])
    try:
        screen.first_frame(180.0)
        _settle(screen)
        cpu, sent, began = screen.cpu(), screen.sent, time.perf_counter()
        screen.drain(seconds)
        took = time.perf_counter() - began
        return Share((screen.cpu() - cpu) / took, (screen.sent - sent) / took)
    finally:
        screen.close()
        writer.kill()
        writer.wait()


def _settle(screen: Terminal) -> None:
    """Wait until existing lines have been read: a large fleet takes a whole core until then."""
    busy, until = 1.0, time.perf_counter() + MOST_SETTLING
    while busy > 0.8 and time.perf_counter() < until:
        before = screen.cpu()
        screen.drain(5.0)
        busy = (screen.cpu() - before) / 5.0
    screen.drain(5.0)


def answers(folder: Path, log: Path, presses: int, servers: int = 50) -> list[float]:
    """Return the seconds from a key to its answer while the past of a large log is read.

    As many servers write meanwhile. `?` opens the help, `escape` closes it; a key that was not
    answered within 5 s counts as 5. The program is started again when the past has been read.
    """
    fleet(folder, servers, 8, sick=False)
    large = folder / "vllm_Large_port7999_realtime.log"
    large.symlink_to(log)
    words = [sys.executable, "-m", "benchmarks.live", str(folder), "8", "0"]
    writer = subprocess.Popen(words)
    found: list[float] = []
    try:
        while len(found) < presses:
            found += _answers_once(folder, presses - len(found))
    finally:
        writer.kill()
        writer.wait()
    return found


def _answers_once(folder: Path, presses: int) -> list[float]:
    found: list[float] = []
    screen = Terminal([*PROGRAM, str(folder), "--tz", "UTC"])
    try:
        screen.first_frame(60.0)
        if screen.until(PAST, 20.0) is None:
            raise RuntimeError("the screen did not say that it reads the past")
        while len(found) < presses and screen.shows(PAST):
            screen.key(b"?")
            found.append(screen.until("esc closes this") or 5.0)
            screen.key(b"\x1b")
            screen.until("esc closes this", gone=True)
            screen.quiet(0.1)
    finally:
        screen.close()
    return found


def appended(folder: Path, lines: int, *, events: bool) -> list[float]:
    """Return the seconds from an append to its number on the screen, 5 where it is absent."""
    (path,) = fleet(folder, 1, 1, sick=False)
    settings = folder / "settings.toml"
    settings.write_text(f"[watch]\nevents = {str(events).lower()}\n", encoding="utf-8")
    screen = Terminal([*PROGRAM, str(path), "--tz", "UTC", "--config", str(settings)])
    found = []
    try:
        screen.first_frame(60.0)
        screen.drain(2.0)
        for number in range(lines):
            shown = 2_000 + 37 * number
            line = stats_line(0, 0).replace(
                "1000.0 tokens/s, Running", f"{shown}.0 tokens/s, Running"
            )
            with path.open("a", encoding="utf-8") as file:
                file.write(line)
            found.append(screen.until(f"{shown:,}") or 5.0)
            screen.drain(0.4 + 0.13 * (number % 7))
    finally:
        screen.close()
    return found


def spread(values: list[float]) -> tuple[float, float, float]:
    """Return the median, the 95th percentile and the worst."""
    ordered = sorted(values)
    return (
        statistics.median(ordered),
        ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))],
        ordered[-1],
    )


def main() -> None:
    """Append a line for each engine of each server every ten seconds, spread over them."""
    folder, engines, sick = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1"
    paths = sorted(path for path in folder.glob("*.log") if not path.is_symlink())
    step = PACE / len(paths)
    number, due = 0, time.monotonic()
    while True:
        for path in paths:
            due += step
            time.sleep(max(0.0, due - time.monotonic()))
            with path.open("a", encoding="utf-8") as file:
                file.writelines(stats_line(e, number + e, sick=sick) for e in range(engines))
        number += 1


if __name__ == "__main__":
    main()
