"""Numbers and moments as a person reads them: units, thousands, – for unknown; ISO for files."""

from __future__ import annotations

import math
from datetime import date, datetime, tzinfo

DAY = 86_400.0
"""Seconds of a day: for older moments the date is shown as well."""
UNKNOWN = "–"
"""Shown for an unknown value; never 0."""


def rate(value: float | None) -> str:
    """Return tokens per second in full: `18,734`, `73.5`."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.1f}"


def short_rate(value: float | None) -> str:
    """Return a rate in at most five characters: `18.7k`, `734`."""
    if value is None:
        return UNKNOWN
    if value < 1_000:
        return f"{value:.0f}"
    if value < 1_000_000:
        thousands = value / 1_000
        return f"{thousands:.1f}k" if thousands < 99.95 else f"{thousands:.0f}k"
    return f"{value / 1_000_000:.1f}M"


def count(value: float | None) -> str:
    """Return a whole number."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def flag_value(value: object) -> str:
    """Return the value of any flag; thousands are separated from 10,000 (less may be a port)."""
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)


def percent(ratio: float | None) -> str:
    """Return a ratio 0…1 as per cent."""
    return UNKNOWN if ratio is None else f"{ratio * 100:.0f} %"


def percent_range(low: float, high: float) -> str:
    """Return two ratios as a range in per cent: `12–80 %`, one figure if they are the same."""
    first, last = percent(low), percent(high)
    return last if first == last else f"{first.removesuffix(' %')}–{last}"


def counted(number: int, what: str) -> str:
    """Return a number of things: `1 server`, `1,000 servers`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def duration(seconds: float | None) -> str:
    """Return a span of time in two units at most: `4 s`, `3 m 05 s`, `2 h 10 m`, `3 d 4 h`."""
    if seconds is None:
        return UNKNOWN
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} m"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def rough_span(seconds: float) -> str:
    """Return an estimated span of time: `45 s`, `37 min`, `2 h 05 min`, `3 d 4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    whole = round(seconds / 60)
    if whole < 90:
        return f"{whole} min"
    hours, rest = divmod(whole, 60)
    return f"{hours} h {rest:02d} min" if hours < 48 else f"{hours // 24:,} d {hours % 24} h"


def minutes(seconds: float) -> str:
    """Return a span of time in minutes: `40 s`, `1.5 min`, `21 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.{0 if seconds >= 600 else 1}f} min".replace(".0 ", " ")


def short_time(seconds: float | None) -> str:
    """Return an estimated time with two or three digits: `7.7 ms`, `340 ms`, `2.3 s`, `19 s`."""
    if seconds is None:
        return UNKNOWN
    if seconds >= 60:
        return duration(seconds)
    value, unit = (seconds, "s") if seconds >= 1 else (seconds * 1000, "ms")
    if value < 0.05:  # too small to show
        return "0 s"
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


def age(seconds: float | None) -> str:
    """Return an age in one unit: `4s`, `12m`, `3h`, `2d`."""
    if seconds is None:
        return UNKNOWN
    whole = max(0, int(seconds))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if whole >= 2 * size or (whole >= size and unit != "m"):
            return f"{whole // size}{unit}"
    return f"{whole}s"


def clock(time: float | None, tz: tzinfo, *, seconds: bool = True) -> str:
    """Return a moment as local clock time; a moment outside the calendar is unknown."""
    if time is None:
        return UNKNOWN
    try:
        moment = datetime.fromtimestamp(time, tz)
    except (ValueError, OverflowError, OSError):
        return UNKNOWN
    return moment.strftime("%H:%M:%S" if seconds else "%H:%M")


def iso(time: float | None, tz: tzinfo, timespec: str = "auto") -> str | None:
    """Return a moment as ISO 8601 with the offset of a zone, None if it is unknown or never."""
    if time is None or not math.isfinite(time):
        return None
    return datetime.fromtimestamp(time, tz).isoformat(timespec=timespec)


def day(time: float, tz: tzinfo) -> date | None:
    """Return the date of a moment, None outside the calendar."""
    try:
        return datetime.fromtimestamp(time, tz).date()
    except (ValueError, OverflowError, OSError):
        return None


def dated_clock(time: float | None, tz: tzinfo, beside: float) -> str:
    """Return a moment as clock time, with its date if it is on another day than `beside`."""
    known = None if time is None else day(time, tz)
    same = known is None or known == day(beside, tz)
    return clock(time, tz) if same else f"{known:%m-%d} {clock(time, tz)}"


def zone_name(time: float, tz: tzinfo) -> str:
    """Return the short name of the zone in which times are shown."""
    return datetime.fromtimestamp(time, tz).astimezone(tz).tzname() or ""
