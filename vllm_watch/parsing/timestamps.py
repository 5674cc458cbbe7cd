"""Turns stamps without year or zone into times.

vLLM writes `MM-DD HH:MM:SS` in the server's local time. The year comes from the file's modification
time, New Year is detected as lines pass, and the zone is given, found or assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.patterns import lazy

_STAMP = lazy(
    rb"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)(?:\x1b\[[0-9;]{0,8}m){0,4} (?:\x1b\[[0-9;]{0,8}m)?"
    rb"(\d\d-\d\d \d\d:\d\d:\d\d)"
)
"""A vLLM stamp after its level, anywhere in a piece of a log."""
_LONGEST_STAMP = 96
"""Most bytes of it, with all colours."""
_STAMP_END = lazy(rb"-\d\d \d\d:\d\d:\d\d")
"""The end of a stamp. It begins with a byte, which is found 50 times as fast as a level is."""

NEWEST_AHEAD = timedelta(days=1)
"""The newest stamp may be this much later than the file's modification: clocks differ."""
FRESH_SECONDS = 300.0
"""A modification time this recent may give the zone."""
QUARTER = 900.0
"""Offsets from UTC are multiples of a quarter of an hour."""
_HALVES = (-9.5, -3.5, -2.5, 3.5, 4.5, 5.5, 5.75, 6.5, 8.75, 9.5, 10.5, 12.75, 13.75)
REAL_OFFSETS = frozenset(3600.0 * hours for hours in (*range(-12, 15), *_HALVES))
"""Offsets from UTC that are in use somewhere (IANA zone database, 2026).

A log that is a quarter of an hour old must not be mistaken for a log from another zone.
"""
OFFSET_TOLERANCE = 120.0
"""A measured offset counts if it is this close to a quarter."""
_LEAP_YEARS_BACK = 8
MANY_STAMPS = 64
"""Fewest stamps that are read faster as columns than one by one."""
STAMP_LENGTH = len(b"11-23 09:05:08")
MOST_HOURS = 64
"""Most hours whose beginnings are cached."""


@dataclass(frozen=True, slots=True)
class Zone:
    """The zone of a log's stamps, and how it is known."""

    tz: tzinfo
    """The zone itself."""
    source: str
    """`given`, `capture`, `recording`, `outer stamp`, `arrival`, `modification time`, `assumed`."""

    @property
    def assumed(self) -> bool:
        """True when no line gave the zone and UTC is used instead."""
        return self.source == "assumed"


ASSUMED = Zone(UTC, "assumed")
"""UTC, since no line gave the zone: containers usually write it."""


def stamp_parts(stamp: bytes) -> tuple[int, int, int, int, int]:
    """Return month, day, hour, minute, second of `MM-DD HH:MM:SS`."""
    return int(stamp[0:2]), int(stamp[3:5]), int(stamp[6:8]), int(stamp[9:11]), int(stamp[12:14])


def first_and_newest(head: bytes, tail: bytes) -> tuple[bytes | None, bytes | None]:
    """Return the first stamp of a file's beginning and the last stamp of its end."""
    first = next(stamp_ends(head), None)
    newest = max(stamp_ends(tail), default=None)
    return (
        None if first is None else head[first - STAMP_LENGTH : first],
        None if newest is None else tail[newest - STAMP_LENGTH : newest],
    )


def has_stamp(piece: bytes) -> bool:
    """Return whether a piece of a log has a vLLM stamp."""
    return next(stamp_ends(piece), None) is not None


def stamp_ends(piece: bytes) -> Iterator[int]:
    """Yield where the vLLM stamps in a piece of a log end."""
    for found in _STAMP_END.finditer(piece):
        if is_stamp(piece, found.end() - STAMP_LENGTH):
            yield found.end()


def is_stamp(piece: bytes, at: int) -> bool:
    """Return whether the text at a position of a piece of a log is a vLLM stamp after its level."""
    end = at + STAMP_LENGTH
    near = _STAMP.finditer(piece, max(0, end - _LONGEST_STAMP), end)
    return any(found.end() == end for found in near)


def moment(stamp: bytes, year: int, tz: tzinfo) -> datetime | None:
    """Return the time of a stamp in a year, or None if there is no such day."""
    month, day, hour, minute, second = stamp_parts(stamp)
    try:
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=tz)
    except ValueError:
        return None


def year_of_first(first: bytes, newest: bytes, modified: datetime, tz: tzinfo) -> int:
    """Return the year of a log's first stamp.

    The newest stamp gets the latest year in which it is at most a day after the modification time.
    If the first one is later in the calendar, New Year passed between the two.
    """
    limit = modified + NEWEST_AHEAD
    year = limit.astimezone(tz).year
    for candidate in range(year, year - _LEAP_YEARS_BACK, -1):
        at = moment(newest, candidate, tz)
        if at is not None and at <= limit:
            year = candidate
            break
    wrapped = stamp_parts(first)[:2] > stamp_parts(newest)[:2]
    crosses = stamp_parts(first)[0] - stamp_parts(newest)[0]
    return year - 1 if wrapped and crosses > 0 else year


def zone_from_offset(stamped: datetime, seen: datetime) -> tzinfo | None:
    """Return the zone in which `stamped` (read as UTC) is the time `seen`, or None.

    The difference must be within two minutes of an offset in use, −12 … +14 h.
    """
    offset = (stamped - seen).total_seconds()
    rounded = round(offset / QUARTER) * QUARTER
    if abs(offset - rounded) > OFFSET_TOLERANCE or rounded not in REAL_OFFSETS:
        return None
    return UTC if rounded == 0 else timezone(timedelta(seconds=rounded))


class ClockState(NamedTuple):
    """What the times of further stamps depend on, beside the zone."""

    year: int
    month: int
    """That of the newest stamp, 0 before the first."""
    repeated: bytes
    """The hour that occurs twice, if it is read for the second time."""
    newest: float | None
    """The newest time, epoch seconds."""


class StampClock:
    """Turns the stamps of one log, in file order, into epoch seconds."""

    def __init__(self, zone: Zone, year: int) -> None:
        """Start with the zone and the year of the first stamp."""
        self.zone = zone
        self.year = year
        self.newest: float | None = None
        self._month = 0
        self._hours: dict[bytes, tuple[float, float]] = {}
        self._repeated = b""

    def state(self) -> ClockState:
        """Return what the times of further stamps depend on, beside the zone."""
        return ClockState(self.year, self._month, self._repeated, self.newest)

    def continue_from(self, state: ClockState) -> None:
        """Continue from the state of another clock of the same zone."""
        if state.year != self.year:
            self._hours.clear()
        self.year, self._month, self._repeated, self.newest = state

    def skipped_to(self, stamp: bytes) -> ClockState:
        """Return its likely state before a later stamp, with at most one New Year between them."""
        month = int(stamp[0:2])
        return ClockState(self.year + (month < self._month), month, b"", self.newest)

    def resolve(self, stamp: bytes) -> float | None:
        """Return epoch seconds of a stamp, or None if there is no such time.

        Counts New Year where the month jumps between 12 and 1; in the hour that summer time
        repeats, order decides.
        """
        month = int(stamp[0:2])
        if not 1 <= month <= 12:
            return None
        if month != self._month:
            if self._month == 12 and month == 1:
                self.year += 1
                self._hours.clear()
            elif self._month == 1 and month == 12:
                self.year -= 1
                self._hours.clear()
            self._month = month
        hours = self._hours.get(stamp[:8])
        if hours is None:
            hours = self._hour(stamp)
            if hours is None:
                return None
            if len(self._hours) >= MOST_HOURS:
                self._hours.clear()
            self._hours[stamp[:8]] = hours
        seconds = int(stamp[9:11]) * 60 + int(stamp[12:14])
        time = hours[0] + seconds
        if hours[1] != hours[0] and self.newest is not None:
            if time < self.newest - QUARTER:
                self._repeated = stamp[:8]
            if self._repeated == stamp[:8]:
                time = hours[1] + seconds
        if self.newest is None or time > self.newest:
            self.newest = time
        return time

    def resolve_all(self, stamps: Sequence[bytes | None]) -> list[float | None]:
        """Return the same as `resolve` for stamps in file order, many of them at once."""
        known = [stamp for stamp in stamps if stamp is not None]
        times = self.resolve_row(b"".join(known))
        if len(known) == len(stamps):
            return times
        each = iter(times)
        return [None if stamp is None else next(each) for stamp in stamps]

    def resolve_row(self, stamps: bytes) -> list[float | None]:
        """Return the same for stamps one after the other; many of them one hour at a time."""
        count = len(stamps) // STAMP_LENGTH
        if count < MANY_STAMPS:
            each = range(0, len(stamps), STAMP_LENGTH)
            return [self.resolve(stamps[at : at + STAMP_LENGTH]) for at in each]
        import numpy as np  # only large blocks have so many, and these need it anyway

        text = np.frombuffer(stamps, np.uint8).reshape(count, STAMP_LENGTH)
        hours = np.ndarray((count,), "<u8", stamps, strides=(STAMP_LENGTH,))
        digits = text[:, [9, 10, 12, 13]] - 48.0
        seconds = digits @ np.array([600.0, 60.0, 10.0, 1.0])
        ends = [*(np.flatnonzero(np.diff(hours)) + 1).tolist(), count]
        times: list[float | None] = []
        for start, end in zip([0, *ends], ends, strict=False):
            stamp = stamps[start * STAMP_LENGTH : (start + 1) * STAMP_LENGTH]
            first = self.resolve(stamp)
            known = self._hours.get(stamp[:8])
            if first is None or known is None or known[0] != known[1]:  # or the hour occurs twice
                rest = range((start + 1) * STAMP_LENGTH, end * STAMP_LENGTH, STAMP_LENGTH)
                times += [first, *(self.resolve(stamps[at : at + STAMP_LENGTH]) for at in rest)]
                continue
            some = known[0] + seconds[start:end]
            self.reached(some.max().item())
            times += some.tolist()
        return times

    def reached(self, time: float | None) -> None:
        """Note a time, if it is the newest."""
        if time is not None and (self.newest is None or time > self.newest):
            self.newest = time

    def again(self, stamp: bytes) -> float | None:
        """Return the time of a stamp that was resolved before; it does not become the newest."""
        hours = self._hours.get(stamp[:8])
        if hours is None:
            year = self.year - (self._month == 1 and stamp[:2] == b"12")
            at = moment(stamp, year, self.zone.tz)
            return None if at is None else at.timestamp()
        seconds = int(stamp[9:11]) * 60 + int(stamp[12:14])
        return hours[self._repeated == stamp[:8]] + seconds

    def near(self, stamp: bytes, time: float) -> float | None:
        """Return the time of another program's stamp in the year that brings it nearest to one."""
        years = (self.year - 1, self.year, self.year + 1)
        found = (moment(stamp, year, self.zone.tz) for year in years)
        times = [at.timestamp() for at in found if at is not None]
        return min(times, key=lambda at: abs(at - time), default=None)

    def resolve_full(self, stamp: bytes) -> float | None:
        """Return epoch seconds of `YYYY-MM-DD HH:MM:SS`: other servers write the year."""
        if not stamp[:4].isdigit():
            return None
        if int(stamp[:4]) != self.year:
            self.year, self._month = int(stamp[:4]), 0
            self._hours.clear()
        return self.resolve(stamp[5:])

    def rezone(self, zone: Zone) -> float:
        """Read further stamps in another zone; return the seconds by which earlier ones move."""
        newest = datetime.fromtimestamp(self.newest or 0.0, self.zone.tz)
        shift = newest.replace(tzinfo=zone.tz).timestamp() - newest.timestamp()
        self.zone = zone
        self._hours.clear()
        if self.newest is not None:
            self.newest += shift
        return shift

    def _hour(self, stamp: bytes) -> tuple[float, float] | None:
        """Return the beginning of a stamp's hour, before and after summer time ends."""
        start = moment(stamp[:8] + b":00:00", self.year, self.zone.tz)
        if start is None:
            return None
        return start.timestamp(), start.replace(fold=1).timestamp()
