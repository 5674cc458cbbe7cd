"""No line takes more than linear time, whatever its content."""

from __future__ import annotations

import time

import pytest

from scripts.fuzz import samples_of_formats
from tests.parsing.scanning import scanner
from vllm_watch.parsing.zonefinder import stamp_pair

SHORT = 100_000
MEGABYTE = 1_000_000
NOTHING = 0.05  # below so many seconds a ratio has no meaning
TRIES = 3
PIECES = {
    "anchors": b".py:1] ",
    "envelopes": b"INFO 11-23 09:00:00 [x.py:1] ",
    "error envelopes": b"(A pid=1) ERROR 11-23 09:00:00 [x.py:1] ",
    "stats envelopes": b"INFO 11-23 09:00:00 [loggers.py:1] Engine 000: ",
    "opaque": b"INFO 11-23 09:00:00 [logger.py:1] ",
    "nearly paths": b"INFO 11-23 09:00:00 [a/b/c",
    "objects": b'{"',
    "objects with keys": b'{"log": ',
    "unclosed strings": b'{"log": "',
    "escaped quotes": b'{\\"',
    "quotes": b'"',
    "colours": b"\x1b[",
    "window titles": b"\x1b]0;",
    "digits": b"7",
    "dots": b".",
    "blanks": b" ",
    "tabs": b"\t",
    "NUL": b"\0",
    "returns": b"\r",
    "killed": b"Killed",
    "killed, rewritten": b"\rKilled",
    "killed, wrapped": b"0: Killed",
    "tracebacks": b"Traceback (most recent call last):",
    "tracebacks, rewritten": b"\rTraceback (most recent call last):",
    "tracebacks, wrapped": b"[rank0]: Traceback (most recent call last):",
    "stacks": b"(a) [b] 0: ",
    "brackets": b"[",
    "parentheses": b"(a ",
    "access": b'INFO:     1.2.3.4:5 - "POST /v1/completions HTTP/1.1" 200 OK',
    "access, cut": b'INFO:     1.2.3.4:5 - "POST /v1/completions HTTP/1.',
    "access, no end": b'INFO:     1.2.3.4:5 - "GET /' + b"x" * 6_000 + b" HTTP/1.",
    "access, failed": b'INFO:     1.2.3.4:5 - "POST /v1/completions HTTP/1.1" 500 Error',
    "access, failed, dated": b'09:00:00 INFO:     1.2.3.4:5 - "POST /v1/completions HTTP/1.1" 500 E\n',
    "protocols": b" HTTP/1.1",
    "bars": b"\rCapturing CUDA graphs (FULL):  50%|#####     | 3/6 [00:00<00:00, 27.35it/s]",
    "bars without return": b"Capturing CUDA graphs ",
    "shards": b"checkpoint shards: ",
    "sglang": b"[2026-05-12 08:01:39 TP0] Decode batch. #",
    "sglang, rewritten": b"\r[2026-05-12 08:01:39 TP0] Decode batch. #running-req: 12, ",
    "killed, dated": b"2026-05-12T08:01:39Z Killed\n",
    "some lines dated": b"INFO 11-23 09:00:00 [x.py:1] y\n2026-05-12T08:01:39Z Killed\n",
    "dates": b"2026-05-12T08:01:39Z ",
    "breaks": b"\n",
    "short lines": b"Killed\n",
    "short tracebacks": b"Traceback (most recent call last):\n  x\n",
    "open tracebacks": b"Traceback (most recent call last):\n",
}


SAMPLES = samples_of_formats()


def seconds(block: bytes) -> float:
    one = scanner()
    began = time.process_time()
    one.scan(block)
    return time.process_time() - began


def of_size(piece: bytes, size: int, head: bytes = b"", tail: bytes = b"") -> bytes:
    return head + piece * (size // len(piece)) + tail + b"\n"


def assert_linear(piece: bytes, head: bytes = b"", tail: bytes = b"", size: int = SHORT) -> None:
    """Check that a line of four times the size takes less than eight times the time."""
    for attempt in range(TRIES):
        long = seconds(of_size(piece, 4 * size, head, tail))
        if long < 8 * NOTHING:
            return  # whatever the short one takes
        short = seconds(of_size(piece, size, head, tail))
        if long < 8 * max(short, NOTHING):
            return
        assert attempt < TRIES - 1, f"{short:.2f} s, four times the size: {long:.2f} s"


@pytest.mark.parametrize("piece", PIECES.values(), ids=list(PIECES))
def test_one_thing_repeated(piece: bytes) -> None:
    assert_linear(piece)


@pytest.mark.parametrize("index", range(len(SAMPLES)))
def test_a_sample_that_almost_matches_again_and_again(index: int) -> None:
    line = SAMPLES[index]
    assert_linear(line[: 3 * len(line) // 4])


@pytest.mark.parametrize("index", range(len(SAMPLES)))
@pytest.mark.parametrize("filler", [b"9", b" ", b"x"], ids=["digits", "blanks", "letters"])
def test_a_sample_with_an_endless_run_in_it(index: int, filler: bytes) -> None:
    line = SAMPLES[index]
    digit = max(line.rfind(b"%d" % number) for number in range(10))
    at = digit if digit > 0 else len(line) // 2
    assert_linear(filler, line[:at], line[at:] + b" x")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("size", [MEGABYTE, 10 * MEGABYTE // 4], ids=["1 and 4 MB", "to 10 MB"])
@pytest.mark.parametrize("piece", PIECES.values(), ids=list(PIECES))
def test_one_thing_repeated_at_length(piece: bytes, size: int) -> None:
    assert_linear(piece, size=size)


def test_many_messages_that_almost_match_are_read_one_as_fast_as_the_other() -> None:
    for line in SAMPLES:
        broken = line[: len(line) // 2] + b" " * 20_000 + b"x\n"
        three = seconds(broken * 3)
        assert three < 8 * NOTHING or three < 8 * max(seconds(broken), NOTHING), line


def test_the_zone_of_a_line_of_many_stamps_is_searched_in_linear_time() -> None:
    stamp = PIECES["envelopes"]
    for attempt in range(TRIES):
        taken = []
        for size in (SHORT, 4 * SHORT):
            piece = of_size(stamp, size)
            began = time.process_time()
            assert stamp_pair(piece) is None
            taken.append(time.process_time() - began)
        if taken[1] < 8 * max(taken[0], NOTHING):
            return
        assert attempt < TRIES - 1, taken
