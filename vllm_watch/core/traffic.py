"""HTTP requests over time, although access lines have no stamp.

A stretch is the requests between two stamped lines; live, it ends when they arrived. Unknown ends,
such as that of the newest stretch in a saved log, are found from the stamps that follow.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from operator import lt

from vllm_watch.core.columns import shifted
from vllm_watch.core.hints import NamedTuple

MOST_STRETCHES = 10_000
"""Stretches kept of a watched run; beyond that, neighbours in the older half are merged."""
OPEN_SECONDS = 10.0
"""Length of the newest stretch if no stamp follows: one stats interval of vLLM."""
SHORTEST = 1.0
"""Shortest length of a stretch in seconds: stamps are whole seconds."""


class Stretch(NamedTuple):
    """Requests answered between two moments, per second."""

    begin: float
    end: float
    answered: float
    """Per second, status below 400."""
    refused: float
    """Per second, status 400 to 499: the client's fault."""
    failed: float
    """Per second, status 500 and above: the server's fault."""


class Traffic:
    """Requests of one run by class of status, stretch by stretch."""

    def __init__(self, most: int | None = None) -> None:
        """Start without requests; of more than `most` stretches, neighbours become one."""
        self._most = most
        self.begins: array[float] = array("d")
        self.ends: array[float] = array("d")
        self.counts: tuple[array[float], ...] = (array("d"), array("d"), array("d"))
        self._ordered = True

    def __len__(self) -> int:
        return len(self.begins)

    def add(self, served: Mapping[str, int], time: float | None, arrived: float | None) -> None:
        """Count requests after the stamp `time`; `arrived` is when they were seen, live."""
        begin = time
        if arrived is not None and self.ends and not math.isnan(self.ends[-1]):
            begin = self.ends[-1] if begin is None else max(begin, self.ends[-1])
        if begin is None:
            begin = arrived
        if begin is None or not served:
            return
        if not (self.begins and self.begins[-1] == begin and math.isnan(self.ends[-1])):
            self._ordered = self._ordered and (not self.begins or self.begins[-1] <= begin)
            self.begins.append(begin)
            self.ends.append(math.nan)
            for column in self.counts:
                column.append(0.0)
        self.ends[-1] = math.nan if arrived is None else max(arrived, begin)
        for status, number in served.items():
            column = self.counts[_class_of(status)]
            column[-1] += number
        if self._most is not None and len(self) > self._most:
            self.coarsen(self._most // 4 * 2)

    def add_many(
        self, status: str, times: array[float], numbers: array[int], arrived: float | None
    ) -> int:
        """Count requests of one status after many stamps (NaN: none); return their number."""
        if arrived is None and self._most is None:
            self._add_at_once(status, times, numbers)
            return sum(numbers)
        for time, number in zip(times, numbers, strict=True):
            if number:
                self.add({status: number}, None if math.isnan(time) else time, arrived)
        return sum(numbers)

    def _add_at_once(self, status: str, times: array[float], numbers: array[int]) -> None:
        """Count requests of a log that is read once: no stretch is closed, none is merged."""
        begins, column = self.begins, self.counts[_class_of(status)]
        before = len(begins)
        newest = begins[-1] if begins and math.isnan(self.ends[-1]) else math.nan
        known = begins[-1] if begins else -math.inf
        if times and times[0] == newest:
            column[-1] += numbers[0]
            times, numbers = times[1:], numbers[1:]
        if 0 not in numbers and all(map(lt, (known, *times), times)):  # each begins a stretch
            begins.extend(times)
            column.extend(array("d", numbers))
            times, numbers = array("d"), array("q")
        for time, number in zip(times, numbers, strict=True):
            if time == newest:
                column[-1] += number
            elif number and not math.isnan(time):
                self._ordered = self._ordered and known <= time
                begins.append(time)
                column.append(number)
                newest = known = time
        more = array("d", [0.0]) * (len(begins) - before)
        self.ends.extend(array("d", [math.nan]) * len(more))
        for other in self.counts:
            if other is not column:
                other.extend(more)

    def answered(self, since: float) -> tuple[array[float], array[float]]:
        """Return when the stretches from a moment on begin, and the requests answered in each."""
        begins, counts = self.begins, self.counts[0]
        if not self._ordered:
            pairs = sorted(zip(begins, counts, strict=True))
            begins, counts = (array("d", column) for column in zip(*pairs, strict=True))
        first = bisect_left(begins, since)
        return begins[first:], counts[first:]

    def coarsen(self, stop: int | None = None) -> int:
        """Merge stretches before the one at `stop` (all) in pairs; return how many fewer there are.

        Counts stay exact; the rate becomes the mean over both and the time between them.
        """
        stop = len(self) - len(self) % 2 if stop is None else stop
        pairs = [(at, at + 1) for at in range(0, stop, 2)]
        ends = array("d", (self._closed(b) for _, b in pairs))
        self.begins[:stop] = array("d", (min(self.begins[a], self.begins[b]) for a, b in pairs))
        self.ends[:stop] = ends
        for column in self.counts:
            column[:stop] = array("d", (column[a] + column[b] for a, b in pairs))
        return stop - len(pairs)

    def _closed(self, index: int) -> float:
        """Return when a stretch ends.

        An open one ends when the next one begins, at most one stats interval after its own begin.
        """
        if not math.isnan(self.ends[index]):
            return self.ends[index]
        end = self.begins[index] + OPEN_SECONDS
        later = self.begins[index + 1] if index + 1 < len(self) else end
        return min(end, later) if later >= self.begins[index] else end

    def stretches(self, start: float, end: float, stamps: array[float]) -> list[Stretch]:
        """Return the stretches that begin in a window; `stamps` show where open ones end."""
        found = []
        first, last = 0, len(self)
        if self._ordered:
            first, last = bisect_left(self.begins, start), bisect_right(self.begins, end)
        for index in range(first, last):
            begin = self.begins[index]
            if not start <= begin <= end:
                continue
            until = self.ends[index]
            if math.isnan(until):
                later = self.begins[index + 1] if index + 1 < len(self.begins) else end
                until = min(next_after(stamps, begin, begin + OPEN_SECONDS), later)
            seconds = max(SHORTEST, until - begin)
            rates = (column[index] / seconds for column in self.counts)
            found.append(Stretch(begin, begin + seconds, *rates))
        return found

    def rate(self, now: float, stamps: array[float]) -> Stretch | None:
        """Return the requests per second over the last minute, None if there were none."""
        recent = self.stretches(now - 60.0, now, stamps)
        if not recent:
            return None
        span = max(SHORTEST, now - recent[0].begin)
        totals = [sum(s[2 + k] * (s.end - s.begin) for s in recent) / span for k in range(3)]
        return Stretch(recent[0].begin, now, *totals)

    def shift(self, seconds: float) -> None:
        """Shift all times."""
        self.begins, self.ends = shifted(self.begins, seconds), shifted(self.ends, seconds)


def _class_of(status: str) -> int:
    """Return which of the counts a status belongs to."""
    return 0 if status < "400" else 1 if status < "500" else 2


def next_after(stamps: array[float], time: float, default: float) -> float:
    """Return the first stamp later than `time`, the default if there is none."""
    index = bisect_right(stamps, time)
    return stamps[index] if index < len(stamps) else default
