"""HTTP requests over time, although access lines carry none.

They lie between two stamped lines; live, they end where they arrived. What is not known, such as
the end of the newest stretch in a saved log, is found from the stamps that follow.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Mapping
from typing import NamedTuple

MOST_STRETCHES = 100_000
"""Stretches kept; of more, the oldest go."""
OPEN_SECONDS = 10.0
"""What the newest stretch lasts if no stamp follows: one stats interval of vLLM."""
SHORTEST = 1.0
"""Seconds that a stretch lasts at least: stamps are whole seconds."""


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

    def __init__(self) -> None:
        """Start without requests."""
        self.begins: array[float] = array("d")
        self.ends: array[float] = array("d")
        self.counts: tuple[array[float], ...] = (array("d"), array("d"), array("d"))

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
            self.begins.append(begin)
            self.ends.append(math.nan)
            for column in self.counts:
                column.append(0.0)
        self.ends[-1] = math.nan if arrived is None else max(arrived, begin)
        for status, number in served.items():
            column = self.counts[0 if status < "400" else 1 if status < "500" else 2]
            column[-1] += number
        if len(self.begins) > MOST_STRETCHES:
            for column in (self.begins, self.ends, *self.counts):
                del column[: MOST_STRETCHES // 10]

    def stretches(self, start: float, end: float, stamps: array[float]) -> list[Stretch]:
        """Return the stretches that begin in a window; `stamps` tell where open ones end."""
        found = []
        for index, begin in enumerate(self.begins):
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

    def rate(self, now: float, stamps: array[float], seconds: float = 60.0) -> Stretch | None:
        """Return the requests per second over the last `seconds`, None if there were none."""
        recent = self.stretches(now - seconds, now, stamps)
        if not recent:
            return None
        span = max(SHORTEST, now - recent[0].begin)
        totals = [sum(s[2 + k] * (s.end - s.begin) for s in recent) / span for k in range(3)]
        return Stretch(recent[0].begin, now, *totals)

    def shift(self, seconds: float) -> None:
        """Move everything in time."""
        for column in (self.begins, self.ends):
            for index in range(len(column)):
                column[index] += seconds


def next_after(stamps: array[float], time: float, default: float) -> float:
    """Return the first stamp later than `time`, the default if there is none."""
    index = bisect_right(stamps, time)
    return stamps[index] if index < len(stamps) else default
