"""Numbers on the screen, formatted as everywhere else."""

from __future__ import annotations

from vllm_watch.core.figures import (
    DAY,
    UNKNOWN,
    age,
    clock,
    count,
    duration,
    percent,
    rate,
    short_rate,
    zone_name,
)

__all__ = [
    "DAY",
    "UNKNOWN",
    "age",
    "clock",
    "count",
    "duration",
    "percent",
    "rate",
    "short_rate",
    "zone_name",
]
