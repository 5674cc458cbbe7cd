"""Thinned samples as they are drawn: the mean of each bucket, and its extremes."""

from __future__ import annotations

import math
from collections.abc import Iterator

from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.series import Series


class Piece(NamedTuple):
    """A bucket of thinned samples as it is drawn; None for metrics that it lacks."""

    begin: float
    """Time of its first sample."""
    end: float
    """Time of its last sample."""
    mean: float | None
    low: float | None
    high: float | None


def envelope(series: Series, metric: str, start: int, stop: int) -> Iterator[Piece]:
    """Yield the buckets among the points `start` … `stop` − 1."""
    stop = min(stop, series.thinned)
    means = series.values(metric, start, stop)
    for index, mean in zip(range(start, stop), means, strict=True):
        low, high = series.extremes(metric, index) or (None, None)
        yield Piece(series.times[index], series.written(index, math.inf), mean, low, high)
