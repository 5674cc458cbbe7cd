"""Progress of a job, and when it will be done: tokens generated and requests answered so far.

Generated tokens are integrated over the stats lines (`core/tokens.py`), not guessed from a formula;
requests are counted from the access lines. A job begins with the run.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.run import Run
from vllm_watch.core.series import Series
from vllm_watch.core.tokens import token_steps

RECENT_SECONDS = 180.0
"""The token rate is the mean over this time: contexts grow, so the start says little."""
RECENT_REQUESTS = 10
"""Fewest answers in the last `RECENT_REQUESTS_SECONDS` that give the rate."""
RECENT_REQUESTS_SECONDS = 600.0
"""With fewer answers in this time (seconds), the whole run gives the rate."""
MOST_METERED = 64
"""Runs whose sums are cached; others are added up again on demand."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What a job is: set by `--target-requests` and `--target-tokens`."""

    requests: int | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a job at a moment."""

    unit: str
    """`requests` or `tokens`."""
    done: float
    target: float
    seconds_left: float | None
    """Seconds until the target is reached at the present rate, None if there is no progress."""
    reached: float | None = None
    """Epoch seconds at which the target was reached."""

    @property
    def share(self) -> float:
        """Share (0…1) that is done; 1 only when the target is reached."""
        return min(1.0, self.done / self.target)


@dataclass(slots=True)
class _Meter:
    """Tokens of one engine added up line by line; continues at the line where it stopped."""

    cadence: float = 0.0
    thinned: int = 0
    times: array[float] = field(default_factory=lambda: array("d"))
    totals: array[float] = field(default_factory=lambda: array("d"))

    def read(self, series: Series) -> None:
        """Add new lines; begin again if older ones have changed, the newest may have grown."""
        if not self._goes_on_in(series):
            self.times, self.totals = array("d"), array("d")
        del self.times[-1:], self.totals[-1:]
        known = len(self.times)
        self.cadence, self.thinned = series.cadence, series.thinned
        total = self.totals[-1] if known else 0.0
        for time, made in token_steps(series, "generation_tps", known):
            total += made
            self.times.append(time)
            self.totals.append(total)

    def _goes_on_in(self, series: Series) -> bool:
        known = len(self.times)
        same = self.cadence == series.cadence and self.thinned == series.thinned
        if known > len(series) or not same:
            return False
        return not known or self.times[-1] == series.written(known - 1, math.inf)

    def at(self, time: float) -> float:
        """Return the tokens up to a moment."""
        index = bisect_left(self.times, time + 1e-6)
        return self.totals[index - 1] if index else 0.0


class JobWatch:
    """Progress of jobs; keeps sums, so that a refresh adds only new lines."""

    def __init__(self, targets: Targets) -> None:
        """Watch a job with these targets."""
        self.targets = targets
        self._meters: dict[tuple[str, int], dict[int, _Meter]] = {}
        """By log and run; the most recently used is last."""

    def generated(self, source: str, run: Run, time: float) -> float:
        """Return the tokens that a run of the log `source` generated up to `time`."""
        return _total(self._read(source, run), time)

    def progress(self, source: str, run: Run, time: float) -> tuple[Progress, ...]:
        """Return the progress of the job at `time`, for each target; none before the first line."""
        found = []
        first = min((one.times[0] for one in run.series.values() if len(one)), default=None)
        if first is None or time < first:
            return ()
        if self.targets.requests:
            found.append(_request_progress(run, self.targets.requests, first, time))
        if self.targets.tokens:
            found.append(self._token_progress(source, run, self.targets.tokens, first, time))
        return tuple(found)

    def _token_progress(
        self, source: str, run: Run, target: int, first: float, time: float
    ) -> Progress:
        meters = self._read(source, run)
        done = _total(meters, time)
        if done >= target:
            times = sorted({at for meter in meters for at in meter.times if at <= time})
            reached = bisect_left(times, float(target), key=lambda at: _total(meters, at))
            return Progress("tokens", done, target, 0.0, times[min(reached, len(times) - 1)])
        span = min(RECENT_SECONDS, time - first + run.cadence)
        lately = done - _total(meters, time - span)
        left = (target - done) * span / lately if lately > 0 else None
        return Progress("tokens", done, target, left)

    def _read(self, source: str, run: Run) -> list[_Meter]:
        meters = self._meters.pop((source, run.number), {})
        self._meters[source, run.number] = meters
        while len(self._meters) > MOST_METERED:
            del self._meters[next(iter(self._meters))]
        for engine in run.engines:
            meters.setdefault(engine, _Meter()).read(run.series[engine])
        return [meters[engine] for engine in run.engines]


def _total(meters: Iterable[_Meter], time: float) -> float:
    return sum([meter.at(time) for meter in meters], start=0.0)


def answered(run: Run, time: float) -> int:
    """Return how many requests were answered well (status below 400) before `time`."""
    whole = sum(number for status, number in run.served.items() if status < "400")
    later = bisect_left(run.traffic.begins, time)
    return round(whole - sum(run.traffic.counts[0][later:]))


def _request_progress(run: Run, target: int, first: float, time: float) -> Progress:
    done = answered(run, time)
    if done >= target:
        counts = run.traffic.counts[0]
        # If there are very many requests, the oldest have no time any more.
        totals = accumulate(counts, initial=answered(run, math.inf) - sum(counts))
        index = next(index for index, total in enumerate(totals) if round(total) >= target)
        reached = run.traffic.begins[index - 1] if index else first
        return Progress("requests", done, target, 0.0, reached)
    span = min(RECENT_REQUESTS_SECONDS, time - first + run.cadence)
    lately = done - answered(run, time - span)
    if lately < RECENT_REQUESTS:
        span, lately = time - first + run.cadence, done
    left = (target - done) * span / lately if lately > 0 else None
    return Progress("requests", done, target, left)
