"""Median and percentiles; importing Python's own `statistics` would take 6 ms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def median(values: Iterable[float]) -> float:
    """Return the median of one value or more, the mean of the two middle ones of an even number.

    Raises:
        ValueError: there is none.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no median of nothing")
    return middle_of(ordered)


def middle_of(ordered: Sequence[float]) -> float:
    """Return the median of one sorted value or more."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def places(count: int, share: float) -> tuple[int, int]:
    """Return the places of the sorted values, of which there are `count`, around a percentile."""
    below = math.floor(share * (count - 1))
    return below, min(below + 1, count - 1)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which a share (0…1) of sorted values lies, by linear interpolation.

    It is rounded as by `numpy.quantile`. Only the values at its `places` need be sorted.
    """
    below, above = places(len(ordered), share)
    low, high = ordered[below], ordered[above]
    part = share * (len(ordered) - 1) - below
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)
