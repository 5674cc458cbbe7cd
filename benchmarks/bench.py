"""Every speed that the design promises, as ratios of one run.

    python -m benchmarks.bench [--quick] [--only reading,live]

Makes its own data from seeds, and compares with grep, an idle interpreter, and the peer (vllmstat
0.9.1, in its own environment; if it cannot be installed, that is reported). Writes
benchmarks/results.md and benchmarks/cost.svg; --quick takes two minutes and writes
results-quick.md, from smaller data.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import badlogs, biglog, live, picture, scaling
from benchmarks.terminal import Terminal
from benchmarks.timing import (
    PEER,
    PROGRAM,
    Cost,
    as_installed,
    in_turns,
    machine,
    peer,
    timed,
)
from tests import serverlog

HERE = Path(__file__).parent


@dataclass(slots=True)
class Bench:
    """The tools of a measurement, and its results."""

    folder: Path
    quick: bool
    rows: list[tuple[str, str, str, str]] = field(default_factory=list)

    def row(self, what: str, found: str, goal: str, reached: bool | None) -> None:
        """Keep and print one line of the table."""
        verdict = "" if reached is None else "yes" if reached else "no"
        self.rows.append((what, found, goal, verdict))
        print(f"{what:62} {found:34} goal {goal:10} {verdict}", flush=True)

    def log(self, size: int, *, stats: float = 0.01) -> Path:
        """Return a log of a size in MiB, made if it is not there."""
        path = self.folder / f"big_{size}_{stats}.log"
        if not path.exists():
            biglog.write(path, size << 20, stats=stats)
        return path


def reading(bench: Bench) -> None:
    """`summary` and `export` of a large log against grep, and samples by the second."""
    size = 96 if bench.quick else 1024
    log = bench.log(size)
    grep = f"grep -a 'Engine 0' '{log}' | cat >/dev/null"
    commands: dict[str, list[str] | str] = {
        "grep": grep,
        "summary --json": [*PROGRAM, "summary", "--json", str(log)],
        "export -o -": [*PROGRAM, "export", str(log), "-o", "-"],
    }
    costs = in_turns(commands, 2 if bench.quick else 3)
    for name, goal in (("summary --json", 2.0), ("export -o -", 2.5)):
        _against(bench, f"`{name}`, {size} MiB, 1 % stats lines, against grep", costs, name, goal)
    size = 16 if bench.quick else 128
    for what, goal, judged in (("up to columns", 4.0, False), ("judged", 8.0, True)):
        samples, seconds = scaling.samples(bench.log(size, stats=1.0), judged=judged)
        each = seconds / samples * 1e6
        bench.row(
            f"a log of stats lines, {what}",
            f"{each:.1f} µs a sample",
            f"{goal:.0f} µs",
            each <= goal,
        )


def _against(bench: Bench, what: str, costs: dict[str, Cost], name: str, goal: float) -> None:
    base = next(iter(costs.values()))
    ratio = costs[name].wall / base.wall
    cpu = costs[name].cpu / base.cpu if base.cpu else 0.0
    found = f"{ratio:.1f} × ({cpu:.1f} × processor)"
    bench.row(what, found, f"{goal:g} ×", ratio <= goal)


def starting(bench: Bench) -> None:
    """`status` and `--version` against an idle interpreter; first frames."""
    now = time.time()
    text = (
        serverlog.begun(now - 900) + serverlog.ready(now - 800) + serverlog.busy(now - 3, lines=60)
    )
    small = serverlog.write(bench.folder, text)
    commands = {
        "pass": [sys.executable, "-c", "pass"],
        "status": [*PROGRAM, "status", str(small)],
        "status of a large log": [*PROGRAM, "status", str(bench.log(96 if bench.quick else 256))],
        "--version": [*PROGRAM, "--version"],
    }
    costs = in_turns(commands, 5 if bench.quick else 15)
    for name in ("status", "status of a large log", "--version"):
        _against(bench, f"`{name}`, against `python3 -c pass`", costs, name, 6.0)
    program = peer()
    if program is None:
        bench.row(f"first frame, against {PEER}", f"{PEER} cannot be had here", "0.9 ×", None)
        return
    large = bench.log(96 if bench.quick else 1024)
    screens = {
        "peer": [program, "--mock"],
        "small log": [*PROGRAM, str(small)],
        "large log": [*PROGRAM, str(large)],
    }
    taken: dict[str, list[float]] = {name: [] for name in screens}
    for _ in range(2 if bench.quick else 7):
        for name, command in screens.items():
            screen = Terminal(command)
            taken[name].append(screen.first_frame() or 60.0)
            screen.close()
    base = sorted(taken["peer"])[len(taken["peer"]) // 2]
    for name, goal in (("small log", 0.9), ("large log", 1.25)):
        seconds = sorted(taken[name])[len(taken[name]) // 2]
        found = f"{seconds / base:.2f} × ({seconds:.2f} s, peer {base:.2f} s)"
        bench.row(
            f"first frame, {name}, against {PEER} --mock",
            found,
            f"{goal:g} ×",
            seconds <= goal * base,
        )


def screens(bench: Bench) -> None:
    """Processor and bytes that the live screen takes while a fleet writes."""
    seconds = 8.0 if bench.quick else 60.0
    fleets = (
        ((1, 0.025), (4, 0.03)) if bench.quick else ((1, 0.025), (4, 0.03), (50, 0.05), (1000, 0.1))
    )
    for servers, goal in fleets:
        for sick in (False, True):
            if bench.quick and sick:
                continue
            folder = bench.folder / f"fleet_{servers}_{sick}"
            found = live.share(folder, servers, 8, seconds, sick=sick)
            what = f"live, {servers:,} servers × 8 engines, {'all sick' if sick else 'healthy'}"
            text = f"{found.cpu:.1%} of a core, {found.sent:,.0f} B/s"
            bench.row(what, text, f"{goal:.1%}", found.cpu <= goal)
    for events, goal in ((True, 0.15), (False, 1.2)):
        taken = live.appended(
            bench.folder / f"append_{events}", 8 if bench.quick else 100, events=events
        )
        p50, p95, worst = live.spread(taken)
        what = f"append to changed screen, {'with' if events else 'without'} events"
        found_ms = f"p50 {p50 * 1e3:.0f}, p95 {p95 * 1e3:.0f}, worst {worst * 1e3:.0f} ms"
        bench.row(what, found_ms, f"{goal * 1e3:.0f} ms", p95 <= goal)
    log = bench.log(96 if bench.quick else 1024)
    taken = live.answers(bench.folder / "keys", log, 6 if bench.quick else 100)
    p50, p95, worst = live.spread(taken)
    found_ms = f"p50 {p50 * 1e3:.0f}, p95 {p95 * 1e3:.0f}, worst {worst * 1e3:.0f} ms"
    what = "key to answer while a large log's past is read, 50 servers write"
    bench.row(what, found_ms, "150 ms", p95 <= 0.15)


def bad(bench: Bench) -> None:
    """Bad input against the normal rate, bytes per second."""
    size = 8 if bench.quick else 64
    normal, stats = bench.log(size), bench.log(size, stats=1.0)
    rates = {log: _export_seconds(log) / log.stat().st_size for log in (normal, stats)}
    for name, (make, is_stats) in badlogs.BAD.items():
        path = bench.folder / "bad.log"
        make(path, size << 20)
        rate = _export_seconds(path) / path.stat().st_size
        ratio = rate / rates[stats if is_stats else normal]
        kind = "log of stats lines" if is_stats else "normal log"
        bench.row(f"bad input: {name}", f"{ratio:.1f} × a {kind}", "5 ×", ratio <= 5)
        path.unlink()


def _export_seconds(log: Path) -> float:
    """Return processor seconds of reading a log, without the program's start."""
    command = [*PROGRAM, "export", "-o", "-"]
    return max(0.01, min(timed([*command, str(log)])[1] for _ in range(2)) - _empty(log.parent))


def _empty(folder: Path) -> float:
    path = folder / "empty.log"
    path.touch()
    return timed([*PROGRAM, "export", "-o", "-", str(path)])[1]


def costs(bench: Bench) -> None:
    """Cost against bytes, samples, engines, servers and history, as a picture."""
    charts = scaling.curves(bench.folder, quick=bench.quick)
    name = "cost-quick.svg" if bench.quick else "cost.svg"
    picture.write(HERE / name, charts, "processor seconds against size")
    for title, points in charts.items():
        (x1, y1), (x2, y2) = points[0], points[-1]
        growth = (y2 / y1) / (x2 / x1) if y1 > 0 else 0.0
        bench.row(
            f"cost against {title}",
            f"{x2 / x1:.0f} × as much costs {y2 / max(1e-9, y1):.1f} ×",
            "linear",
            growth <= 1.3,
        )


PARTS: dict[str, Callable[[Bench], None]] = {
    "reading": reading,
    "starting": starting,
    "bad": bad,
    "costs": costs,
    "live": screens,
}


def _written(bench: Bench, about: list[str], seconds: float) -> Iterator[str]:
    yield "# What it costs"
    yield ""
    yield (
        "Written by `make bench`"
        + (" with `ARGS=--quick`" if bench.quick else "")
        + "; ratios of one run."
        + " × processor: the same in processor time. B/s: bytes sent to the terminal."
    )
    yield ""
    yield from about
    yield f"- it took {seconds / 60:.0f} minutes"
    yield ""
    yield "| what | found | goal | reached |"
    yield "|---|---|---|---|"
    for row in bench.rows:
        yield f"| {' | '.join(row)} |"


def _write(bench: Bench, about: list[str], seconds: float) -> None:
    text = "\n".join(_written(bench, about, seconds))
    name = "results-quick.md" if bench.quick else "results.md"
    (HERE / name).write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller data, two minutes")
    parser.add_argument("--only", help=f"parts, with commas: {', '.join(PARTS)}")
    given = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled once
    parts = given.only.split(",") if given.only else list(PARTS)
    as_installed()
    about, began = machine(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), given.quick)
        for name in parts:
            PARTS[name](bench)
            if not given.only:  # after each part: what was measured is kept if a later one ends it
                _write(bench, about, time.perf_counter() - began)


if __name__ == "__main__":
    main()
