"""The thinned past of a series: samples merged into time buckets.

A bucket keeps its first and last time and the number of its samples. For each metric it keeps the
number of values, their sum, the lowest and the highest, and for rates their sum over time. Sums,
counts and extremes of a whole series are therefore exact however often it was thinned; percentiles
are not kept, and what is computed from a bucket's mean is approximate.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from itertools import groupby

from vllm_watch.core.columns import shifted
from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.hints import NamedTuple

Group = tuple[int, int]
"""Points that become one bucket: the first index, and the index after the last."""


class Tier(NamedTuple):
    """One level of coarseness."""

    seconds: float
    """Width of a bucket; they begin at multiples of it since the epoch."""
    most: int
    """Buckets kept at this width; older ones move to the next tier."""


TIERS = (Tier(60.0, 1_440), Tier(600.0, 1_008), Tier(3_600.0, 1_008))
"""A day of minutes, a week of tens of minutes, six weeks of hours; then the hours double."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How much of a series is kept, and how."""

    full_seconds: float = 86_400.0
    """Samples younger than this, by the log's own time, are kept one by one …"""
    full_samples: int = 20_000
    """… unless there are more than this: a day at one sample every 4.3 s."""
    tiers: tuple[Tier, ...] = TIERS
    """Tiers for older samples, the finest first. The last one doubles its width when full."""
    forgets: bool = True
    """Drop events and earlier runs as soon as there are too many; otherwise only on request."""

    @property
    def slack(self) -> int:
        """Samples collected beyond the limit before they are thinned together: that is cheaper."""
        return max(1, min(self.full_samples // 24, 360))

    @property
    def most_points(self) -> int:
        """Samples and buckets of one series, at most."""
        return self.full_samples + self.slack + self.most_buckets

    @property
    def most_buckets(self) -> int:
        """Buckets of one series, at most."""
        return sum(tier.most for tier in self.tiers)


@dataclass(slots=True)
class _Metric:
    """One metric's values in the buckets; ±inf where a bucket has none."""

    counts: array[int]
    sums: array[float]
    lows: array[float]
    highs: array[float]
    over_time: array[float] = field(default_factory=lambda: array("d"))
    """Rate × seconds; empty for what is not a rate."""

    def merge(self, groups: Sequence[Group], start: int, stop: int) -> None:
        """Replace the buckets from `start` to `stop` by one for each group."""
        self.counts[start:stop] = array("I", (sum(self.counts[a:b]) for a, b in groups))
        for column in (self.sums, self.over_time):
            if column:
                column[start:stop] = array("d", (math.fsum(column[a:b]) for a, b in groups))
        self.lows[start:stop] = array("d", (min(self.lows[a:b]) for a, b in groups))
        self.highs[start:stop] = array("d", (max(self.highs[a:b]) for a, b in groups))

    def mean(self, index: int) -> float:
        """Return the mean of a bucket, NaN where it has no value."""
        count = self.counts[index]
        return self.sums[index] / count if count else math.nan


class Buckets:
    """The buckets of one series, the oldest first: the coarsest tier before the finer ones."""

    def __init__(self, keep: Keep, rates: frozenset[str]) -> None:
        """Start empty; metrics named in `rates` are also added up over time."""
        self._keep = keep
        self._rates = rates
        self.begins: array[float] = array("d")
        self.ends: array[float] = array("d")
        self.metrics: dict[str, _Metric] = {}
        self._sizes = [0] * len(keep.tiers)
        self._last_width = keep.tiers[-1].seconds

    def __len__(self) -> int:
        return len(self.begins)

    def add(
        self,
        times: Sequence[float],
        columns: Iterable[tuple[str, Sequence[float]]],
        seconds: Sequence[float],
    ) -> None:
        """Merge samples, later than all buckets, into the finest tier; NaN is an absent value.

        `seconds` is how long the rates of each sample held.
        """
        before = len(self)
        self.begins.extend(times)
        self.ends.extend(times)
        for name, values in columns:
            self._add_values(name, values, seconds, before)
        self._sizes[0] += len(times)
        self._settle(len(times))

    def add_late(self, time: float) -> int:
        """Add a sample to the bucket of its time, and return the bucket's index.

        It adds nothing to sums over time: the samples before it already cover that time.
        """
        index = next((i for i in range(len(self) - 1, 0, -1) if self.begins[i] <= time), 0)
        self.begins[index] = min(self.begins[index], time)
        self.ends[index] = max(self.ends[index], time)
        return index

    def add_value(self, name: str, index: int, value: float) -> None:
        """Add one value of a late sample to its bucket."""
        metric = self._metric(name, len(self))
        metric.counts[index] += 1
        metric.sums[index] += value
        metric.lows[index] = min(metric.lows[index], value)
        metric.highs[index] = max(metric.highs[index], value)

    def shift(self, seconds: float) -> None:
        """Shift all times."""
        self.begins = shifted(self.begins, seconds)
        self.ends = shifted(self.ends, seconds)

    def coarsen(self) -> None:
        """Merge neighbours two by two; in the last tier all of them."""
        groups = [(at, min(at + 2, len(self))) for at in range(0, len(self), 2)]
        self._merge(groups, 0, len(self))
        self._sizes = [0] * len(self._sizes)
        self._sizes[-1] = len(self)

    def _metric(self, name: str, known: int) -> _Metric:
        """Return the arrays of a metric; buckets older than its first value have none."""
        metric = self.metrics.get(name)
        if metric is None:
            metric = self.metrics[name] = _Metric(
                array("I", [0]) * known,
                array("d", [0.0]) * known,
                array("d", [math.inf]) * known,
                array("d", [-math.inf]) * known,
            )
            if name in self._rates:
                metric.over_time = array("d", [0.0]) * known
        return metric

    def _add_values(
        self, name: str, values: Sequence[float], seconds: Sequence[float], known: int
    ) -> None:
        metric = self._metric(name, known)
        metric.counts.extend(value == value for value in values)
        metric.sums.extend(value if value == value else 0.0 for value in values)
        metric.lows.extend(value if value == value else math.inf for value in values)
        metric.highs.extend(value if value == value else -math.inf for value in values)
        if name in self._rates:
            each = zip(values, seconds, strict=True)
            metric.over_time.extend(value * held if value == value else 0.0 for value, held in each)

    def _settle(self, added: int) -> None:
        """Merge the samples of each bucket of a tier, and move the oldest to coarser tiers.

        `added` is the number of newest entries of the finest tier that are not merged yet.
        """
        for number, tier in enumerate(self._keep.tiers[:-1]):
            self._merge_tier(number, tier.seconds, added)
            added = max(0, self._sizes[number] - tier.most)
            self._sizes[number] -= added
            self._sizes[number + 1] += added
        last = len(self._sizes) - 1
        self._merge_tier(last, self._last_width, added)
        while self._sizes[last] > self._keep.tiers[last].most:
            self._last_width *= 2
            self._merge_tier(last, self._last_width, self._sizes[last])

    def _merge_tier(self, number: int, width: float, added: int) -> None:
        """Merge the newest `added` buckets of a tier with each other and with the one before."""
        stop = sum(self._sizes[number:])
        start = max(stop - self._sizes[number], stop - added - 1)
        keys = groupby(range(start, stop), key=lambda index: self.begins[index] // width)
        groups = [(found[0], found[-1] + 1) for found in (list(group) for _, group in keys)]
        if len(groups) < stop - start:
            self._sizes[number] -= stop - start - len(groups)
            self._merge(groups, start, stop)

    def _merge(self, groups: Sequence[Group], start: int, stop: int) -> None:
        for metric in self.metrics.values():
            metric.merge(groups, start, stop)
        self.ends[start:stop] = array("d", (max(self.ends[a:b]) for a, b in groups))
        self.begins[start:stop] = array("d", (self.begins[a] for a, _ in groups))
