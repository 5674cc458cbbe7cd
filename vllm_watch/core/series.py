"""Samples of one engine as columns in time order, older ones thinned where memory is bounded."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from operator import sub

from vllm_watch.core.arithmetic import above, elementwise
from vllm_watch.core.buckets import Buckets, Keep
from vllm_watch.core.columns import Columns
from vllm_watch.core.countstart import CountStart
from vllm_watch.core.metrics import METRICS

DEFAULT_CADENCE = 10.0
"""Seconds between two stats lines until two are known (vLLM's `VLLM_LOG_STATS_INTERVAL`)."""
LONGEST_CADENCE = 300.0
"""Longest interval of stats lines: lines further apart are of a server that is mostly idle, whose
idle intervals vLLM does not write; each tells of the usual interval."""
SILENCE_CADENCES = 1.5
"""A distance of more cadences than this is a silence.

No rate holds over it, no line is drawn across it, and lines of several engines this far apart
belong to different rounds.
"""
USUAL_SILENCE = SILENCE_CADENCES * DEFAULT_CADENCE
"""Seconds of a silence between lines of the usual interval."""
RATES = frozenset(m.name for m in METRICS if m.kind == "rate" and m.total == "sum")
"""Metrics that are tokens when added up over time."""
_CADENCE_OF = 64
"""Newest samples whose distances give the cadence; they are never thinned while a run lasts."""
_STEADY = 8
"""The eighth newest sample's stamp counts as now: later ones may be stray."""


class Series(Columns):
    """The samples of one engine, a column per metric.

    With `keep` the series is bounded: its first `thinned` points are buckets of time, not samples
    (`core/buckets.py`). Their time is that of their first sample, their values are means. Without,
    every sample is kept: about 8 bytes per metric and line.
    """

    __slots__ = (
        "_buckets",
        "_cadence",
        "_cadence_count",
        "_cadence_known",
        "_count_start",
        "_keep",
        "_newest",
        "_ready",
        "_slack",
        "amended",
        "first_held",
        "folded",
        "measured",
        "offset",
        "thinned",
        "unjudged",
    )

    def __init__(
        self,
        keep: Keep | None = None,
        ready: Callable[[], None] | None = None,
        count_start: CountStart | None = None,
    ) -> None:
        """Make an empty series, bounded by `keep`; `ready` is called before samples are thinned.

        `count_start` is when its run began to count.
        """
        super().__init__()
        self._keep = keep
        self._slack = math.inf if keep is None else keep.slack
        self._buckets = Buckets(keep or Keep(), RATES)
        self._cadence = DEFAULT_CADENCE
        self._cadence_count = 0
        self._cadence_known = (-1, 0)
        self._newest = -1
        self._ready = ready
        self._count_start = count_start
        self.measured = False
        """Whether each rate is that of the whole time since the sample before, however long."""
        self.first_held: float | None = None
        """How long the rates of its first sample held, if that was measured."""
        self.unjudged = 0
        """Index of the first point that changed since the last judgement (`health`)."""
        self.amended = 0
        """Grows with each companion line."""
        self.folded = 0
        """How many samples have become parts of buckets."""
        self.thinned = 0
        """How many points, the oldest, are buckets of samples."""
        self.offset = 0
        """What to add to the index of a sample that is kept, to get its number in the run."""

    def append(self, time: float, values: Mapping[str, float]) -> int:
        """Put a sample in its place in time order and return the index of its point."""
        times = self.times
        if not times or time >= times[-1]:
            index = len(times)
        else:
            index = bisect_right(times, time)
            self.revision += 1
            if self._is_thinned(index, time):
                return self._append_late(time, values)
        self.unjudged = min(self.unjudged, index)
        self.insert(index, time, values)
        self._newest = index
        self._thin()
        return self._newest

    def extend(self, times: array[float], columns: Mapping[str, array[float]]) -> None:
        """Put many samples in their places, given as columns; NaN is an absent value."""
        start = len(self.times)
        steady = times.tolist() == sorted(times)
        if not steady or (start and times and times[0] < self.times[-1]):
            for at, time in enumerate(times):
                self.append(time, {name: column[at] for name, column in columns.items()})
            return
        self.times.extend(times)
        for name in columns:
            if name not in self.columns:
                self.columns[name] = array("d", [math.nan]) * start
        for name, known in self.columns.items():
            fresh = columns.get(name)
            known.extend(array("d", [math.nan]) * len(times) if fresh is None else _finite(fresh))
        self.unjudged = min(self.unjudged, start)
        self._newest = len(self.times) - 1
        self._thin()

    def amend(self, values: Mapping[str, float]) -> None:
        """Add the values of a companion line to the sample that was put in last."""
        if not self.times:
            return
        if self._newest >= self.thinned:
            self.unjudged = min(self.unjudged, self._newest)
        self.amended += 1
        self.revision += self._newest < len(self.times) - 1
        for name, value in values.items():
            column = self.columns.setdefault(name, array("d", [math.nan]) * len(self.times))
            if math.isfinite(value):
                if self._newest < self.thinned:
                    self._buckets.add_value(name, self._newest, value)
                    value = self._buckets.metrics[name].mean(self._newest)
                column[self._newest] = value

    def shift(self, seconds: float) -> None:
        """Shift all times, after the zone of the log became known."""
        super().shift(seconds)
        self._buckets.shift(seconds)

    def written(self, index: int, now: float) -> float:
        """Return when the newest sample of the point at `index` was written, as known at `now`.

        A bucket has lines from all of its time: if `now` is within it, the answer is `now`.
        """
        if index >= self.thinned:
            return self.times[index]
        return max(self.times[index], min(now, self._buckets.ends[index]))

    def extremes(self, metric: str, index: int) -> tuple[float, float] | None:
        """Return the lowest and the highest value of a point, exact also for a bucket."""
        value = self.value(metric, index)
        if value is None:
            return None
        if index >= self.thinned:
            return value, value
        of = self._buckets.metrics[metric]
        return (of.lows[index], of.highs[index]) if of.lows else (value, value)

    def count(self, metric: str, index: int) -> int:
        """Return how many samples of a point have a metric: of a bucket there may be many."""
        of = self._buckets.metrics.get(metric)
        if of is not None and index < len(of.counts):
            return of.counts[index]
        return int(self.value(metric, index) is not None)

    def over_time(self, metric: str, index: int) -> float:
        """Return a rate × seconds over a bucket (`index` < `thinned`); 0 for what is not a rate."""
        of = self._buckets.metrics.get(metric)
        return of.over_time[index] if of is not None and of.over_time else 0.0

    def total(self, metric: str) -> float | None:
        """Return the sum of all values of a metric, exact over buckets; None without any."""
        rest = [v for v in self.values(metric, self.thinned, len(self)) if v is not None]
        of = self._buckets.metrics.get(metric)
        thinned = math.fsum(of.sums) if of is not None else 0.0
        counted = rest or (of is not None and any(of.counts))
        return math.fsum(rest) + thinned if counted else None

    @property
    def cadence(self) -> float:
        """Median seconds between two samples, 10 until it is known; cached until they change."""
        count, known = len(self.times), (self.revision, self.thinned)
        if known == self._cadence_known and count == self._cadence_count:
            return self._cadence
        if known != self._cadence_known or not self._paced_as_before(count):
            newest = self.times[max(self.thinned, count - _CADENCE_OF) :]
            self._cadence = median_distance(newest) if len(newest) > 1 else self._cadence
            self._cadence_known = known
        self._cadence_count = count
        return self._cadence

    def _paced_as_before(self, count: int) -> bool:
        """Return whether further samples leave the median distance as it was."""
        before, times = self._cadence_count, self.times
        if count - before >= _STEADY or before - _CADENCE_OF < self.thinned:
            return False
        for at in range(before, count):
            oldest = at - _CADENCE_OF
            if times[at] - times[at - 1] != times[oldest + 1] - times[oldest]:
                return False
        return True

    def cadence_at(self, index: int) -> float:
        """Return the cadence as known when the sample at `index` was the newest.

        For thinned samples it is not kept; the present cadence is used.
        """
        if index < self.thinned:
            return self.cadence
        first = max(self.thinned, index + 1 - _CADENCE_OF)
        return median_distance(self.times[first : index + 1])

    @property
    def now(self) -> float | None:
        """Stamp that counts as now: a single stray stamp from the future has no effect."""
        if not self.times:
            return None
        return self.times[-_STEADY] if len(self.times) >= _STEADY else self.times[0]

    def age(self, before: float) -> None:
        """Merge the samples before a moment, if they are all or many: this run is over."""
        if self._keep is None:
            return
        fine = len(self.times) - self.thinned
        old = bisect_left(self.times, before, self.thinned) - self.thinned
        if old and (old == fine or old >= self._slack):
            self._fold(old)

    def coarsen(self) -> None:
        """Reduce the points, first to buckets, then by half at each call: this run is long over."""
        if self._keep is None or not self.times:
            return
        if len(self.times) > self.thinned:
            self._fold(len(self.times) - self.thinned)
            return
        self._buckets.coarsen()
        self._replace_front(len(self.times))

    def held(self, start: int, stop: int) -> array[float]:
        """Return how long the rates of the samples `start` … `stop` − 1 held, none of them thinned.

        Those of the first one held since vLLM began to count, if the log shows when.
        """
        before, cadence = self.written(start - 1, math.inf) if start else None, self.cadence
        silence = math.inf if self.measured else SILENCE_CADENCES
        held = held_seconds(self.times[start:stop], cadence, silence, before=before)
        if held and not start:
            first = self.first_held
            if first is None and self._count_start is not None and not self.measured:
                first = self._count_start.seconds(
                    self.times[0], cadence, SILENCE_CADENCES * cadence
                )
            held[0] = held[0] if first is None else first
        return held

    def measure(self, time: float, since: float) -> None:
        """Note since when the rates of the next sample, at `time`, hold."""
        self.measured = True
        if not self.times:
            self.first_held = time - since

    def _thin(self) -> None:
        """Merge samples into buckets once enough of them are old, or there are too many."""
        keep = self._keep
        spare = len(self.times) - self.thinned - _CADENCE_OF
        if keep is None or spare < self._slack:
            return
        now = self.now or 0.0
        waiting = self.thinned + keep.slack
        if self.times[waiting - 1] < now - keep.full_seconds:
            old = bisect_left(self.times, now - keep.full_seconds, waiting) - self.thinned
            self._fold(min(old, spare))
        over = len(self.times) - self.thinned - keep.full_samples
        if over >= self._slack:
            self._fold(min(over, spare))

    def _fold(self, count: int) -> None:
        """Merge the oldest `count` samples into buckets."""
        if self._ready is not None:
            self._ready()
        first = self.thinned
        self.folded += count
        stop = first + count
        times = self.times[first:stop]
        held = self.held(first, stop)
        columns = [(name, column[first:stop]) for name, column in self.columns.items()]
        self._buckets.add(times, columns, held)
        self._replace_front(stop)

    def _replace_front(self, stop: int) -> None:
        """Replace the points up to `stop` by the means of all buckets."""
        buckets, self.thinned = self._buckets, len(self._buckets)
        self.offset = self.folded - self.thinned
        self.unjudged = max(self.thinned, self.unjudged - stop + self.thinned)
        self.times[:stop] = buckets.begins
        for name, column in self.columns.items():
            metric = buckets.metrics.get(name)  # none yet for what came after the last merging
            means = [metric.mean(i) if metric else math.nan for i in range(self.thinned)]
            column[:stop] = array("d", means)
        self._newest = max(0, self._newest - stop + self.thinned)
        self._cadence_known = (-1, 0)

    def _is_thinned(self, index: int, time: float) -> bool:
        """Return whether a late sample belongs to a time that is kept as buckets only."""
        if not 0 < self.thinned >= index:
            return False
        return index < self.thinned or time < self._buckets.ends[-1]

    def _append_late(self, time: float, values: Mapping[str, float]) -> int:
        self._newest = index = self._buckets.add_late(time)
        self.times[index] = self._buckets.begins[index]
        self.amend(values)
        return index


def _finite(column: array[float]) -> array[float]:
    """Return a column whose values are all finite or NaN."""
    if math.isfinite(sum(column)):
        return column
    return array("d", [value if math.isfinite(value) else math.nan for value in column])


def median_distance(times: Sequence[float]) -> float:
    """Return the median distance of neighbours in seconds, 10 without one that can be a cadence."""
    distances = sorted(later - sooner for sooner, later in pairwise(times))
    distances = [each for each in distances if each > 0]
    median = distances[len(distances) // 2] if distances else DEFAULT_CADENCE
    return median if median <= LONGEST_CADENCE else DEFAULT_CADENCE


def held_seconds(
    times: array[float],
    cadence: float,
    end_of_silence: float = SILENCE_CADENCES,
    *,
    before: float | None = None,
) -> array[float]:
    """Return how long the rate of each line held: the time since the line before it.

    The first line (unless `before` is the time of one) and the first after a silence (more than
    `end_of_silence` cadences) count one cadence.
    """
    held = array("d", [cadence if before is None else times[0] - before] if times else [])
    held += elementwise(sub, times[1:], times[:-1])
    for at in above(held, end_of_silence * cadence):
        held[at] = cadence
    return held
