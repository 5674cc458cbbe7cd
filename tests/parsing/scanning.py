"""Shared by the tests of the scanner."""

from __future__ import annotations

from datetime import UTC

from tests.logs import formats
from vllm_watch.core.records import Sample
from vllm_watch.parsing.scanner import Scanner
from vllm_watch.parsing.timestamps import StampClock, Zone

FORMATS = formats()
STATS = (
    b"Engine 000: Avg prompt throughput: 1.0 tokens/s, Avg generation throughput: 2.0 tokens/s, "
    b"Running: 3 reqs, Waiting: 4 reqs, GPU KV cache usage: 5.0%, Prefix cache hit rate: 6.0%"
)
ENVELOPE = b"(APIServer pid=7) INFO 11-23 09:00:00 [loggers.py:310] "


def scanner(*, twin: bool = False, fresh: bool = False) -> Scanner:
    """Return a scanner; a fresh one does not share what formats learn from lines with other tests."""
    return Scanner(formats() if fresh else FORMATS, StampClock(Zone(UTC, "given"), 2026), twin=twin)


def samples(block: bytes) -> list[Sample]:
    return [r for r in scanner().scan(block).records if isinstance(r, Sample)]


ACCESS = b'INFO:     127.0.0.1:41234 - "POST /v1/completions HTTP/1.1" 200 OK'
OTHER = (
    b"(APIServer pid=8) INFO 11-23 09:00:00 [loggers.py:310] Engine 001: Avg prompt throughput: "
    b"9.0 tokens/s, Running: 33 reqs"
)


def stamped(minute: int, file: bytes = b"x.py", text: bytes = b"nothing") -> bytes:
    return b"(APIServer pid=7) INFO 11-23 09:%02d:00 [%s:1] %s\n" % (minute, file, text)


def minute(number: int) -> float:
    return 1795424400.0 + 60 * number  # date -u -d '2026-11-23 09:00:00' +%s


PROMPT = b"Received request cmpl-1: prompt: 'a " + ENVELOPE + STATS + b" " + ACCESS + b"'"
