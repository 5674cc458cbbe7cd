"""Play a saved log into a new growing file, cut anywhere, at the pace of its own stamps.

python scripts/append_log.py SOURCE.log TARGET.log --speed 10 --err --restamp
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

_STAMP = re.compile(rb"(?<= )\d\d-\d\d \d\d:\d\d:\d\d(?= \[|\x1b)|(?<=m)\d\d-\d\d \d\d:\d\d:\d\d")
LONGEST_PIECE = 4096
_SHUTTING_DOWN = b"Shutting down"
_UP = b"Starting vLLM server"


def moment(stamp: bytes) -> datetime:
    """Return a stamp as a moment of some year."""
    return datetime.strptime(f"2026-{stamp.decode()}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


class Writer:
    """Appends bytes in pieces of random size, each flushed by itself."""

    def __init__(self, target: Path, seed: int) -> None:
        """Write to `target`, cutting as `seed` says."""
        self._file = target.open("ab", buffering=0)
        self._random = random.Random(seed)

    def write(self, data: bytes) -> None:
        """Append `data`."""
        while data:
            size = self._random.choice((1, 7, 64, 300, LONGEST_PIECE))
            self._file.write(data[:size])
            data = data[size:]


def twin_parts(source: Path) -> tuple[bytes, bytes, bytes]:
    """Return the `.err` lines of the beginning, of the time of readiness and of the end."""
    lines = source.with_suffix(".err").read_bytes().splitlines(keepends=True)
    end = next((i for i, line in enumerate(lines) if _SHUTTING_DOWN in line), len(lines))
    third = end // 3
    return b"".join(lines[:third]), b"".join(lines[third:end]), b"".join(lines[end:])


def play(source: Path, target: Path, speed: float, seed: int, *, err: bool, restamp: bool) -> None:
    """Write `source` to `target` at `speed` times the pace of its stamps."""
    log = Writer(target, seed)
    twin = Writer(target.with_suffix(".err"), seed + 1) if err else None
    start, ready, end = twin_parts(source) if err else (b"", b"", b"")
    first: datetime | None = None
    began_wall, began = datetime.now(UTC), time.monotonic()
    if twin:
        twin.write(start)
    for line in source.read_bytes().splitlines(keepends=True):
        found = _STAMP.search(line)
        if found:
            at = moment(found.group())
            first = first or at
            due = began + (at - first).total_seconds() / speed
            time.sleep(max(0.0, due - time.monotonic()))
            if restamp:
                shown = began_wall + timedelta(seconds=(at - first).total_seconds() / speed)
                line = _STAMP.sub(shown.strftime("%m-%d %H:%M:%S").encode(), line, count=1)
        log.write(line)
        if twin and _UP in line:
            twin.write(ready)
    if twin:
        twin.write(end)


def main() -> int:
    """Play one log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--err", action="store_true", help="the .err twin, too")
    parser.add_argument("--restamp", action="store_true", help="stamps of the present")
    arguments = parser.parse_args()
    play(
        arguments.source, arguments.target, arguments.speed, arguments.seed,
        err=arguments.err, restamp=arguments.restamp,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
