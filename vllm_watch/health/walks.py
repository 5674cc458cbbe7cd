"""When a rule fires and ends, over many samples at once: what `holds.py` does one by one.

Only samples that can change something are checked; numpy finds them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

import numpy as np

from vllm_watch.health.holds import AT_REST, Hold, Pace, Turn, eased, pressed

Bools = np.ndarray[tuple[int], np.dtype[np.bool_]]
Indexes = np.ndarray[tuple[int], np.dtype[np.intp]]


def walk(
    hold: Hold,
    pace: Pace,
    first_row: int,
    times: Sequence[float],
    past: Indexes,
    ends: Callable[[], tuple[Bools, Bools]],
) -> tuple[Hold, list[Turn]]:
    """Take the verdicts on many rows; return the hold after the last row, and what changed.

    Args:
        hold: the hold before the first row.
        pace: the pace of the rule.
        first_row: the number of the first row.
        times: the times of all rows.
        past: indexes of rows past the level, none of them idle.
        ends: returns which rows are cleared, and which are idle; called only if the rule fires.
    """
    turns: list[Turn] = []
    at, ending = 0, None
    firing = _Firing(hold, pace, first_row, times, past)
    while at < len(times):
        if not hold.firing:
            hold, at = firing.after(hold, at)
            if hold.firing:
                turns.append(Turn(at - 1, "fires", hold.since))
            continue
        if ending is None:
            ending = _Ending(pace, *ends())
        hold, at = ending.after(hold, at)
        if not hold.firing:
            turns.append(Turn(at - 1, "ends"))
    return hold, turns


class _Firing:
    """Finds where a rule begins to fire among rows past its level."""

    def __init__(
        self, hold: Hold, pace: Pace, first_row: int, times: Sequence[float], past: Indexes
    ) -> None:
        """Look at rows past a level that follow those of a hold that does not fire yet."""
        self._pace, self._first, self._times, self._past = pace, first_row, times, past.tolist()
        self._simple = not (pace.seconds or hold.streak) and (
            hold.firing or len(hold.hits) < pace.needed
        )
        """Whether only the number of rows matters, not their time."""
        before = [] if hold.firing else [(row - first_row, time) for row, time in hold.hits]
        self._rows: list[int] = [*(row for row, _ in before), *self._past]
        self._when = [time for _, time in before]
        rows = np.array(self._rows, np.intp) if before else past
        newest = rows[max(0, pace.needed - 1) :]
        self._last: list[int] = np.flatnonzero(newest - rows[: len(newest)] < pace.of).tolist()
        """Index of the first row in each group that is large and close enough to fire."""

    def after(self, hold: Hold, at: int) -> tuple[Hold, int]:
        """Return the hold of a rule that does not fire, and the next row: when it fires, or all."""
        past, times = self._past, self._times
        if not self._simple:
            place = bisect_left(past, at)
            if place == len(past):
                return hold, len(times)
            at = past[place]
            return pressed(hold, self._pace, self._first + at, times[at]), at + 1
        rows, needed = self._rows, self._pace.needed
        first = 0 if hold.hits else bisect_left(rows, at)
        found = bisect_left(self._last, first)
        if found < len(self._last):
            begin = self._last[found]
            stop = begin + needed
            return Hold(self._hits(begin, stop), 0, firing=True), rows[stop - 1] + 1
        if first < len(rows) and rows[-1] >= at:
            begin = max(first, bisect_left(rows, rows[-1] - self._pace.of + 1))
            hold = Hold(self._hits(begin, len(rows)))
        return hold, len(times)

    def _hits(self, begin: int, stop: int) -> tuple[tuple[int, float], ...]:
        known = len(self._when)
        return tuple(
            (
                self._first + self._rows[at],
                self._when[at] if at < known else self._times[self._rows[at]],
            )
            for at in range(begin, stop)
        )


class _Ending:
    """Finds where a rule that fires is over among rows that are cleared or idle."""

    def __init__(self, pace: Pace, cleared: Bools, idle: Bools) -> None:
        """Look at rows, each of which may be cleared or idle."""
        self._pace, self._size = pace, len(cleared)
        self._cleared, self._idle = cleared, idle
        rows = np.flatnonzero(cleared | idle)
        before = max(0, pace.clear_samples - 1)
        over = idle[rows]
        over[before:] |= rows[before:] - rows[: max(0, len(rows) - before)] == before
        self._row: list[int] = rows[over].tolist()
        """Rows at which the rule would be over."""

    def after(self, hold: Hold, at: int) -> tuple[Hold, int]:
        """Return the hold of a rule that fires, and the next row: when it is over, or all."""
        if hold.clear:
            return self._step(hold, at)
        place = bisect_left(self._row, at)
        while place < len(self._row):
            row = self._row[place]
            if self._idle[row] or row - at + 1 >= self._pace.clear_samples:
                return AT_REST, row + 1
            place += 1
        clear, last = 0, self._size - 1
        while last - clear >= at and self._cleared[last - clear]:
            clear += 1
        return hold._replace(clear=clear), self._size

    def _step(self, hold: Hold, at: int) -> tuple[Hold, int]:
        """Return the hold and the next row after only one row."""
        cleared, idle = bool(self._cleared[at]), bool(self._idle[at])
        return eased(hold, self._pace, cleared=cleared, idle=idle), at + 1
