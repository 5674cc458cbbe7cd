"""Blocks of a log searched for literal anchors; messages read only where one stands.

`Scanner.scan` takes a block of whole lines and yields records in file order. There is no loop
over lines: the end of an envelope (`.py:123] `) and the literals of lines without one are looked
for in the bytes, everything else is passed over by the search itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from vllm_watch.core.records import Amendment, Event, Record, Sample
from vllm_watch.parsing.access import AccessCounter
from vllm_watch.parsing.barelines import BareLines
from vllm_watch.parsing.envelope import ANCHOR, LONGEST_HEAD, Envelope
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.text import shown, without_escapes
from vllm_watch.parsing.timestamps import StampClock
from vllm_watch.parsing.wrappers import LONGEST_JSON

LONGEST_MESSAGE = 32_768
"""Bytes of a message that are looked at; what follows in the same line is passed over."""

STATS_LIKE = b"Avg generation throughput: "
"""Words that a stats line of any version holds."""


@dataclass(slots=True)
class Scan:
    """What a block held."""

    records: list[Record] = field(default_factory=list)
    newest_stamp: float | None = None
    stats_like: int = 0
    lines: int = 0


class Scanner:
    """Reads the blocks of one file in order; remembers only what spans two blocks."""

    def __init__(self, formats: Formats, clock: StampClock, *, twin: bool = False) -> None:
        """Read with `formats`, resolve stamps with `clock`; `twin` marks a `.err` file."""
        self._formats = formats
        self.clock = clock
        self._twin = twin
        self._access = AccessCounter(formats.access)
        self._bare = BareLines(formats, twin=twin)
        self._error_site: tuple[str, str, bytes] | None = None
        self._stamp: float | None = None
        self._opaque = False

    def scan(self, block: bytes, *, continued: bool = False) -> Scan:
        """Return the records of a block of whole lines (the last may lack its newline).

        `continued` tells that the block begins within the line that the last one ended in.
        """
        scan = Scan(lines=block.count(b"\n"))
        block = self._seen_of(block, continued=continued)
        block = self._formats.unwrapper.plain(block)
        scan.records += self._bare.rest(block)
        read_stats = counted = opaque_end = line_start = line_end = after = 0
        for position, anchored in self._candidates(block):
            if position < opaque_end:
                continue
            if not anchored:
                found = self._bare.read(block, position, self.clock, self._stamp)
                if found:
                    self._count_requests(scan, block, counted, position, self._stamp)
                    counted = position
                    scan.records += found
                    read_stats += self._own_stats(scan, found, block, position)
                continue
            end = ANCHOR.match(block, position).end()  # type: ignore[union-attr]
            if position >= line_end:
                line_start = block.rfind(b"\n", line_end, position) + 1
                line_end = _line_end(block, end)
            head = max(line_start, after, end - LONGEST_HEAD)
            after = end  # an envelope holds no other's end: many anchors in a row are cheap
            envelope = self._formats.envelope.read(block[head:end])
            if envelope is None:
                continue
            stamp, time = self._stamp, self._time(scan, envelope)
            whole = block[end : min(line_end, end + LONGEST_MESSAGE)]
            if self._formats.is_opaque(envelope.file, whole):
                self._count_requests(scan, block, counted, position, stamp)
                counted = opaque_end = line_end
                read_stats += block.count(STATS_LIKE, end, line_end)
                continue
            if time is None:
                continue
            record = self._message(envelope, self._up_to_next(whole), time)
            if record is not None or time != stamp:
                self._count_requests(scan, block, counted, line_start, stamp)
                counted = line_start
            if record is not None:
                _add(scan.records, record)
                read_stats += isinstance(record, Sample)
        self._count_requests(scan, block, counted, len(block), self._stamp)
        scan.stats_like = max(0, block.count(STATS_LIKE) - read_stats)
        self._opaque = self._opaque or (opaque_end >= len(block) > 0 and block[-1:] != b"\n")
        return scan

    def _seen_of(self, block: bytes, *, continued: bool) -> bytes:
        """Return a block without the rest of a line whose beginning made it opaque."""
        if continued and self._opaque:
            end = block.find(b"\n") + 1
            if end == 0:
                return b""
            block = block[end:]
        newest = block.rfind(b"\n") + 1
        self._opaque = block.startswith(b'{"', newest) and len(block) - newest > LONGEST_JSON
        return block

    def _candidates(self, block: bytes) -> Iterator[tuple[int, bool]]:
        """Yield positions worth a look in order: (anchor of an envelope, True) or (bare, False)."""
        bare = self._bare.positions(block)
        for anchor in ANCHOR.finditer(block):
            while bare and bare[-1] < anchor.start():
                yield bare.pop(), False
            yield anchor.start(), True
        while bare:
            yield bare.pop(), False

    def _time(self, scan: Scan, envelope: Envelope) -> float | None:
        """Take notice of a line's stamp, None if there is no such moment."""
        time = self.clock.resolve(envelope.stamp)
        if time is not None:
            self._stamp = time
            if scan.newest_stamp is None or time > scan.newest_stamp:
                scan.newest_stamp = time
        return time

    def _up_to_next(self, body: bytes) -> bytes:
        """Return a message without the line of another process that runs into it."""
        if b".py:" not in body:
            return body
        for anchor in ANCHOR.finditer(body):
            start = max(0, anchor.end() - LONGEST_HEAD)
            head = body[start : anchor.end()]
            envelope = self._formats.envelope.read(head)
            if envelope is not None:
                return body[:start] + without_escapes(head)[: envelope.start]
        return body

    def _message(self, envelope: Envelope, body: bytes, time: float) -> Record | None:
        """Read one message behind an envelope, None if it says nothing that we keep."""
        if b"\x1b" in body:
            body = without_escapes(body)
        body = body.rstrip(b"\r\n \x00")
        stats = self._formats.stats_of(envelope.file, body)
        if stats is not None:
            writer = envelope.process if envelope.process[-1:].isdigit() else ""
            return Sample(time, stats.engine or 0, stats.values, writer=writer)
        companion = self._formats.companion_of(envelope.file, body)
        if companion is not None:
            return Amendment(companion.values, companion.engine)
        event = self._formats.event_of(envelope, body, time)
        return self._marked(self._error(envelope, body, time, event))

    def _error(
        self, envelope: Envelope, body: bytes, time: float, event: Event | None
    ) -> Event | None:
        """Keep what is logged as an error; further lines of one message continue it."""
        if envelope.level not in ("ERROR", "CRITICAL"):
            self._error_site = None
            return event
        site = (envelope.process, envelope.file, envelope.stamp)
        continues = site == self._error_site
        self._error_site = site
        if event is not None:
            return event
        return Event("error", time, shown(body), {}, envelope.level, continues=continues)

    def _own_stats(self, scan: Scan, found: list[Record], block: bytes, position: int) -> int:
        """Take notice of the samples of another server; count the words that look like ours."""
        for record in found:
            if isinstance(record, Sample):
                self._stamp = record.time
                if scan.newest_stamp is None or record.time > scan.newest_stamp:
                    scan.newest_stamp = record.time
                return block.count(STATS_LIKE, position, _segment_end(block, position))
        return 0

    def _count_requests(
        self, scan: Scan, block: bytes, start: int, end: int, stamp: float | None
    ) -> None:
        counted = self._access.count(block, start, end, stamp)
        if counted is not None:
            scan.records.append(counted)

    def _marked(self, event: Event | None) -> Event | None:
        return event if event is None or not self._twin else replace(event, twin=True)


def _line_end(block: bytes, position: int) -> int:
    end = block.find(b"\n", position)
    return len(block) if end < 0 else end


def _segment_end(block: bytes, position: int) -> int:
    """Return where a line ends or is rewritten: one that is rewritten can be endless."""
    most = min(len(block), position + LONGEST_MESSAGE)
    ends = (block.find(mark, position, most) for mark in (b"\r", b"\n"))
    return min((end for end in ends if end >= 0), default=most)


def _add(records: list[Record], record: Record) -> None:
    """Append a record; a companion line goes into the stats line just before it."""
    newest = records[-1] if records else None
    if (
        isinstance(record, Amendment)
        and isinstance(newest, Sample)
        and record.engine in (None, newest.engine)
    ):
        records[-1] = replace(newest, values={**newest.values, **record.values})
    else:
        records.append(record)
