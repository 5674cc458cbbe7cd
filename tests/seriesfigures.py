"""The figures of a whole series, however it was thinned."""

from __future__ import annotations

from typing import NamedTuple

from vllm_watch.core.series import Series


class Figures(NamedTuple):
    """What the samples of a series had of one metric."""

    number: int
    total: float | None
    low: float | None
    high: float | None


def figures_of(series: Series, metric: str) -> Figures:
    """Return number, sum and extremes of all values, None without any."""
    points = range(len(series))
    ranges = [series.extremes(metric, index) for index in points]
    known = [one for one in ranges if one is not None]
    return Figures(
        sum(series.count(metric, index) for index in points),
        series.total(metric),
        min((low for low, _ in known), default=None),
        max((high for _, high in known), default=None),
    )
