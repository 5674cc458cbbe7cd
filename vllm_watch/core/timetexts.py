"""Times as people write them on a command line (one grammar for all commands)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import Literal
from vllm_watch.core.patterns import lazy

_DATE = lazy(r"(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?)?", re.ASCII)
_CLOCK = lazy(r"(\d{1,2}):(\d\d)(?::(\d\d))?", re.ASCII)
_SPAN = lazy(r"(\d+(?:\.\d+)?)(s|m|min|h|d)", re.ASCII)
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

GRAMMAR = "write 2026-11-23 09:05, 09:05, 10m (ten minutes back) or +10m (after the beginning)"
"""How times are written; shown in every error about a time."""


@dataclass(frozen=True, slots=True)
class TimeText:
    """A time as written, not yet placed in a log."""

    kind: Literal["date", "clock", "ago", "after"]
    seconds: float = 0.0
    """For `ago` and `after`: the span. For `clock`: seconds after midnight."""
    date: datetime | None = None
    """For `date`: the naive moment."""


def parse_time(text: str) -> TimeText:
    """Read a time.

    Raises:
        ValueError: it is not one; the message shows the grammar.
    """
    stripped = text.strip()
    try:
        if found := _DATE.fullmatch(stripped):
            parts = [int(part) for part in found.groups(default="0")]
            return TimeText("date", date=datetime(*parts))  # type: ignore[arg-type]  # noqa: DTZ001
        if found := _CLOCK.fullmatch(stripped):
            hours, minutes, seconds = (int(part) for part in found.groups(default="0"))
            if hours < 24 and minutes < 60 and seconds < 60:
                return TimeText("clock", hours * 3600.0 + minutes * 60 + seconds)
    except ValueError:
        pass
    if found := _SPAN.fullmatch(stripped.removeprefix("+")):
        seconds_long = float(found.group(1)) * _SECONDS[found.group(2)]
        return TimeText("after" if stripped.startswith("+") else "ago", seconds_long)
    raise ValueError(f"{text!r} is not a time: {GRAMMAR}")


def place_time(time: TimeText, first: float, newest: float, reference: float, tz: tzinfo) -> float:
    """Return epoch seconds of a time in a log that reaches from `first` to `newest`.

    `ago` counts from `reference`: now when watching, the newest sample elsewhere. A bare clock time
    is the newest such moment in the log.
    """
    if time.kind == "after":
        return first + time.seconds
    if time.kind == "ago":
        return reference - time.seconds
    if time.date is not None:
        return time.date.replace(tzinfo=tz).timestamp()
    day = datetime.fromtimestamp(newest, tz).replace(hour=0, minute=0, second=0, microsecond=0)
    moment = (day + timedelta(seconds=time.seconds)).timestamp()
    return (
        moment if moment <= newest else (day + timedelta(days=-1, seconds=time.seconds)).timestamp()
    )


def since_words(since: float | None, now: float, tz: tzinfo | None = None) -> str:
    """Return ` (since 12:03)` to append to a problem, "" if its beginning is not known.

    The date is added if it is not today. Times are in `tz`, by default this machine's zone.
    """
    if since is None:
        return ""
    began, today = (datetime.fromtimestamp(at, UTC).astimezone(tz) for at in (since, now))
    day = "" if began.date() == today.date() else "%m-%d "
    return f" (since {began:{day}%H:%M})"
