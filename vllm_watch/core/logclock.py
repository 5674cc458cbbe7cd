"""The clock of a log and ours: the only place where times are converted between them."""

from __future__ import annotations

from datetime import UTC, tzinfo

from vllm_watch.core.dataclass import dataclass, replace

TOLERATED_SECONDS = 90.0
"""Seconds that a stamp may lie from its arrival: file systems report appended bytes late (NFS
caches attributes up to 60 s). Beyond that the log has a clock of its own, and is shown in it."""


@dataclass(frozen=True, slots=True)
class LogClock:
    """The clock of a log: its times are kept in it, in epoch seconds."""

    tz: tzinfo = UTC
    """The zone of its stamps."""
    assumed: bool = False
    """True when no line gave the zone and UTC is used instead."""
    skew: float = 0.0
    """Seconds by which it is behind ours, 0 if they agree."""
    replay_shift: float = 0.0
    """Seconds by which a replay of several logs shifts its times, so that all begin together."""

    def ours(self, time: float) -> float:
        """Return a time of the log in our clock."""
        return time + self.skew

    def own(self, moment: float) -> float:
        """Return a moment of our clock in the log's own."""
        return moment - self.skew

    def own_window(self, window: tuple[float, float]) -> tuple[float, float]:
        """Return a stretch of our clock in the log's own."""
        return self.own(window[0]), self.own(window[1])

    def age(self, time: float, moment: float) -> float:
        """Return how many seconds before a moment of our clock a time of the log was."""
        return self.own(moment) - time

    def stamp(self, time: float) -> float:
        """Return a time of the log as its file has it."""
        return time - self.replay_shift

    def of_stamp(self, stamp: float) -> float:
        """Return the time of the log for one in its file."""
        return stamp + self.replay_shift

    def seen(self, newest: float, arrived: float) -> LogClock:
        """Return the clock with its skew: its newest stamp came at `arrived` of our clock."""
        late = arrived - newest
        skew = late if abs(late) > TOLERATED_SECONDS else 0.0
        return self if skew == self.skew else replace(self, skew=skew)
