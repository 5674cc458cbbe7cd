"""The lines of a log around a moment, searched in the file again: the evidence of a finding.

No offsets are kept while a log is read. The place is searched by its stamps: bisection over the
bytes, which reads some hundred kilobytes of a log of any size. Meant for a thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from pathlib import Path

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import BinaryIO, Literal, NamedTuple
from vllm_watch.core.records import Amendment, Event, Record, Requests, Sample
from vllm_watch.health.finding import Finding
from vllm_watch.parsing.access import AccessCounter, requests_of
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.outerstamps import LONGEST, outer_stamp
from vllm_watch.parsing.scanner import Scanner
from vllm_watch.parsing.text import shown
from vllm_watch.parsing.timestamps import StampClock, Zone, first_and_newest, moment
from vllm_watch.sources.paths import STDIN, is_stream
from vllm_watch.sources.troubles import open_trouble

LEAD = 10.0
"""Lines are shown from this many seconds before the moment: one stats interval of vLLM."""
MOST_LINES = 200
"""Most lines shown."""
MOST_EVIDENCE_LINES = 2
"""Lines of the log shown as evidence of a finding."""
BLOCK = 1 << 16
"""Bytes read at a time, and the width at which the bisection ends."""
_OVERLAP = 64
"""Bytes by which two reads overlap, so that no stamp is cut."""
_WITHOUT_STAMP = 4 << 20
"""The next stamp is searched in so many bytes."""
_MOST_READ = 32 << 20
"""Bytes read from that place; request lines beyond them are not counted."""
_LONGEST = 1 << 16
_REQUESTS_SHOWN = 2
"""Request lines in a row that are shown; for more, their number."""

Kind = Literal["stats", "error", "event", "request", "line", "skipped"]


class LogLine(NamedTuple):
    """One line of a log."""

    kind: Kind
    text: str
    """Safe to show: control characters are removed."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Lines of a log around a moment."""

    lines: tuple[LogLine, ...] = ()
    trouble: str = ""
    """Why there are no lines, in one line."""
    more: bool = False
    """True if there are further lines of that time."""


def evidence_lines(finding: Finding, lines: Sequence[LogLine]) -> list[LogLine]:
    """Return the errors or stats lines that show a finding, around its beginning."""
    kinds = ("stats",) if finding.metric is not None else ("error", "event")
    found = [line for line in lines if line.kind in kinds]
    if finding.engine is not None:
        found = [line for line in found if f"Engine {finding.engine:03d}" in line.text] or found
    if kinds != ("stats",):
        errors = [line for line in found if line.kind == "error"]
        found = errors[:1] + (errors[-1:] if len(errors) > 1 else []) or found[-1:]
    return found[-MOST_EVIDENCE_LINES:]


def excerpt(path: str, since: float, until: float, tz: tzinfo, formats: Formats) -> Excerpt:
    """Return the lines of a log from `LEAD` seconds before `since` to `until` (epoch seconds).

    Stamps are read in the zone `tz`, in the year closest to `since`. Requests in a row are replaced
    by their number, so that stats lines are not crowded out.
    """
    if is_stream(path):
        what = "standard input" if path == STDIN else path
        return Excerpt(trouble=f"{what} cannot be read again")
    start = since - LEAD
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            offset = _place(file, size, start, tz)
            return _lines(file, offset, (start, until), tz, formats)
    except FileNotFoundError:
        return Excerpt(trouble=f"{path}: is gone, so its lines cannot be shown")
    except OSError as error:
        return Excerpt(trouble=open_trouble(path, error))


def stamp_time(stamp: bytes, near: float, tz: tzinfo) -> float | None:
    """Return the moment of `MM-DD HH:MM:SS` in the year closest to `near`."""
    year = datetime.fromtimestamp(near, tz).year
    found = (moment(stamp, candidate, tz) for candidate in (year - 1, year, year + 1))
    times = [at.timestamp() for at in found if at is not None]
    return min(times, key=lambda time: abs(time - near), default=None)


def _place(file: BinaryIO, size: int, start: float, tz: tzinfo) -> int:
    """Return an offset at most `BLOCK` before the first stamp from `start` on."""
    low, high = 0, size
    while high - low > BLOCK:
        middle = (low + high) // 2
        time = _next_stamp(file, middle, min(high, middle + _WITHOUT_STAMP), start, tz)
        if time is None or time >= start:
            high = middle
        else:
            low = middle
    return low


def _next_stamp(file: BinaryIO, begin: int, end: int, near: float, tz: tzinfo) -> float | None:
    """Return the time of the first stamp between two offsets."""
    while begin < end:
        file.seek(begin)
        data = file.read(min(BLOCK, end - begin) + _OVERLAP)
        first, _ = first_and_newest(data, b"")
        if first is not None:
            return stamp_time(first, near, tz)
        if not data:
            return None
        begin += BLOCK
    return None


def _lines(
    file: BinaryIO, offset: int, window: tuple[float, float], tz: tzinfo, formats: Formats
) -> Excerpt:
    """Return the lines of a window, read from an offset at or before it."""
    start, until = window
    file.seek(offset)
    if offset:
        file.readline(_LONGEST)  # the rest of a line before the window
    year = datetime.fromtimestamp(start, tz).year
    times = _Times(Scanner(formats, StampClock(Zone(tz, "given"), year)), start)
    kept = _Kept()
    first = None
    counter = AccessCounter(formats.access)
    for raw in _raw_lines(file):
        # Most lines of a busy server have no stamp: this check is faster than the search.
        counted = None if b".py:" in raw else counter.count(raw, 0, len(raw))
        requests = requests_of(counted, None) if counted else None
        if requests is not None:
            time = times.of(raw) if requests.failing else None
            if time is not None and time > until:
                break
            kept.inside = kept.inside or (time is not None and time >= start)
            if kept.inside and not kept.take(raw, [requests]):
                return Excerpt(kept.lines(), more=True)
            continue
        time = times.of(raw)
        if time is not None:
            first = time if first is None else first
            if time > until:
                break
            kept.inside = kept.inside or time >= start
        if kept.inside and not kept.take(raw, times.scanner.scan(raw).records):
            return Excerpt(kept.lines(), more=True)
    lines = kept.lines()
    if not lines:
        begun = first is not None and first > until
        why = "was started again after that time" if begun else "has no line of that time"
        return Excerpt(trouble=f"{file.name}: {why}")
    return Excerpt(lines)


def _raw_lines(file: BinaryIO) -> Iterator[bytes]:
    left = _MOST_READ
    while left > 0 and (raw := file.readline(_LONGEST)):
        left -= len(raw)
        yield raw


class _Times:
    """The times of lines, which are asked for one after the other."""

    def __init__(self, scanner: Scanner, near: float) -> None:
        """`scanner` knows the zone; stamps are in the year closest to `near`."""
        self.scanner = scanner
        self._near = near
        self._newest = b""
        """The newest line with vLLM's stamp, if the scanner has not read it."""

    def of(self, line: bytes) -> float | None:
        """Return when a line was written, by vLLM's stamp or a wrapper's; None if neither says."""
        stamp, _ = first_and_newest(line, b"")
        if stamp is not None:
            self._newest = line
            return stamp_time(stamp, self._near, self.scanner.clock.zone.tz)
        if outer_stamp(line[:LONGEST]) is None:
            return None
        if self._newest:
            self.scanner.scan(self._newest)
            self._newest = b""
        return self.scanner.outer.written(line, len(line) - 1)


class _Kept:
    """Lines to show, with requests in a row counted."""

    def __init__(self) -> None:
        self.inside = False
        """True once the window has begun."""
        self._lines: list[LogLine] = []
        self._requests = 0

    def take(self, raw: bytes, records: list[Record]) -> bool:
        """Add a line; False if there is no room for it."""
        kind = _kind(records)
        if kind == "request":
            self._requests += 1
            if self._requests > _REQUESTS_SHOWN:
                return True
        else:
            self._close()
        text = shown(raw)
        if not text:
            return True
        if len(self._lines) >= MOST_LINES:
            return False
        self._lines.append(LogLine(kind, text))
        return True

    def lines(self) -> tuple[LogLine, ...]:
        self._close()
        return tuple(self._lines)

    def _close(self) -> None:
        """End a series of requests."""
        hidden = self._requests - _REQUESTS_SHOWN
        if hidden > 0:
            self._lines.append(LogLine("skipped", f"… {hidden:,} more request{'s' * (hidden > 1)}"))
        self._requests = 0


def _kind(records: list[Record]) -> Kind:
    """Return the kind of a line by its records."""
    for record in records:
        if isinstance(record, Sample | Amendment):
            return "stats"
        if isinstance(record, Event):
            return "error" if record.level in ("ERROR", "CRITICAL") else "event"
        if isinstance(record, Requests):
            return "request"
    return "line"
