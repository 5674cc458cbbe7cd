"""Read damaged logs until the time is up: `make fuzz ARGS="--seconds 600"`.

Blocks are made of the captures' lines and of the format files' samples, then damaged: bytes
flipped, pieces spliced, doubled, cut out. The result must be read without an exception, in bounded
time and memory, into finite numbers. `--seed N --once` repeats one failure.
"""

from __future__ import annotations

import argparse
import gc
import math
import random
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from types import FunctionType, ModuleType

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from vllm_watch.core.metrics import METRIC_BY_NAME  # noqa: E402
from vllm_watch.core.news import Block, CompanionBlock, News  # noqa: E402
from vllm_watch.core.records import (  # noqa: E402
    Amendment,
    Record,
    Requests,
    Sample,
    records_of,
)
from vllm_watch.ingest import Ingest, ReadOptions  # noqa: E402
from vllm_watch.locations import builtin_formats_folder, captures_folder  # noqa: E402
from vllm_watch.parsing.formatfiles import load_formats  # noqa: E402
from vllm_watch.parsing.formats import Formats  # noqa: E402
from vllm_watch.parsing.scan import Scan  # noqa: E402
from vllm_watch.parsing.scanner import Scanner  # noqa: E402
from vllm_watch.parsing.timestamps import StampClock, Zone  # noqa: E402

SECONDS_PER_BLOCK = 2.0
SECONDS_PER_MEGABYTE = 20.0
MOST_MEMORY = 64 << 20
LOOK_AT_MEMORY_EVERY = 2_000
INGEST_EVERY = 25
MOST_FAILURES = 20
SEPARATORS = (b"\n", b"\r\n", b"\r", b"", b"\0", b" ", b'"', b'{"', b".py:1] ", b"\x1b[0m")
LONG_RUNS = (b"9", b"0", b".", b" ", b"\0", b"\x1b[", b"(", b'{"', b"\r", b", ", b"nan", b"1e9")


class TroubleError(Exception):
    """What must not come of a block."""


def lines_of_captures() -> list[bytes]:
    """Return the different lines of all captures, numbers apart, and the formats' samples."""
    found: dict[bytes, bytes] = {}
    for path in sorted(captures_folder().glob("*/*")):
        if path.suffix in (".log", ".err"):
            for line in path.read_bytes().splitlines(keepends=True):
                found.setdefault(line.translate(None, b"0123456789."), line)
    for sample in samples_of_formats():
        found.setdefault(sample, sample + b"\n")
    return list(found.values())


def samples_of_formats() -> list[bytes]:
    """Return the samples of every entry of every format file, which match its patterns."""
    tables = (
        tomllib.loads(path.read_text(encoding="utf-8"))
        for path in sorted(builtin_formats_folder().glob("*.toml"))
    )
    return [line.encode() for table in tables for line in _samples(table)]


def _samples(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "line" and isinstance(inner, str):
                yield inner
            else:
                yield from _samples(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _samples(inner)


def flip(chance: random.Random, block: bytearray, lines: list[bytes]) -> None:
    """Change some bytes."""
    for _ in range(chance.randint(1, 20)):
        if block:
            block[chance.randrange(len(block))] = chance.randrange(256)


def splice(chance: random.Random, block: bytearray, lines: list[bytes]) -> None:
    """Put a piece of some line anywhere."""
    line = chance.choice(lines)
    start = chance.randrange(len(line) + 1)
    at = chance.randrange(len(block) + 1)
    block[at:at] = line[start:] if chance.random() < 0.5 else line[:start]


def double(chance: random.Random, block: bytearray, lines: list[bytes]) -> None:
    """Repeat a piece, sometimes often."""
    start = chance.randrange(len(block) + 1)
    piece = bytes(block[start : start + chance.randint(1, 60)])
    times = chance.choice((1, 1, 2, 10, 300))
    block[start:start] = piece * times


def cut(chance: random.Random, block: bytearray, lines: list[bytes]) -> None:
    """Take a piece out."""
    start = chance.randrange(len(block) + 1)
    del block[start : start + int(math.exp(chance.uniform(0, 8)))]


def separate(chance: random.Random, block: bytearray, lines: list[bytes]) -> None:
    """Put something between, or take the end of a line away."""
    at = chance.randrange(len(block) + 1)
    newline = block.find(b"\n", at)
    if newline >= 0 and chance.random() < 0.5:
        block[newline : newline + 1] = chance.choice(SEPARATORS)
    else:
        block[at:at] = chance.choice(SEPARATORS)


def lengthen(chance: random.Random, block: bytearray, lines: list[bytes]) -> None:
    """Insert a long repetition somewhere, most often beside a digit."""
    at = chance.randrange(len(block) + 1)
    while at < len(block) and chance.random() < 0.98 and not 48 <= block[at] <= 57:
        at += 1
    block[at:at] = chance.choice(LONG_RUNS) * int(math.exp(chance.uniform(0, 9)))


MUTATIONS: tuple[Callable[[random.Random, bytearray, list[bytes]], None], ...] = (
    flip,
    splice,
    double,
    cut,
    separate,
    lengthen,
)


def block_of(chance: random.Random, lines: list[bytes]) -> bytes:
    """Return some damaged lines."""
    chosen = (chance.choice(lines) for _ in range(int(math.exp(chance.uniform(0, 5)))))
    block = bytearray(b"".join(chosen))
    for _ in range(chance.randint(0, 8)):
        chance.choice(MUTATIONS)(chance, block, lines)
    return bytes(block)


def check_record(record: Record) -> None:
    """Check a record for everything that readers of records rely on.

    Raises:
        TroubleError: it has a number that is not finite.
    """
    if isinstance(record, Sample | Amendment):
        for name, value in record.values.items():
            if name not in METRIC_BY_NAME or type(value) is not float:
                raise TroubleError(f"{name}={value!r}")
            if not math.isfinite(value) or value < 0:
                raise TroubleError(f"{name}={value!r} is no figure")
    if isinstance(record, Sample) and not -1 <= record.engine <= 999_999:
        raise TroubleError(f"engine {record.engine!r}")
    if isinstance(record, Requests) and min([record.polls, *record.served.values()]) < 0:
        raise TroubleError(f"requests {record!r}")
    moment = None if isinstance(record, Amendment) else record.time
    if moment is not None and not math.isfinite(moment):
        raise TroubleError(f"time {moment!r}")


def check_scan(scan: Scan, block: bytes) -> None:
    """Check the results of a block for what must be true of every block.

    Raises:
        TroubleError: it is not.
    """
    for record in scan.records:
        check_record(record)
    if scan.stats_like < 0 or scan.lines != block.count(b"\n"):
        raise TroubleError(f"{scan.stats_like} stats-like, {scan.lines} lines")


def timed(what: Callable[[], None], size: int) -> None:
    """Run something.

    Raises:
        TroubleError: it took longer than a block of this size may.
    """
    began = time.process_time()
    what()
    took = time.process_time() - began
    if took > SECONDS_PER_BLOCK + SECONDS_PER_MEGABYTE * size / 1e6:
        raise TroubleError(f"{took:.1f} s for {size:,} bytes")


def memory(root: object) -> int:
    """Return the bytes of an object and everything in it, without code and modules."""
    seen: dict[int, object] = {}
    todo = [root]
    while todo:
        one = todo.pop()
        if id(one) not in seen and not isinstance(one, type | ModuleType | FunctionType):
            seen[id(one)] = one
            todo += gc.get_referents(one)
    return sum(sys.getsizeof(one) for one in seen.values())


class Fuzzer:
    """One scanner and its formats, used for a long time: their memory must stay bounded."""

    def __init__(self) -> None:
        self.formats: Formats = load_formats(sorted(builtin_formats_folder().glob("*.toml")))
        self.lines = lines_of_captures()
        self.scanner = self._scanner()
        self.bytes = 0
        self.most_memory = 0

    def _scanner(self) -> Scanner:
        return Scanner(self.formats, StampClock(Zone(UTC, "given"), 2026))

    def run(self, seed: int) -> None:
        """Make the block of a seed and read it.

        Raises:
            TroubleError: it gave something that must not be.
        """
        chance = random.Random(seed)
        block = block_of(chance, self.lines)
        self.bytes += len(block)
        timed(lambda: check_scan(self.scanner.scan(block), block), len(block))
        timed(lambda: self._same_in_pieces(chance, block), 2 * len(block))
        if seed % INGEST_EVERY == 0:
            timed(lambda: read_as_file(chance, self.formats, block), len(block))
        if seed % LOOK_AT_MEMORY_EVERY == 0:
            self.most_memory = max(self.most_memory, memory(self.scanner))
            if self.most_memory > MOST_MEMORY:
                raise TroubleError(f"the scanner holds {self.most_memory:,} bytes")

    def _same_in_pieces(self, chance: random.Random, block: bytes) -> None:
        whole = [r for r in self._scanner().scan(block).records if isinstance(r, Sample)]
        lines = block.split(b"\n")
        at = chance.randrange(len(lines))
        head = b"".join(line + b"\n" for line in lines[:at])
        one = self._scanner()
        pieces = one.scan(head).records + one.scan(b"\n".join(lines[at:])).records
        pairs = [(r.time, r.engine) for r in pieces if isinstance(r, Sample)]
        if pairs != [(sample.time, sample.engine) for sample in whole]:
            raise TroubleError(f"other samples when cut before line {at + 1}")


def check_news(read: Iterator[News]) -> None:
    """Check each record that was read."""
    for news in read:
        if isinstance(news, Block | CompanionBlock):
            for record in records_of(news.items):
                check_record(record)


def read_as_file(chance: random.Random, formats: Formats, block: bytes) -> None:
    """Read a block as a log and its twin, in one go and as a file that grows."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "x.log"
        middle = chance.randrange(len(block) + 1)
        log.write_bytes(block[:middle])
        log.with_suffix(".err").write_bytes(block[middle:])
        check_news(Ingest([str(log)], formats).read_once())
        growing = Ingest([str(log)], formats, ReadOptions(live=True, events=False))
        for _ in range(2):
            check_news(growing.read_once())
            with log.open("ab") as file:
                file.write(block[middle:])
        growing.close()


def fuzz(fuzzer: Fuzzer, seconds: float, first: int, most: int | None) -> tuple[int, list[str]]:
    """Run seed after seed; return how many, and what went wrong."""
    failures: list[str] = []
    until, seed = time.monotonic() + seconds, first
    while time.monotonic() < until and (most is None or seed - first < most):
        try:
            fuzzer.run(seed)
        except Exception as error:  # noqa: BLE001 - every exception is what is looked for
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            failures.append(f"seed {seed}: {type(error).__name__}: {error} ({where})")
            print(failures[-1][:500], flush=True)
            if len(failures) >= MOST_FAILURES:
                seed += 1
                break
        seed += 1
    return seed - first, failures


def main() -> int:
    """Fuzz for some time and say what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long")
    parser.add_argument("--seed", type=int, help="the first seed; by default the clock's")
    parser.add_argument("--once", action="store_true", help="this seed only")
    options = parser.parse_args()
    first = int(time.time()) * 1000 if options.seed is None else options.seed
    fuzzer = Fuzzer()
    began = time.monotonic()
    executions, failures = fuzz(fuzzer, options.seconds, first, 1 if options.once else None)
    held = max(fuzzer.most_memory, memory(fuzzer.scanner))
    print(
        f"{executions:,} executions, {fuzzer.bytes / 1e6:,.1f} MB in {time.monotonic() - began:.0f}"
        f" s, seeds from {first}; scanner holds at most {held / 1e6:.1f} MB;"
        f" {len(failures)} failures"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
