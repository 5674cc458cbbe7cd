"""Time zones as people write them: `Europe/Berlin`, `UTC`, `+05:30`."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone, tzinfo

from vllm_watch.core.mistakes import MOST_NAMED, SIMILAR, question
from vllm_watch.core.patterns import lazy

_OFFSET = lazy(r"(?a)([+-])(\d{1,2})(?::?(\d{2}))?")
_UTC_NAMES = frozenset({"utc", "z"})
_EAST_MOST = timedelta(hours=14)
"""No clock on earth is further ahead of UTC."""
_WEST_MOST = timedelta(hours=-12)
"""No clock on earth is further behind UTC."""
_LONGEST_NAME = 64
"""Longer text is cut in messages and gets no suggestions: all zone names are far shorter."""


def parse_zone(text: str) -> tzinfo:
    """Turn the name of a zone, or its offset, into a zone.

    Args:
        text: An IANA name (`Europe/Berlin`), `UTC`, `Z`, or an offset (`+02:00`, `-0530`, `+9`).

    Raises:
        ValueError: There is no such zone; the message names the nearest known ones.
    """
    name = text.strip()
    if name.lower() in _UTC_NAMES:
        return UTC
    if name[:1] in ("+", "-"):
        return _zone_from_offset(name)
    import zoneinfo  # 3 ms, and few name a zone

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        # OSError: the name of a folder of the zone database, such as "Europe", or a very long one.
        shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
        raise ValueError(f"{shown!r} is not a time zone: {_fix(name)}") from None


def _zone_from_offset(text: str) -> tzinfo:
    """Read `+HH:MM` and its short forms."""
    match = _OFFSET.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a UTC offset: write it as +02:00 or -05:30")
    sign, hours, minutes = match.groups(default="0")
    if int(minutes) > 59:
        raise ValueError(f"{text!r} is not a UTC offset: an hour has 60 minutes")
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    if not _WEST_MOST <= offset <= _EAST_MOST:
        raise ValueError(f"{text!r} is not a UTC offset: the range is -12:00 to +14:00")
    return timezone(offset) if offset else UTC


def _fix(name: str) -> str:
    """Return a hint: the names that may have been meant."""
    import zoneinfo

    known = zoneinfo.available_timezones()
    if not known:
        return "this machine has no zone database; write +02:00, or pip install tzdata"
    nearest = _nearest_zones(name, known)
    if not nearest:
        return "write an IANA name such as Europe/Berlin, or an offset such as +02:00"
    return question(nearest)


def _nearest_zones(name: str, known: set[str]) -> list[str]:
    """Return the zones whose name, or whose city, resembles the text."""
    if len(name) > _LONGEST_NAME:
        return []
    import difflib

    wanted = name.lower().replace(" ", "_")

    def similarity(zone: str) -> float:
        whole = zone.lower()
        return max(
            difflib.SequenceMatcher(None, wanted, candidate).ratio()
            for candidate in (whole, whole.rpartition("/")[2])
        )

    # Equally similar names are sorted by name: a set has no order.
    ranked = sorted((-similarity(zone), zone) for zone in known)[:MOST_NAMED]
    exact = [zone for score, zone in ranked if score == -1]
    return exact or [zone for score, zone in ranked if -score >= SIMILAR]
