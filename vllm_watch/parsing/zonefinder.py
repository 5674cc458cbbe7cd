"""Finds year and zone of a log's stamps: from other stamps, the file's time, or arrival times."""

from __future__ import annotations

from datetime import UTC, datetime

from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.patterns import lazy
from vllm_watch.parsing.outerstamps import outer_stamp
from vllm_watch.parsing.timestamps import (
    ASSUMED,
    FRESH_SECONDS,
    STAMP_LENGTH,
    StampClock,
    Zone,
    first_and_newest,
    moment,
    stamp_ends,
    year_of_first,
    zone_from_offset,
)

STEADY_SECONDS = 15.0
"""Two measured offsets agree if they differ by less; those of a log copied in bulk do not."""
APART_SECONDS = 8.0
"""They must lie this far apart."""


def clock_for(
    head: bytes,
    tail: bytes,
    modified: float,
    now: float,
    zone: Zone | None,
    year: int | None,
) -> StampClock | None:
    """Return the clock of a log from its beginning, its end and its modification time.

    `zone` and `year` are already known values. None if there is no line with a stamp yet.
    """
    first, newest = first_and_newest(head, tail)
    newest = newest or first
    pair = stamp_pair(tail) or stamp_pair(head)
    if pair is not None and first is not None and newest is not None:
        year = year or year_of_first(first, newest, pair.seen, UTC)
        found = zone_from_offset(pair.stamped, pair.seen) if pair.zoned else None
        if zone is None and found is not None:
            zone = Zone(found, "outer stamp")
    if year is None and first is not None:
        year = _year_beside(head, first)
    if first is None or newest is None:
        return None
    at = datetime.fromtimestamp(modified, UTC)
    if zone is None:
        zone = ASSUMED
        stamped = moment(newest, at.year, UTC)
        if stamped is not None and 0 <= now - modified < FRESH_SECONDS:
            found = zone_from_offset(stamped, at)
            zone = Zone(found, "modification time") if found else ASSUMED
    return StampClock(zone, year or year_of_first(first, newest, at, zone.tz))


_DATED = lazy(
    rb"\n(\d{4}-\d\d-\d\d)[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\s{1,4}"
    rb"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\s"
)
"""A line of another logger in the same log, with its year (Ray's).

It begins with a byte, not with `^`, so that a search only stops at the beginnings of lines.
"""
_DATE_END = lazy(rb"-\d\d-\d\d[T ]")
"""A text in every such line, which is found several times as fast."""


def _year_beside(head: bytes, first: bytes) -> int | None:
    """Return the year of the first stamp, from the nearest line with a date."""
    found = _DATED.search(b"\n" + head) if _DATE_END.search(head) else None
    if found is None:
        return None
    try:
        seen = datetime.fromisoformat(found.group(1).decode()).replace(tzinfo=UTC)
    except ValueError:
        return None
    at = _nearest(first, seen)
    return None if at is None else at.year


def _nearest(stamp: bytes, seen: datetime) -> datetime | None:
    """Return a stamp, read as UTC, in the year that brings it nearest to a moment."""
    candidates = (moment(stamp, seen.year + step, UTC) for step in (-1, 0, 1))
    known = [at for at in candidates if at is not None]
    return min(known, key=lambda at: abs(at - seen), default=None)


_LONGEST_PAIR = 512
"""A line's beginning with both stamps has fewer bytes than this: a line may be very long."""


class StampPair(NamedTuple):
    """Two stamps of one line."""

    stamped: datetime
    """The line's own stamp, read as UTC, in the year that brings it nearest to `seen`."""
    seen: datetime
    """The moment of the wrapper's stamp before it, read as UTC if that one has no zone."""
    zoned: bool
    """Whether the wrapper's stamp has a zone."""


def stamp_pair(piece: bytes) -> StampPair | None:
    """Return the stamps of the last line with two: the year counts back from the newest.

    The first is a wrapper's, with its year.
    """
    for end in reversed([*stamp_ends(piece)]):
        start = piece.rfind(b"\n", max(0, end - _LONGEST_PAIR), end) + 1
        if end - start > _LONGEST_PAIR:
            continue
        outer = outer_stamp(piece[start : end - STAMP_LENGTH])
        at = None if outer is None or not outer.year else outer.at(UTC)
        if outer is not None and at is not None:
            seen = datetime.fromtimestamp(at, UTC)
            nearest = _nearest(piece[end - STAMP_LENGTH : end], seen)
            if nearest is not None:
                return StampPair(nearest, seen, outer.zone is not None)
    return None


class ZoneFinder:
    """Watches stamps arrive until two offsets a while apart agree."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None

    def feed(self, stamp_as_utc: float, arrived: float) -> Zone | None:
        """Take the newest stamp (read as UTC) of lines that just arrived; return the zone if known.

        The stamps of a log that is played faster than it was written drift, so they never give a
        zone.
        """
        offset = stamp_as_utc - arrived
        if self._first is None or abs(self._first[1] - offset) > STEADY_SECONDS:
            self._first = (arrived, offset)
            return None
        if arrived - self._first[0] < APART_SECONDS:
            return None
        found = zone_from_offset(
            datetime.fromtimestamp(stamp_as_utc, UTC), datetime.fromtimestamp(arrived, UTC)
        )
        return Zone(found, "arrival") if found else None
