"""When a rule fires and ends, over many samples at once: what `holds.py` does one by one.

Only samples that can change something are checked; numpy finds them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

import numpy as np

from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.health.holds import AT_REST, Hold, HoldChange, HoldLengths, eased, pressed

if TYPE_CHECKING:
    from vllm_watch.health.signalcolumns import Bools, Indexes


def hold_changes(
    hold: Hold,
    lengths: HoldLengths,
    first_row: int,
    times: Sequence[float],
    past: Indexes,
    ends: Callable[[], tuple[Bools, Bools]],
) -> tuple[Hold, list[HoldChange]]:
    """Take the verdicts on many rows; return the hold after the last row, and what changed.

    Args:
        hold: the hold before the first row.
        lengths: those of the rule.
        first_row: the number of the first row.
        times: the times of all rows.
        past: indexes of rows past the level, none of them idle.
        ends: returns which rows are cleared, and which are idle; called only if the rule fires.
    """
    changes: list[HoldChange] = []
    at, ending = 0, None
    firing = _Firing(hold, lengths, first_row, times, past)
    while at < len(times):
        begin = None
        if not (hold.firing or firing.simple):
            hold, at = firing.step(hold, at)
            if hold.firing:
                changes.append(HoldChange(at - 1, "fires", hold.since))
            continue
        if not hold.firing:
            begin = firing.next(hold, at)
            if begin is None:
                return firing.rest(hold, at), changes
            at = firing.end(begin)
            changes.append(HoldChange(at - 1, "fires", firing.since(begin)))
        ending = ending or _Ending(lengths, *ends())
        over = None if hold.clear else ending.next(at)
        if over is not None:
            hold, at = AT_REST, over + 1
        else:
            hold, at = ending.step(hold if begin is None else firing.hold(begin), at)
        if not hold.firing:
            changes.append(HoldChange(at - 1, "ends"))
    return hold, changes


class _Firing:
    """Finds where a rule begins to fire among rows past its level."""

    def __init__(
        self,
        hold: Hold,
        lengths: HoldLengths,
        first_row: int,
        times: Sequence[float],
        past: Indexes,
    ) -> None:
        """Look at rows past a level that follow those of a hold that does not fire yet."""
        self._lengths, self._first, self._times, self._past = lengths, first_row, times, past.data
        self.simple = not (lengths.seconds or hold.streak) and (
            hold.firing or len(hold.hits) < lengths.needed
        )
        """Whether only the number of rows matters, not their time."""
        before = [] if hold.firing else [(row - first_row, time) for row, time in hold.hits]
        self._when = [time for _, time in before]
        rows = np.array([*(row for row, _ in before), *past.tolist()]) if before else past
        newest = rows[max(0, lengths.needed - 1) :]
        # Only few of them are looked at: a list would be longer made than read.
        self._rows = rows.data
        self._last = np.flatnonzero(newest - rows[: len(newest)] < lengths.of).data
        """Index of the first row in each group that is large and close enough to fire."""

    def step(self, hold: Hold, at: int) -> tuple[Hold, int]:
        """Return the hold of a rule that does not fire after the next row past the level."""
        past, times = self._past, self._times
        place = bisect_left(past, at)
        if place == len(past):
            return hold, len(times)
        at = past[place]
        return pressed(hold, self._lengths, self._first + at, times[at]), at + 1

    def next(self, hold: Hold, at: int) -> int | None:
        """Return the next group that fires after a `hold`, None if there is none."""
        found = bisect_left(self._last, self._first_of(hold, at))
        return self._last[found] if found < len(self._last) else None

    def _first_of(self, hold: Hold, at: int) -> int:
        return 0 if hold.hits else bisect_left(self._rows, at)

    def end(self, begin: int) -> int:
        """Return the row after a group."""
        return self._rows[begin + self._lengths.needed - 1] + 1

    def since(self, begin: int) -> float:
        """Return the time of the first row of a group."""
        stop = begin + self._lengths.needed
        if begin < len(self._when):
            return min(map(self._time, range(begin, stop)))
        return min(map(self._times.__getitem__, self._rows[begin:stop]))

    def hold(self, begin: int) -> Hold:
        """Return the hold of a rule that a group made fire."""
        return Hold(self._hits(begin, begin + self._lengths.needed), 0, firing=True)

    def rest(self, hold: Hold, at: int) -> Hold:
        """Return the hold after the last row if no group fires any more."""
        rows, first = self._rows, self._first_of(hold, at)
        if first == len(rows) or rows[-1] < at:
            return hold
        begin = max(first, bisect_left(rows, rows[-1] - self._lengths.of + 1))
        return Hold(self._hits(begin, len(rows)))

    def _hits(self, begin: int, stop: int) -> tuple[tuple[int, float], ...]:
        return tuple((self._first + self._rows[at], self._time(at)) for at in range(begin, stop))

    def _time(self, at: int) -> float:
        return self._when[at] if at < len(self._when) else self._times[self._rows[at]]


class _Ending:
    """Finds where a rule that fires is over among rows that are cleared or idle."""

    def __init__(self, lengths: HoldLengths, cleared: Bools, idle: Bools) -> None:
        """Look at rows, each of which may be cleared or idle."""
        self._lengths, self._size = lengths, len(cleared)
        self._cleared, self._idle = cleared, idle
        rows = np.flatnonzero(cleared | idle)
        before = max(0, lengths.clear_samples - 1)
        over = idle[rows]
        over[before:] |= rows[before:] - rows[: max(0, len(rows) - before)] == before
        self._row = rows[over].data
        """Rows at which the rule would be over."""

    def next(self, at: int) -> int | None:
        """Return the row at which a rule that fires since the row before `at` is over."""
        for place in range(bisect_left(self._row, at), len(self._row)):
            row = self._row[place]
            if row - at + 1 >= self._lengths.clear_samples or self._idle[row]:
                return row
        return None

    def step(self, hold: Hold, at: int) -> tuple[Hold, int]:
        """Return the hold of a rule that fires, and the next row.

        After a row before `at` that was cleared, this is one row further, otherwise after the last.
        """
        if hold.clear:
            cleared, idle = bool(self._cleared[at]), bool(self._idle[at])
            return eased(hold, self._lengths, cleared=cleared, idle=idle), at + 1
        clear, last = 0, self._size - 1
        while last - clear >= at and self._cleared[last - clear]:
            clear += 1
        return hold._replace(clear=clear), self._size
