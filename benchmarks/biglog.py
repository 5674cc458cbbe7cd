"""Writes a large log like a busy server's: stats lines, other lines of vLLM, access lines."""

from __future__ import annotations

import random
import time
from pathlib import Path

_ACCESS = b'(APIServer pid=1211) INFO:     127.0.0.1:%d - "POST /v1/completions HTTP/1.1" 200 OK\n'
_STATS = (
    b"(APIServer pid=1211) INFO %b [loggers.py:310] Engine 000: Avg prompt throughput: "
    b"%.1f tokens/s, Avg generation throughput: %.1f tokens/s, Running: %d reqs, Waiting: %d reqs, "
    b"GPU KV cache usage: %.1f%%, Prefix cache hit rate: %.1f%%\n"
)
_OTHER = (
    b"(EngineCore pid=1799) INFO %b [scheduler.py:99] something else happened with request "
    b"number %d in the queue of this server\n"
)
BEGIN = 1_763_884_800.0
"""Epoch seconds of the first stamp."""


def write(
    path: Path, size: int, *, stats: float = 0.01, others: float = 0.0, seed: int = 1
) -> tuple[int, float]:
    """Write a log of `size` bytes; return its number of stats lines and its newest stamp.

    `stats` and `others` are shares of the lines; the rest are access lines.
    """
    chance = random.Random(seed)
    now, written, count = BEGIN, 0, 0
    with path.open("wb") as file:
        while written < size:
            lines = []
            for _ in range(10_000):
                share = chance.random()
                if share < stats:
                    now += 10
                    count += 1
                    rates = chance.random() * 3000, chance.random() * 20000
                    reqs = chance.randrange(500), chance.randrange(50)
                    ratios = chance.random() * 100, chance.random() * 100
                    lines.append(_STATS % (_stamp(now), *rates, *reqs, *ratios))
                elif share < stats + others:
                    lines.append(_OTHER % (_stamp(now), chance.randrange(10**6)))
                else:
                    lines.append(_ACCESS % chance.randrange(60000))
            written += file.write(b"".join(lines))
    return count, now


def _stamp(now: float) -> bytes:
    return time.strftime("%m-%d %H:%M:%S", time.gmtime(now)).encode()
