"""Histograms of a `/metrics` page: their growth over an interval, and its percentiles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.recorded import QUANTILES, Latency

_DIGITS = 6
"""Decimals of seconds: microseconds."""


@dataclass(slots=True)
class Histogram:
    """One histogram since the start of its server."""

    buckets: dict[float, float] = field(default_factory=dict)
    """Upper bound in seconds to the number of measurements up to it; the last bound is infinite."""
    count: float = 0.0
    total: float = 0.0
    """Sum of all measurements in seconds."""


def growth(now: Histogram, before: Histogram | None) -> Histogram:
    """Return the measurements between two looks.

    A histogram that has become smaller, or has other bounds, restarted with its server: then all of
    it is new. None as `before` means that it was empty.
    """
    if before is None or now.count < before.count or now.buckets.keys() != before.buckets.keys():
        return now
    buckets = {bound: now.buckets[bound] - before.buckets[bound] for bound in now.buckets}
    return Histogram(buckets, now.count - before.count, now.total - before.total)


def latency_of(grown: Histogram) -> Latency:
    """Return mean and percentiles of the measurements in an interval."""
    count = round(grown.count)
    if count < 1:
        return Latency()
    bounds = sorted(grown.buckets.items())
    shares = {name: quantile(share, bounds) for name, share in QUANTILES.items()}
    return Latency(**shares, mean=round(grown.total / count, _DIGITS), count=count)


def quantile(share: float, buckets: Sequence[tuple[float, float]]) -> float | None:
    """Return a percentile in seconds as Prometheus' `histogram_quantile` estimates it.

    Linear within a bucket; the first one begins at 0. Values above the last finite bound are
    reported as that bound.

    Args:
        share: 0 … 1.
        buckets: upper bound and the measurements up to there, the bounds rising to infinity.
    """
    if len(buckets) < 2 or buckets[-1][0] != math.inf:
        return None
    rising = _rising(buckets)
    every = rising[-1][1]
    if not every > 0:
        return None
    rank = share * every
    index = next(i for i, (_, count) in enumerate(rising) if count >= rank)
    if index == len(rising) - 1:
        return round(rising[-2][0], _DIGITS)
    upper, count = rising[index]
    lower, below = rising[index - 1] if index else (0.0, 0.0)
    if index == 0 and upper <= 0:
        return round(upper, _DIGITS)
    return round(lower + (upper - lower) * (rank - below) / (count - below), _DIGITS)


def _rising(buckets: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the buckets with counts that never fall: two threads may have written a page."""
    rising, highest = [], 0.0
    for bound, count in buckets:
        highest = max(highest, count)
        rising.append((bound, highest))
    return rising


def is_histogram(buckets: Mapping[float, float]) -> bool:
    """Return whether bounds are valid for times: above 0, at least one finite, an infinite last."""
    bounds = sorted(buckets)
    rising = all(lower < upper for lower, upper in pairwise(bounds))
    return len(bounds) > 1 and bounds[0] > 0 and bounds[-1] == math.inf and rising
