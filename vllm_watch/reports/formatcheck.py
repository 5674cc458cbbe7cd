"""`formats check`: which lines of a log, and which parts of stats lines, no format reads.

A tool for finding gaps, so it goes line by line; but every line passes through the same `Scanner`
as in all other commands, so that the result is the same.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import tzinfo

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.hints import TypeVar
from vllm_watch.core.records import TRACEBACK, Amendment, Event, Record, Requests, Sample
from vllm_watch.ingest import PEEK
from vllm_watch.parsing.envelope import ANCHOR, LONGEST_HEAD, Envelope
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.scan import Scan
from vllm_watch.parsing.scanner import Scanner
from vllm_watch.parsing.streams import Streams
from vllm_watch.parsing.text import LONGEST_MESSAGE, shown
from vllm_watch.parsing.timestamps import ASSUMED, StampClock, Zone
from vllm_watch.parsing.tracebacks import TRACEBACK_BYTES
from vllm_watch.parsing.zonefinder import clock_for
from vllm_watch.sources.capture import capture_of
from vllm_watch.sources.commands import CommandOutput
from vllm_watch.sources.compressed import SavedArchive, end_of, is_compressed
from vllm_watch.sources.follower import Follower
from vllm_watch.sources.paths import STDIN, is_stream
from vllm_watch.sources.standard_input import StandardInput

_Reader = Follower | SavedArchive | StandardInput | CommandOutput

CLASSES = (
    "stats",
    "companions",
    "access",
    "events",
    "envelope_only",
    "opaque",
    "known",
    "continuations",
    "blank",
    "unread",
)
"""Classes of lines; every line has exactly one."""

MOST_SHAPES = 20_000
"""Distinct shapes kept per file; lines of further shapes are only counted."""

_Key = TypeVar("_Key", str, tuple[bool, str])
_LONGEST_SHAPE = 300
_NO_TEXT = b" \t\r\n\0"
_SHAPES = (
    (
        re.compile(r"\bhttps?://[^\s'\"]{1,2000}|(?:~|\.{1,2})?(?:/[\w.@+%:=-]{1,255}){2,64}/?"),
        "<path>",
    ),
    (re.compile(r"\b(?:0x[0-9a-fA-F]{1,64}|(?=[a-f]{0,64}\d)[0-9a-f]{8,64})\b"), "<hex>"),
    (re.compile(r"\d+(?:[.,:]\d+){0,16}"), "#"),
    (re.compile(r"[\u2580-\u259f][\u2580-\u259f ]{0,300}|(?<=\|) {1,300}(?=\|)"), "▒"),
    (re.compile(r"([-=*_.~])\1{3,}"), r"\1\1\1"),
    (re.compile(r"\s{1,300}"), " "),
)


@dataclass(slots=True)
class Shape:
    """Lines that differ only in numbers and paths."""

    text: str
    first: int
    """Number of the first such line."""
    example: str
    """That line, safe to show."""
    envelope: bool
    """Whether its envelope is known, so that only its message is not read."""
    stats_like: bool = False
    """Whether the line looks like a stats line."""
    count: int = 1


@dataclass(slots=True)
class FileCheck:
    """The result for one file."""

    path: str
    twin: bool = False
    lines: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    """Lines of class `events` by the kind of the event."""
    stats_unread: int = 0
    """Stats lines that gave no sample: must be 0."""
    shapes: dict[tuple[bool, str], Shape] = field(default_factory=dict)
    parts: dict[str, Shape] = field(default_factory=dict)
    """Parts of stats lines and their companions that are not read, by their shape."""
    beyond: int = 0
    """Lines that are only counted, since there were too many shapes."""
    trouble: str | None = None

    def ranked(self, *, envelope: bool) -> list[Shape]:
        """Return the unread shapes: stats-like ones, then the most frequent first."""
        chosen = [shape for shape in self.shapes.values() if shape.envelope == envelope]
        return sorted(chosen, key=lambda shape: (not shape.stats_like, -shape.count, shape.first))

    @property
    def ranked_parts(self) -> list[Shape]:
        """The unread parts, the most frequent first."""
        return sorted(self.parts.values(), key=lambda shape: (-shape.count, shape.first))


def check_file(
    path: str, formats: Formats, *, twin: bool, tz: tzinfo | None, words: Sequence[str]
) -> FileCheck:
    """Read a file, or the output of a command given by its words, line by line."""
    check = FileCheck(path, twin)
    reader = _reader(path, words)
    liner: _Liner | None = None
    for chunk in _chunks(reader):
        clock = None
        if liner is None or liner.scanner.clock.newest is None:
            clock = _clock(path, chunk, tz)
        if liner is None:
            liner = _Liner(formats, clock or StampClock(ASSUMED, time.gmtime().tm_year), check)
        elif clock is not None:
            liner.scanner.clock = clock
        start = 0
        while start < len(chunk):
            end = chunk.find(b"\n", start) + 1 or len(chunk)
            liner.take(chunk[start:end])
            start = end
    check.trouble = reader.trouble
    reader.close()
    return check


def _reader(path: str, words: Sequence[str]) -> _Reader:
    if path == STDIN:
        return StandardInput(wait=True)
    if words:
        return CommandOutput(path, words, wait=True)
    return SavedArchive(path) if is_compressed(path) else Follower(path)


def _chunks(reader: _Reader) -> Iterator[bytes]:
    for chunk in reader.read():
        yield chunk.data
    for chunk in reader.finish():
        yield chunk.data


def _clock(path: str, head: bytes, tz: tzinfo | None) -> StampClock | None:
    """Return the clock that a reader of the log would use, which has the year of a leap day."""
    now = modified = time.time()
    tail, capture = head, capture_of(path)
    if not is_stream(path):
        with suppress(OSError), open(path, "rb") as file:
            status = os.fstat(file.fileno())
            file.seek(max(0, status.st_size - PEEK))
            tail, modified = file.read(PEEK), status.st_mtime
            if is_compressed(path):
                tail = end_of(path, PEEK)
    zone = Zone(tz, "given") if tz else Zone(capture.tz, "capture") if capture.tz else None
    return clock_for(head, tail or head, modified, now, zone, capture.year)


class _Liner:
    """Classifies the lines in order."""

    def __init__(self, formats: Formats, clock: StampClock, check: FileCheck) -> None:
        self.scanner = Scanner(formats, clock, twin=check.twin)
        self._formats = formats
        self._streams = Streams(formats.unwrapper)
        self._check = check
        self._in_traceback = False
        self._traceback_site: tuple[str, str, bytes] | None = None
        """The envelope whose message is a traceback at the moment."""

    def take(self, raw: bytes) -> None:
        """Read one line and count it."""
        check = self._check
        check.lines += 1
        raw = next((lines for _, lines in self._streams.read(raw)), raw)
        scan = self.scanner.scan(raw)
        check.stats_unread += scan.stats_like
        plain = self._formats.unwrapper.plain(raw)
        what = self._by_records(scan, plain) or self._by_text(plain)
        if scan.stats_like and what != "stats":
            what = "unread"
        check.classes[what] += 1
        if what in ("unread", "envelope_only") or scan.stats_like:
            self._remember(plain, scan)
        elif what in ("stats", "companions"):
            for text, part in {shape_of(one): one for one in self._unread_parts(plain)}.items():
                self._count(check.parts, text, Shape(text, check.lines, part, envelope=True))

    def _by_records(self, scan: Scan, plain: bytes) -> str | None:
        """Return the class of a line from the scanner's records, None without records."""
        inside = self._in_traceback
        records: list[Record] = []
        for record in scan.records:
            if isinstance(record, Event) and record.kind == "traceback":
                self._in_traceback = False
                inside = record.text.splitlines()[-1] == (self._bare(plain) or None)
            else:
                records.append(record)
        for kind, name in ((Sample, "stats"), (Amendment, "companions")):
            if any(isinstance(record, kind) for record in records):
                return name
        event = next((record for record in records if isinstance(record, Event)), None)
        if event is not None:
            return self._event(event)
        if any(isinstance(record, Requests) for record in records):
            return "access"
        if TRACEBACK_BYTES in plain and self._bare(plain).startswith(TRACEBACK):
            self._in_traceback = True
            self._check.kinds["traceback"] += 1
            return "events"
        return "continuations" if inside else None

    def _event(self, event: Event) -> str:
        if event.continues:
            return "continuations"
        self._check.kinds[event.kind] += 1
        return "events"

    def _by_text(self, plain: bytes) -> str:
        """Return the class of a line without records."""
        if not plain.strip(_NO_TEXT) or not self._bare(plain).strip():
            return "blank"
        envelope, body = self._split(plain)
        if envelope is not None and self._formats.is_opaque(envelope.file, body):
            return "opaque"
        if self._formats.is_known(shown(plain)):
            return "known"
        if envelope is None:
            return "unread"
        return self._message(envelope, shown(body))

    def _message(self, envelope: Envelope, text: str) -> str:
        """Return the class of a message that no format reads: tracebacks repeat their envelope."""
        site = (envelope.process, envelope.file, envelope.stamp)
        if site == self._traceback_site and text:
            return "continuations"
        begins = text.startswith(TRACEBACK)
        self._traceback_site = site if begins or site == self._traceback_site else None
        return "envelope_only" if text.strip() else "blank"

    def _split(self, plain: bytes) -> tuple[Envelope | None, bytes]:
        """Return the envelope of a line and what follows it, as the scanner looks for it."""
        for anchor in ANCHOR.finditer(plain):
            end = anchor.end()
            envelope = self._formats.envelope.read(plain[max(0, end - LONGEST_HEAD) : end])
            if envelope is not None:
                return envelope, plain[end : end + LONGEST_MESSAGE]
        return None, plain

    def _bare(self, plain: bytes) -> str:
        """Return a line without its wrapper; of a progress bar, only its newest state."""
        newest = plain.rstrip(b"\r\n").rpartition(b"\r")[2]
        return self._formats.unwrapper.strip(shown(newest) + " ").rstrip()

    def _remember(self, plain: bytes, scan: Scan) -> None:
        envelope, body = self._split(plain)
        behind = envelope is not None and not scan.stats_like
        bare = f"{envelope.file}: {shown(body)}" if behind and envelope else self._bare(plain)
        text = shape_of(bare)
        example = bare if behind else shown(plain.rstrip(b"\r\n").rpartition(b"\r")[2])
        shape = Shape(text, self._check.lines, example, behind, scan.stats_like > 0)
        self._count(self._check.shapes, (behind, text), shape)

    def _count(self, shapes: dict[_Key, Shape], key: _Key, shape: Shape) -> None:
        if key in shapes:
            shapes[key].count += 1
        elif len(shapes) < MOST_SHAPES:
            shapes[key] = shape
        else:
            self._check.beyond += 1

    def _unread_parts(self, plain: bytes) -> list[str]:
        """Return the parts of a stats line or a companion line that its format does not read."""
        envelope, body = self._split(plain)
        for form in (*self._formats.stats, *self._formats.companions):
            own = form.envelope.search(plain) if form.envelope else None
            if own is not None:
                return [shown(part) for part in form.reader.unread_pieces(plain[own.end() :])]
            if envelope is not None and form.fits(envelope.file, body) and form.reader.read(body):
                return [shown(part) for part in form.reader.unread_pieces(body)]
        return []


def shape_of(text: str) -> str:
    """Return a line with its numbers, hexadecimal words and paths made alike."""
    text = text[: 2 * _LONGEST_SHAPE]
    for pattern, instead in _SHAPES:
        text = pattern.sub(instead, text)
    return text.strip()[:_LONGEST_SHAPE]
