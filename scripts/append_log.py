"""Play a saved log into a new growing file, cut anywhere, at the pace of its own stamps.

    python scripts/append_log.py SOURCE.log TARGET.log --speed 10 --seed 7 --err --restamp

Lines without a stamp follow the one before at once. With `--err` the `.err` beside SOURCE grows
beside TARGET: a third of it at the start, more when the server is up, its last lines at the end.
"""

from __future__ import annotations

import argparse
import math
import random
import re
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

LARGEST_PIECE = 4096
LONGEST_PAUSE = 0.003  # seconds between two pieces of the same moment
_GAP = rb"(?:\x1b\[[\d;]*m|\s)+"
_STAMP = re.compile(
    rb"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)" + _GAP
    + rb"(\d\d-\d\d \d\d:\d\d:\d\d)(?=" + _GAP + rb"\[)"
)  # fmt: skip
_UP = b"Starting vLLM server"
_DOWN = b"Shutting down"
_HALF_A_YEAR = timedelta(days=183)


@dataclass(frozen=True)
class Burst:
    """Bytes that are due at a moment, in seconds after the start."""

    due: float
    data: bytes
    twin: bool = False  # for the `.err`


def moment(stamp: bytes, after: datetime | None) -> datetime:
    """Return a stamp as a moment; a stamp far before `after` belongs to the next year."""
    year = after.year if after else 2024  # a leap year, for the 29th of February
    at = datetime.strptime(f"{year}-{stamp.decode()}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return at.replace(year=year + 1) if after and after - at > _HALF_A_YEAR else at


def bursts_of(log: bytes, speed: float, restamp: datetime | None) -> list[Burst]:
    """Cut a log where its stamps change, and after the line that shows that the server is up."""
    bursts: list[Burst] = []
    first: datetime | None = None
    last: datetime | None = None
    due, pending = 0.0, b""
    for line in log.splitlines(keepends=True):
        if found := _STAMP.search(line):
            last = moment(found[1], last)
            first = first or last
            passed = (last - first).total_seconds() / speed
            if restamp:
                shown = f"{restamp + timedelta(seconds=passed):%m-%d %H:%M:%S}".encode()
                line = line[: found.start(1)] + shown + line[found.end(1) :]
            if max(passed, due) > due:
                bursts.append(Burst(due, pending))
                due, pending = passed, b""
        pending += line
        if _UP in line:
            bursts.append(Burst(due, pending))
            pending = b""
    return [burst for burst in (*bursts, Burst(due, pending)) if burst.data]


def with_twin(bursts: list[Burst], err: bytes) -> list[Burst]:
    """Return the bursts of a log with those of its `.err` between."""
    lines = err.splitlines(keepends=True)
    down = next((i for i, line in enumerate(lines) if _DOWN in line), len(lines))
    third = down // 3
    start, rest, end = (
        b"".join(part) for part in (lines[:third], lines[third:down], lines[down:])
    )  # fmt: skip
    mixed = [Burst(0.0, start, twin=True)]
    for burst in bursts:
        mixed.append(burst)
        if rest and _UP in burst.data:
            mixed.append(Burst(burst.due, rest, twin=True))
            rest = b""
    # A server that never came up says why at the end.
    return [*mixed, Burst(bursts[-1].due if bursts else 0.0, rest + end, twin=True)]


def play(bursts: list[Burst], target: Path, seed: int) -> None:
    """Append the bursts to `target` and its twin when they are due, in pieces of random size."""
    chance = random.Random(seed)
    began = time.monotonic()
    twin = target.with_suffix(".err") if any(burst.twin for burst in bursts) else target
    with target.open("ab", buffering=0) as log, twin.open("ab", buffering=0) as err:
        for index, burst in enumerate(bursts):
            time.sleep(max(0.0, began + burst.due - time.monotonic()))
            next_due = bursts[index + 1].due if index + 1 < len(bursts) else math.inf
            data = burst.data
            while data:
                # As many small pieces as large ones.
                size = int(math.exp(chance.uniform(0.0, math.log(LARGEST_PIECE + 1))))
                (err if burst.twin else log).write(data[:size])
                data = data[size:]
                pause = chance.uniform(0.0, LONGEST_PAUSE)
                if data and time.monotonic() - began + pause < next_due:
                    time.sleep(pause)


def main() -> int:
    """Play one log."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--speed", type=float, default=1.0, help="times faster than it was")
    parser.add_argument("--seed", type=int, default=7, help="decides where the log is cut")
    parser.add_argument("--err", action="store_true", help="the .err twin, too")
    parser.add_argument("--restamp", action="store_true", help="stamps of the present, in UTC")
    options = parser.parse_args()
    if options.speed <= 0:
        parser.error("--speed must be above 0")
    for path in (options.target, *([options.target.with_suffix(".err")] if options.err else [])):
        if path.exists() and path.stat().st_size:
            parser.error(f"{path} exists")
    if options.err and not options.source.with_suffix(".err").exists():
        parser.error(f"{options.source} has no .err beside it")
    present = datetime.now(UTC) if options.restamp else None
    bursts = bursts_of(options.source.read_bytes(), options.speed, present)
    if options.err:
        bursts = with_twin(bursts, options.source.with_suffix(".err").read_bytes())
    try:
        play(bursts, options.target, options.seed)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
