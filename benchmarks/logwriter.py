"""A server that only logs: numbered stats lines at a rate, its log rotated as it goes.

    python -m benchmarks.logwriter w0.log --number 0 --lines 20000 --rate 10000 --every 2000

Each line carries the writer's number (generation throughput) and its own serial number (prompt
throughput), so that lines that were read can be compared with those written. It prints `half` when
half is written, and the number of its lines at the end. Lines go out in blocks that end anywhere,
as the buffers of a pipe make them.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

LINE = (
    "(APIServer pid=1) INFO 11-23 12:00:00 [loggers.py:335] Engine 000: Avg prompt throughput: "
    "{serial}.0 tokens/s, Avg generation throughput: {number}.0 tokens/s, Running: 1 reqs, "
    "Waiting: 0 reqs, GPU KV cache usage: 5.0%, Prefix cache hit rate: 0.0%\n"
)
TICK = 0.01
"""Seconds between two writes."""
PIECE = 4099
"""Bytes of one write: a prime, so that writes end at every place of a line."""


def line_of(number: int, serial: int) -> bytes:
    """Return the line with this serial number of this writer."""
    return LINE.format(number=number, serial=serial).encode()


def numbered(path: Path) -> Iterator[Path]:
    """Yield the names of the rotated files that are there: `.1`, `.2` …, the newest first."""
    number = 1
    while (name := path.with_name(f"{path.name}.{number}")).exists():
        yield name
        number += 1


def make_room(path: Path) -> Path:
    """Move `.1` to `.2` and so on, as logrotate does, and return the name `.1`."""
    older = list(numbered(path))
    for number in range(len(older), 0, -1):
        older[number - 1].rename(path.with_name(f"{path.name}.{number + 1}"))
    return path.with_name(f"{path.name}.1")


def renamed(path: Path) -> None:
    """Rotate by renaming: `.1` is the newest."""
    path.rename(make_room(path))


def copied(path: Path) -> None:
    """Rotate by copying and truncating; nothing is written between the two."""
    shutil.copyfile(path, make_room(path))
    os.truncate(path, 0)


def dated(path: Path) -> None:
    """Rotate by renaming to a name with a growing date."""
    count = len(list(path.parent.glob(f"{path.name}-*")))
    path.rename(path.with_name(f"{path.name}-20261123-{120000 + count}"))


def packed(path: Path) -> None:
    """Rotate by renaming; the file rotated before is compressed (logrotate's `delaycompress`)."""
    for old in sorted(path.parent.glob(f"{path.name}-*[0-9]")):
        archive = old.with_name(old.name + ".gz")
        with old.open("rb") as source, gzip.open(archive, "wb", compresslevel=1) as target:
            shutil.copyfileobj(source, target)
        times = old.stat()
        os.utime(archive, ns=(times.st_atime_ns, times.st_mtime_ns))
        old.unlink()
    dated(path)


MANNERS: dict[str, Callable[[Path], None]] = {
    "rename": renamed,
    "copy": copied,
    "date": dated,
    "pack": packed,
}
"""How a log may be rotated."""


def write(path: Path, number: int, lines: int, rate: int, every: int, manner: str) -> None:
    """Write numbered lines up to `lines` of them, rotating after each `every`; say `half` midway.

    A line 0 that is there already counts as written.
    """
    began = time.monotonic()
    serial, told = int(path.exists() and path.stat().st_size > 0), False
    file = path.open("ab", buffering=0)
    while serial < lines:
        due = min(lines, serial - serial % every + every, int((time.monotonic() - began) * rate))
        data = b"".join(line_of(number, n) for n in range(serial, due))
        for start in range(0, len(data), PIECE):
            file.write(data[start : start + PIECE])
        if due > serial and due % every == 0 and due < lines:
            MANNERS[manner](path)
            file.close()
            file = path.open("ab", buffering=0)
        serial = max(serial, due)
        if not told and serial >= lines // 2:
            told = True
            print("half", flush=True)
        time.sleep(TICK)
    file.close()
    print(lines, flush=True)


def main() -> int:
    """Write one log."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--number", type=int, default=0, help="of this writer")
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--rate", type=int, default=10_000, help="lines per second")
    parser.add_argument("--every", type=int, default=2_000, help="lines between two rotations")
    parser.add_argument("--manner", choices=sorted(MANNERS), default="rename")
    given = parser.parse_args()
    write(given.path, given.number, given.lines, given.rate, given.every, given.manner)
    return 0


if __name__ == "__main__":
    sys.exit(main())
