"""How long a rule must be true before it fires, and false before it is over: sample by sample.

`holdcolumns.py` does the same for many samples together.
"""

from __future__ import annotations

from vllm_watch.core.hints import Literal, NamedTuple


class HoldLengths(NamedTuple):
    """The numbers of samples that begin and end an alert."""

    needed: int
    """Samples past the level that make a rule fire, …"""
    of: int
    """… among so many of the newest."""
    clear_samples: int
    """Samples in a row back within the level that end its alert."""
    seconds: float = 0.0
    """For so long, besides, samples must be past the level without a break."""


class Streak(NamedTuple):
    """Samples in a row that are past a level, without a longer pause between two of them."""

    row: int
    """Number of the newest sample."""
    begin: float
    newest: float
    """Time of the newest sample."""


class Hold(NamedTuple):
    """How close a rule is to firing, or to ending. Immutable, so that a copy costs nothing."""

    hits: tuple[tuple[int, float], ...] = ()
    """Rows past the level among the most recent ones, and their times."""
    clear: int = 0
    """Rows in a row back past the margin, while the rule fires."""
    firing: bool = False
    streak: Streak | None = None
    """Rows past the level in a row, for rules that need a time."""

    @property
    def since(self) -> float:
        """Time of the first row past the level; this does not change if the clock goes back."""
        times = [time for _, time in self.hits]
        return min(times if self.streak is None else [*times, self.streak.begin])

    def moved(self, seconds: float) -> Hold:
        """Return the hold with its times shifted."""
        streak = self.streak
        if streak is not None:
            streak = Streak(streak.row, streak.begin + seconds, streak.newest + seconds)
        hits = tuple((row, time + seconds) for row, time in self.hits)
        return self._replace(hits=hits, streak=streak)


AT_REST = Hold()


class HoldChange(NamedTuple):
    """The moment at which a rule fires, becomes worse, or ends."""

    row: int
    """Index of the sample among those looked at."""
    kind: Literal["fires", "raised", "ends"]
    since: float = 0.0
    """First sample past the level, if an alert begins."""


def pressed(hold: Hold, lengths: HoldLengths, row: int, time: float) -> Hold:
    """Return the new hold of a rule that does not fire yet, after a row past its level."""
    streak, long = hold.streak, True
    if lengths.seconds:
        apart = (
            streak is None or streak.row != row - 1 or time - streak.newest > lengths.seconds / 2
        )
        begin = time if streak is None or apart else streak.begin
        streak, long = Streak(row, begin, time), time - begin >= lengths.seconds
    hits = (*(hit for hit in hold.hits if hit[0] > row - lengths.of), (row, time))
    return Hold(hits, 0, long and len(hits) >= lengths.needed, streak)


def eased(hold: Hold, lengths: HoldLengths, *, cleared: bool, idle: bool) -> Hold:
    """Return the hold of a rule that fires, after a row; an empty hold when it is over."""
    clear = hold.clear + 1 if cleared else 0
    if idle or clear >= lengths.clear_samples:
        return AT_REST
    return hold if clear == hold.clear else hold._replace(clear=clear)
