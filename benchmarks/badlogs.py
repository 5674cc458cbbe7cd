"""Logs that no server writes: reading them must stay linear, and bounded in memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from benchmarks.biglog import write
from benchmarks.live import stats_line

_PIECE = 1 << 20


def _filled(path: Path, size: int, piece: bytes) -> None:
    """Write a text again and again."""
    whole = piece * max(1, _PIECE // len(piece))
    with path.open("wb") as file:
        for _ in range(max(1, size // len(whole))):
            file.write(whole)


def almost_stats(path: Path, size: int) -> None:
    """Each line lacks another part of a stats line."""
    chance, number = random.Random(1), 0
    with path.open("wb") as file:
        while file.tell() < size:
            line = stats_line(0, number, now=1_763_884_800.0 + 10 * number).encode()
            at, number = chance.randrange(len(line) - 8), number + 1
            file.write(line[:at] + b"?" + line[at + 1 + chance.randrange(6) :])


def endless(path: Path, size: int) -> None:
    """A line of stats lines without an end."""
    _filled(path, size, stats_line(0, 1, now=1_763_884_800.0).encode().rstrip() + b" ")


def jumping(path: Path, size: int) -> None:
    """Stamps jump over the whole year."""
    chance = random.Random(2)
    times = (1_763_884_800.0 + chance.randrange(31_536_000) for _ in range(4_000))
    _filled(path, size, "".join(stats_line(0, 1, now=time) for time in times).encode())


def engines(path: Path, size: int) -> None:
    """64 engines."""
    lines = (
        stats_line(engine, number, now=1_763_884_800.0 + 10 * number)
        for number in range(size // (64 * 230) + 1)
        for engine in range(64)
    )
    path.write_text("".join(lines), encoding="utf-8")


def future(path: Path, size: int) -> None:
    """One sample of next year's end among ordinary ones."""
    write(path, size)
    with path.open("ab") as file:
        file.write(stats_line(0, 1, now=1_798_700_000.0).encode())


BAD: dict[str, tuple[Callable[[Path, int], None], bool]] = {
    "no newline at all": (lambda path, size: _filled(path, size, b"x" * 997 + b" "), False),
    "one line, a stats line without end": (endless, False),
    "NUL bytes only": (lambda path, size: _filled(path, size, b"\0" * 4096), False),
    "each line almost a stats line": (almost_stats, True),
    "stamps that jump": (jumping, True),
    "64 engines": (engines, True),
    "a sample from the future": (future, False),
}
"""Each log: its name, its writer, and whether it is compared with a log of stats lines only."""
