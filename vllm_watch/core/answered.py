"""Times of single requests, if a log says when each one arrived and was answered."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Sequence

from vllm_watch.core.columns import shifted
from vllm_watch.core.dataclass import dataclass

MOST_REQUESTS = 100_000
"""Requests of a run that are kept one by one."""


@dataclass(frozen=True, slots=True)
class AnsweredTable:
    """Requests that were answered, in the order of their answers."""

    ends: array[float]
    """Epoch seconds of each answer's stamp."""
    seconds: array[float]
    """From the request's stamp to the answer's; both are whole seconds."""
    aborted: array[float]
    """Epoch seconds at which requests ended without an answer although they had been running."""

    def __len__(self) -> int:
        return len(self.ends)


class Answered:
    """Requests of a run that were answered, and those that ended without an answer."""

    def __init__(self) -> None:
        self._answers = _Ends()
        self._aborts = _Ends()

    @property
    def times(self) -> Sequence[float]:
        """Return when requests were answered, for those that are kept one by one."""
        return self._answers.times

    def add(self, end: float, seconds: float) -> None:
        """Count a request that was answered."""
        self._answers.add(end, seconds)

    def abort(self, end: float) -> None:
        """Count a request that ended without an answer."""
        self._aborts.add(end, 0.0)

    def over(self, start: float, end: float) -> tuple[int, float | None, int]:
        """Return the requests answered in (start, end], their mean seconds, and those aborted.

        The mean is None without any; the errors of rounding to whole seconds cancel out.
        """
        count, seconds = self._answers.over(start, end)
        return count, seconds / count if count else None, self._aborts.over(start, end)[0]

    def shift(self, seconds: float) -> None:
        """Shift all times."""
        self._answers.shift(seconds)
        self._aborts.shift(seconds)


class _Ends:
    """Ends of requests in the order of time, and running totals of their seconds."""

    def __init__(self) -> None:
        self.times: array[float] = array("d")
        self.sums: array[float] = array("d", [0.0])
        """Total seconds of all requests before each one; the last entry is the total of all."""
        self.dropped = 0
        """Number of oldest requests that are no longer kept one by one."""

    def add(self, end: float, seconds: float) -> None:
        """Add a request; if the clock goes back, its time counts as the newest one so far."""
        self.times.append(max(end, self.times[-1]) if self.times else end)
        self.sums.append(self.sums[-1] + seconds)
        if len(self.times) > MOST_REQUESTS:
            gone = MOST_REQUESTS // 10
            self.dropped += gone
            del self.times[:gone], self.sums[:gone]

    def over(self, start: float, end: float) -> tuple[int, float]:
        """Return how many ended in (start, end], and their total seconds."""
        low, high = bisect_right(self.times, start), bisect_right(self.times, end)
        if high <= low:
            return 0, 0.0
        if math.isinf(start):
            return self.dropped + high, self.sums[high]
        return high - low, self.sums[high] - self.sums[low]

    def shift(self, seconds: float) -> None:
        """Shift all times."""
        self.times = shifted(self.times, seconds)
