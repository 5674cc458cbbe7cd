"""The clock of a log from its recording, whose rows have a year and a zone."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, tzinfo

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.recorded import RECORDING
from vllm_watch.parsing.timestamps import first_and_newest, moment
from vllm_watch.sources.paths import recordings_of

_PEEK = 16_384
_BEFORE = timedelta(minutes=2)
"""A log's newest line may be this long before the first row: the recorder began after it."""
_AFTER = timedelta(days=1)
"""It may be this long after the last row: the recorder ended before its server."""


@dataclass(frozen=True, slots=True)
class RecordedClock:
    """When a log was recorded, by a clock with year and zone."""

    tz: tzinfo
    """Offset of the recorder's zone: it ran on the server's node."""
    first: datetime
    last: datetime

    def fits(self, newest: datetime) -> bool:
        """Return whether a log with this newest stamp can have been recorded then."""
        return self.first - _BEFORE <= newest <= self.last + _AFTER


def recorded_clock(log: str, head: bytes, tail: bytes) -> RecordedClock | None:
    """Return the clock of the recording beside a log, None if none fits its stamps.

    `head` and `tail` are the log's beginning and end.
    """
    path = next((one for one in recordings_of(log) if one.endswith(RECORDING)), None)
    span = _span(path) if path is not None else None
    _, newest = first_and_newest(head, tail)
    if span is None or newest is None:
        return None
    stamped = moment(newest, span.last.year, span.tz)
    return span if stamped is not None and span.fits(stamped) else None


def _span(path: str) -> RecordedClock | None:
    """Return when the first and the last row of a recording were written."""
    try:
        with open(path, "rb") as file:
            head = file.read(_PEEK)
            file.seek(max(0, os.path.getsize(path) - _PEEK))
            tail = file.read()
    except OSError:
        return None
    first = next((at for line in head.splitlines() if (at := _time(line))), None)
    last = next((at for line in reversed(tail.splitlines()) if (at := _time(line))), None)
    if first is None or last is None or first.tzinfo is None:
        return None
    return RecordedClock(first.tzinfo, first, last)


def _time(line: bytes) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(json.loads(line)["time"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return time if time.tzinfo is not None else None
