"""Samples of one engine as columns in time order."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise

DEFAULT_CADENCE = 10.0
"""Seconds between two stats lines until two are known (vLLM's `VLLM_LOG_STATS_INTERVAL`)."""


class Series:
    """Columns of numbers of one engine: one array of times, one array per metric.

    A missing value is NaN inside the arrays and None everywhere outside; a non-finite number is
    never stored as a value.
    """

    __slots__ = ("_cadence", "_cadence_at", "_newest", "columns", "dropped", "limit", "times")

    def __init__(self, limit: int = 300_000) -> None:
        """Make an empty series that keeps at most `limit` samples (the oldest go first)."""
        self.times: array[float] = array("d")
        self.columns: dict[str, array[float]] = {}
        self.limit = limit
        self.dropped = 0
        """Samples that went, the oldest first, since there were more than `limit`."""
        self._cadence = DEFAULT_CADENCE
        self._cadence_at = 0
        self._newest = -1

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.times)

    def append(self, time: float, values: Mapping[str, float]) -> int:
        """Put a sample in its place in time order and return its index."""
        times = self.times
        index = len(times) if not times or time >= times[-1] else bisect_right(times, time)
        times.insert(index, time)
        for name in values:
            if name not in self.columns:
                self.columns[name] = array("d", [math.nan]) * (len(times) - 1)
        for name, column in self.columns.items():
            value = values.get(name, math.nan)
            column.insert(index, value if math.isfinite(value) else math.nan)
        if len(times) > self.limit + self.limit // 10:
            dropped = len(times) - self.limit
            self._drop(dropped)
            index = max(0, index - dropped)
        self._newest = index
        return index

    def amend(self, values: Mapping[str, float]) -> None:
        """Add the values of a companion line to the sample that was put in last."""
        if not self.times:
            return
        for name, value in values.items():
            column = self.columns.setdefault(name, array("d", [math.nan]) * len(self.times))
            if math.isfinite(value):
                column[self._newest] = value

    def shift(self, seconds: float) -> None:
        """Move every sample in time: the zone of the log turned out to be another."""
        self.times = array("d", (time + seconds for time in self.times))

    def value(self, metric: str, index: int) -> float | None:
        """Return one value, or None where the sample lacks the metric."""
        column = self.columns.get(metric)
        if column is None or not -len(column) <= index < len(column):
            return None
        value = column[index]
        return None if math.isnan(value) else value

    def values(self, metric: str, start: int, stop: int) -> list[float | None]:
        """Return the values of samples `start` … `stop` − 1, None where one is missing."""
        column = self.columns.get(metric)
        if column is None:
            return [None] * max(0, min(stop, len(self.times)) - start)
        return [None if math.isnan(value) else value for value in column[start:stop]]

    def sample(self, index: int) -> dict[str, float]:
        """Return the values that the sample at `index` has."""
        found = ((name, self.value(name, index)) for name in self.columns)
        return {name: value for name, value in found if value is not None}

    def index_at(self, time: float) -> int | None:
        """Return the index of the newest sample at or before `time`, or None."""
        index = bisect_right(self.times, time) - 1
        return index if index >= 0 else None

    def span(self, start: float, end: float) -> tuple[int, int]:
        """Return the slice of samples with `start` ≤ time ≤ `end`."""
        return bisect_left(self.times, start), bisect_right(self.times, end)

    @property
    def cadence(self) -> float:
        """Median seconds between two samples, 10 until it is known."""
        count = len(self.times)
        if count - self._cadence_at >= 8 or count < 16:
            self._cadence = median_distance(self.times[-64:])
            self._cadence_at = count
        return self._cadence

    def cadence_at(self, index: int) -> float:
        """Return the cadence as it was known when the sample at `index` was the newest."""
        return median_distance(self.times[max(0, index - 63) : index + 1])

    def _drop(self, count: int) -> None:
        self.dropped += count
        del self.times[:count]
        for column in self.columns.values():
            del column[:count]
        self._cadence_at = 0


def median_distance(times: Sequence[float]) -> float:
    """Return the median distance of neighbours in seconds, 10 where there are none."""
    gaps = sorted(later - sooner for sooner, later in pairwise(times))
    gaps = [gap for gap in gaps if gap > 0]
    return gaps[len(gaps) // 2] if gaps else DEFAULT_CADENCE
