"""The stamps that wrappers write before a line: of containers, supervisors, the system's journal.

Each wrapper reads its own clock, in its own zone, when a line reaches it. What their stamps say
about lines of vLLM: `outerclock.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.patterns import lazy

LONGEST = 400
"""Bytes at a line's beginning in which a wrapper's stamp is searched."""
DAY = 86_400.0
_CLOCK = rb"(?<![\d:])(\d\d):(\d\d):(\d\d)(?:[.,:]\d{1,9})?"
_DATED = lazy(
    rb"(?<!\d)(\d{4})([-/])(\d\d)\2(\d\d)[T ]" + _CLOCK + rb"(?: ?(Z|UTC|GMT|[+-]\d\d:?\d\d)\b)?"
)
"""`2026-05-12T08:01:39.331Z`, `2026/05/12 08:01:39`, `2026-05-12 08:01:39 UTC`."""
_ISO = lazy(rb"20\d\d-[01]\d-[0-2]\dT[0-2]\d:[0-5]\d:[0-5]\d(?:[.]\d{1,9})?Z ")
"""The usual one of docker and kubectl, with a day that is in every month."""
_MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"
_YEARLESS = lazy(rb"\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) ([ \d]\d) " + _CLOCK)
"""`May 12 08:01:39`: syslog, `ts`."""
_ALONE = lazy(_CLOCK)
"""`08:01:39`: foreman, honcho, `ts %T`."""


class OuterStamp(NamedTuple):
    """The stamp of a wrapper, in whole seconds like vLLM's own."""

    year: int
    """0 where the stamp has none."""
    month: int
    """0 for a clock time without a date."""
    day: int
    seconds: int
    """Since midnight."""
    zone: tzinfo | None
    """The zone that it names."""

    @property
    def form(self) -> tuple[bool, bool, bool]:
        """Whether it has a year, a date, a zone: stamps of one wrapper have the same."""
        return self.year > 0, self.month > 0, self.zone is not None

    def at(self, tz: tzinfo, year: int = 0) -> float | None:
        """Return epoch seconds, read in `tz` unless it names a zone; None if there is no such day.

        A stamp without a date is read in the first days of 1970.
        """
        if not self.month:
            return float(self.seconds)
        try:
            day = datetime(self.year or year, self.month, self.day, tzinfo=self.zone or tz)
        except ValueError:
            return None
        return (day + timedelta(seconds=self.seconds)).timestamp()

    def since(self, other: OuterStamp, year: int) -> float | None:
        """Return the seconds from another stamp of the same form to this one.

        Without a year, this one is less than half a year before; `year` is that of the other. Of
        two clock times, it is less than an hour before, else on the next day at the latest.
        """
        begin, end = other.at(UTC, year), self.at(UTC, year)
        if not self.month and begin is not None and end is not None:
            return (end - begin + 3600.0) % DAY - 3600.0
        if not self.year and begin is not None and (end is None or end < begin - 183 * DAY):
            end = self.at(UTC, year + 1)
        return None if begin is None or end is None else end - begin


def outer_clock(text: bytes, start: int, end: int) -> bool:
    """Return whether `text[start:end]`, the beginning of a line, surely has a stamp."""
    return _ISO.match(text, start, end) is not None


def outer_stamp(head: bytes) -> OuterStamp | None:
    """Return the first stamp in the text before a line, the fullest form before the others."""
    if b":" not in head:
        return None
    if found := _DATED.search(head):
        year, _, month, day, hour, minute, second, zone = found.groups()
        tz = None if zone is None else _zone(zone)
        return _stamp(int(year), int(month), int(day), (hour, minute, second), tz)
    if found := _YEARLESS.search(head):
        name, day, *clock = found.groups()
        return _stamp(0, _MONTHS.index(name) // 3 + 1, int(day), clock, None)
    found = _ALONE.search(head)
    return None if found is None else _stamp(0, 0, 0, found.groups(), None)


def _stamp(
    year: int, month: int, day: int, clock: Sequence[bytes], zone: tzinfo | None
) -> OuterStamp | None:
    hour, minute, second = map(int, clock)
    if hour > 23 or minute > 59:
        return None
    return OuterStamp(year, month, day, hour * 3600 + minute * 60 + min(second, 59), zone)


def _zone(text: bytes) -> tzinfo:
    """Return the zone of `Z`, `UTC`, `+0530`, `+05:30`."""
    if text[:1] not in b"+-":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    offset = timedelta(minutes=-minutes if text[:1] == b"-" else minutes)
    return timezone(offset) if abs(offset) < timedelta(days=1) else UTC
