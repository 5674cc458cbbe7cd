"""A block scanned from a guess counts only where the guess was right."""

from __future__ import annotations

from datetime import UTC

import pytest

from tests.logs import formats
from vllm_watch.core.records import Event
from vllm_watch.parsing.scanner import Scanner
from vllm_watch.parsing.scannerstate import (
    Scanned,
    guess_state,
    scan_ahead,
    scanner_ahead,
    take_over,
)
from vllm_watch.parsing.timestamps import StampClock, Zone

DEAD = b"RuntimeError: Engine core initialization failed. See root cause above."
TRACEBACK = b'Traceback (most recent call last):\n  File "core.py", line 9, in main\n%b\n'


def line(stamp: bytes) -> bytes:
    return b"INFO %b [core.py:9] Some line of vLLM\n" % stamp


def clock() -> StampClock:
    return StampClock(Zone(UTC, "given"), 2026)


def reader(text: bytes) -> Scanner:
    """What has read a log up to the block that is scanned ahead of it."""
    scanner = Scanner(formats(), clock())
    scanner.scan(text)
    return scanner


def scanned(first: bytes, before: bytes, block: bytes) -> Scanned:
    """A block scanned by one that knows the log's first stamp and the lines before the block."""
    own = clock()
    own.resolve(first)
    scanner = scanner_ahead(formats(), own)
    assert guess_state(scanner, before)
    return scan_ahead(scanner, block)


def test_the_error_of_a_traceback_far_back_is_not_told_twice() -> None:
    begin, before = b"11-23 09:00:00", line(b"11-23 10:00:00")
    repeated = scanned(begin, before, DEAD + b"\n" + line(b"11-23 10:00:01"))
    other = scanned(begin, before, line(b"11-23 10:00:01"))
    text = line(begin) + TRACEBACK % DEAD + before

    assert take_over(reader(text), repeated) is None
    assert take_over(reader(line(begin) + before), repeated) is not None
    one = reader(text)
    assert take_over(one, other) is not None
    assert one.scan(DEAD + b"\n").items == []  # it is still known


def test_a_traceback_that_is_open_at_the_border_needs_its_beginning() -> None:
    begin, frames = b"11-23 09:00:00", b'  File "a.py", line %d, in run\n'
    opened = line(begin) + TRACEBACK[:35] + b"".join(frames % n for n in range(20))
    rest = b"ValueError: bad\n" + line(b"11-23 09:00:01")
    seen = scanned(begin, opened, rest)
    found = take_over(reader(opened), seen)
    assert found is not None
    assert [i.kind for i in found.items if isinstance(i, Event)] == ["traceback"]

    late = scanned(begin, line(begin) + frames % 19, rest)
    assert take_over(reader(opened), late) is None


@pytest.mark.parametrize(
    ("stamps", "right"),
    [
        ((b"11-30 00:00:00", b"12-31 23:00:00", b"01-02 00:00:00", b"01-02 00:00:01"), True),
        ((b"11-30 00:00:00", b"01-02 00:00:00", b"01-02 00:00:00", b"01-02 00:00:01"), False),
    ],
)
def test_a_new_year_before_the_block(stamps: tuple[bytes, ...], right: bool) -> None:
    """A year is counted where December is followed by January, and only there."""
    *_, before, block = stamps
    ahead = scanned(stamps[0], line(before), line(block))
    found = take_over(reader(b"".join(map(line, stamps[:-1]))), ahead)
    assert (found is not None) is right
