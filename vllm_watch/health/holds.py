"""How long a rule must hold before it fires, and clear before it is over.

Either one sample after the other (`stepped`, `eased`), or the verdicts on many samples at once
(`walk`), which only looks at samples that can change something.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple


class Pace(NamedTuple):
    """The numbers of samples that begin and end an alert."""

    needed: int
    of: int
    clear_samples: int
    seconds: float = 0.0
    """For how long samples must be past the level in a row."""


class Streak(NamedTuple):
    """Samples in a row that are past a level, without a longer pause between two of them."""

    row: int
    """Time of the newest one."""
    begin: float
    newest: float


class Hold(NamedTuple):
    """How close a rule is to firing, or to ending. Immutable, so that a copy costs nothing."""

    hits: tuple[tuple[int, float], ...] = ()
    """Rows past the level among the most recent ones, and their times."""
    clear: int = 0
    """Rows in a row back past the margin, while it fires."""
    firing: bool = False
    streak: Streak | None = None
    """Rows past the level in a row, for rules that need a time."""

    @property
    def since(self) -> float:
        """Time of its first row past the level; never earlier if the clock goes back."""
        times = [time for _, time in self.hits]
        return min(times if self.streak is None else [*times, self.streak.begin])

    def moved(self, seconds: float) -> Hold:
        """Return it with its times shifted."""
        streak = self.streak
        if streak is not None:
            streak = Streak(streak.row, streak.begin + seconds, streak.newest + seconds)
        hits = tuple((row, time + seconds) for row, time in self.hits)
        return self._replace(hits=hits, streak=streak)


AT_REST = Hold()


class Turn(NamedTuple):
    """The moment at which a rule fires, becomes worse, or ends."""

    row: int
    """Index of the sample among those looked at."""
    kind: Literal["fires", "raised", "ends"]
    since: float = 0.0
    """First sample past the level, if an alert begins."""


def stepped(hold: Hold, pace: Pace, row: int, time: float) -> Hold:
    """Return the hold of a rule that does not fire, after a row past its level."""
    streak, long = hold.streak, True
    if pace.seconds:
        apart = streak is None or streak.row != row - 1 or time - streak.newest > pace.seconds / 2
        begin = time if streak is None or apart else streak.begin
        streak, long = Streak(row, begin, time), time - begin >= pace.seconds
    hits = (*(hit for hit in hold.hits if hit[0] > row - pace.of), (row, time))
    return Hold(hits, 0, long and len(hits) >= pace.needed, streak)


def eased(hold: Hold, pace: Pace, *, cleared: bool, idle: bool) -> Hold:
    """Return the hold of a rule that fires, after a row; an empty hold when it is over."""
    clear = hold.clear + 1 if cleared else 0
    if idle or clear >= pace.clear_samples:
        return AT_REST
    return hold if clear == hold.clear else hold._replace(clear=clear)


def walk(
    hold: Hold,
    pace: Pace,
    first_row: int,
    times: Sequence[float],
    past: Sequence[int],
    ends: Callable[[], tuple[Sequence[int], Sequence[bool], Sequence[bool]]],
) -> tuple[Hold, list[Turn]]:
    """Take the verdicts on many rows; return the hold then, and what changed.

    Args:
        hold: before the first row.
        pace: of the rule.
        first_row: number of the first row.
        times: of all rows.
        past: indexes of rows past the level, none of them idle.
        ends: makes the indexes of rows that are cleared or idle, with all rows' `cleared` and
            `idle`; asked only where the rule fires at all.
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
            ending = _Ending(pace, len(times), *ends())
        hold, at = ending.after(hold, at)
        if not hold.firing:
            turns.append(Turn(at - 1, "ends"))
    return hold, turns


class _Firing:
    """Finds where a rule begins to fire among rows past its level."""

    def __init__(
        self, hold: Hold, pace: Pace, first_row: int, times: Sequence[float], past: Sequence[int]
    ) -> None:
        """Look at rows past a level that follow those of a hold that does not fire yet."""
        self._pace, self._first, self._times, self._past = pace, first_row, times, past
        self._simple = not (pace.seconds or hold.streak) and (
            hold.firing or len(hold.hits) < pace.needed
        )
        """Whether only the number of rows matters, not their time."""
        before = [] if hold.firing else [(row - first_row, time) for row, time in hold.hits]
        self._rows = [*(row for row, _ in before), *past]
        self._when = [time for _, time in before]
        pairs = zip(self._rows, self._rows[max(0, pace.needed - 1) :], strict=False)
        self._last = [at for at, (one, other) in enumerate(pairs) if other - one < pace.of]
        """Index of the first row in each group that is large and close enough to fire."""

    def after(self, hold: Hold, at: int) -> tuple[Hold, int]:
        """Return the hold of a rule that does not fire, and the next row: when it fires, or all."""
        past, times = self._past, self._times
        if not self._simple:
            place = bisect_left(past, at)
            if place == len(past):
                return hold, len(times)
            at = past[place]
            return stepped(hold, self._pace, self._first + at, times[at]), at + 1
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

    def __init__(
        self,
        pace: Pace,
        size: int,
        rows: Sequence[int],
        cleared: Sequence[bool],
        idle: Sequence[bool],
    ) -> None:
        """Look at `rows`, those of `size` rows that are cleared or idle."""
        self._pace, self._size = pace, size
        self._rows, self._cleared, self._idle = rows, cleared, idle
        before = max(0, pace.clear_samples - 1)
        self._row = [
            row
            for place, row in enumerate(rows)
            if idle[row] or (place >= before and row - rows[place - before] == before)
        ]
        """Rows at which it would be over."""

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
        """Return the same after one row."""
        cleared, idle = bool(self._cleared[at]), bool(self._idle[at])
        return eased(hold, self._pace, cleared=cleared, idle=idle), at + 1
