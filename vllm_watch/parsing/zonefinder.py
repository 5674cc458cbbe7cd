"""Finds year and zone of a log's stamps: from other stamps, the file's time, or arrival times."""

from __future__ import annotations

from datetime import UTC, datetime

from vllm_watch.core.hints import TYPE_CHECKING, NamedTuple
from vllm_watch.core.patterns import lazy
from vllm_watch.parsing.timestamps import (
    ASSUMED,
    FRESH_SECONDS,
    StampClock,
    Zone,
    first_and_newest,
    moment,
    stamp_ends,
    year_of_first,
    zone_from_offset,
)

if TYPE_CHECKING:
    import re

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
    outer = outer_stamp(tail) or outer_stamp(head)
    if outer is not None and first is not None and newest is not None:
        year = year or year_of_first(first, newest, outer.seen, UTC)
        found = zone_from_offset(outer.stamped, outer.seen) if outer.zoned else None
        if zone is None and found is not None:
            zone = Zone(found, "outer stamp")
    if year is None and first is not None:
        year = _year_beside(head, first)
    if newest is None:
        newest = first
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


_OUTER = lazy(
    rb"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,]\d{1,9})?(Z|[+-]\d\d:?\d\d)?[\]:]{0,2}\s"
    rb"[^\n]{0,300}?"
    rb"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)(?:\x1b\[[0-9;]{0,8}m){0,4} (?:\x1b\[[0-9;]{0,8}m)?"
    rb"(\d\d-\d\d \d\d:\d\d:\d\d)"
)
"""A container's or JSON logger's stamp, perhaps with a zone, before vLLM's own on a line."""
_OUTER_LENGTH = 48
"""Most bytes of such a stamp, with the blank or the line end after it."""
_HYPHENS = 3
"""Hyphens that two stamps and the text between them have at least."""
_LONGEST_PAIR = 512
"""Both stamps and the text between them have fewer bytes than this: a line may be very long."""


class OuterStamp(NamedTuple):
    """Two stamps of one line."""

    stamped: datetime
    """The line's own stamp, read as UTC, in the year that brings it nearest to `seen`."""
    seen: datetime
    """The moment of the outer stamp before it, read as UTC if that one has no zone."""
    zoned: bool
    """Whether the outer stamp has a zone."""


def outer_stamp(piece: bytes) -> OuterStamp | None:
    """Return the stamps of the last line with two: the year counts back from the newest."""
    ends = (_last_outer(piece, end) for end in reversed([*stamp_ends(piece)]))
    found = next((found for found in ends if found is not None), None)
    if found is None:
        return None
    zone = found.group(2)
    text = found.group(1).decode() + (zone or b"Z").decode().replace("Z", "+00:00")
    try:
        seen = datetime.fromisoformat(text)
    except ValueError:
        return None
    nearest = _nearest(found.group(3), seen)
    return None if nearest is None else OuterStamp(nearest, seen, zone is not None)


def _last_outer(piece: bytes, end: int) -> re.Match[bytes] | None:
    """Return the match of two stamps of which vLLM's own ends at a position, None without any."""
    near = max(0, end - _LONGEST_PAIR)
    start = max(near, piece.rfind(b"\n", near, end) + 1 - _OUTER_LENGTH)
    if piece.count(b"-", start, end) < _HYPHENS:
        return None
    found = None
    for found in _OUTER.finditer(piece, start, end):  # noqa: B007 - the last one is wanted
        pass
    return found if found is not None and found.end() == end else None


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
