"""Blocks of a log searched for literal anchors; messages read only where one stands.

`Scanner.scan` takes a block of whole lines and yields records in file order. There is no loop
over lines: the end of an envelope (`.py:123] `) and the literals of lines without one are looked
for in the bytes, everything else is passed over by the search itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from vllm_watch.core.recorded import EngineRow
from vllm_watch.core.records import Amendment, Event, Record, Sample
from vllm_watch.parsing.access import AccessCounter
from vllm_watch.parsing.barelines import BareLines
from vllm_watch.parsing.dull import STAMP_LENGTH, DullLines
from vllm_watch.parsing.envelope import ANCHOR, LONGEST_HEAD, Envelope
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.latencyline import companion_record
from vllm_watch.parsing.text import shown, without_escapes
from vllm_watch.parsing.timestamps import StampClock, Zone
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
    """Lines with a stats line's words behind no known envelope."""
    damaged: int = 0
    """Stats lines that were cut off: no samples."""
    lines: int = 0


@dataclass(slots=True)
class _Walk:
    """How far a block has been read."""

    block: bytes
    scan: Scan
    line_start: int = 0
    line_end: int = 0
    after: int = 0
    """Where the newest envelope ended."""
    counted: int = 0
    """Up to where requests have been counted."""
    opaque_end: int = 0
    """Up to where nothing is the server's own word."""
    read_stats: int = 0

    def enter(self, position: int) -> None:
        """Go on to the line at `position`."""
        self.line_start = self.block.rfind(b"\n", self.line_end, position) + 1
        end = self.block.find(b"\n", position)
        self.line_end = len(self.block) if end < 0 else end


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
        self._dull = DullLines(formats)
        self._stamp: float | None = None
        self._stamped: tuple[bytes, Zone] = (b"", clock.zone)
        """The newest stamp as written, and the zone in which it was read."""
        self._opaque = False

    def scan(self, block: bytes, *, continued: bool = False) -> Scan:
        """Return the records of a block of whole lines (the last may lack its newline).

        `continued` tells that the block begins within the line that the last one ended in.
        """
        scan = Scan(lines=block.count(b"\n"))
        block = self._seen_of(block, continued=continued)
        block = self._formats.unwrapper.plain(block)
        scan.records += self._bare.rest(block)
        walk = _Walk(block, scan)
        bare = self._bare.positions(block)
        at = block.find(b".py:")
        while at >= 0:
            while bare and bare[-1] < at:
                self._read_bare(walk, bare.pop())
            if at >= walk.line_end:
                walk.enter(at)
                stamp_at = self._dull.stamp_of(block, walk.line_start, walk.line_end)
                if stamp_at is not None and at >= walk.opaque_end and self._pass(walk, stamp_at):
                    at = block.find(b".py:", walk.line_end)
                    continue
            at = block.find(b".py:", self._read_anchor(walk, at))
        while bare:
            self._read_bare(walk, bare.pop())
        self._count_requests(walk, len(block), self._stamp)
        scan.stats_like = max(0, block.count(STATS_LIKE) - walk.read_stats)
        opaque = walk.opaque_end >= len(block) > 0 and block[-1:] != b"\n"
        self._opaque = self._opaque or opaque
        return scan

    def _pass(self, walk: _Walk, stamp_at: int) -> bool:
        """Pass over a line that says nothing to keep; only its stamp counts."""
        stamp = walk.block[stamp_at : stamp_at + STAMP_LENGTH]
        seen, zone = self._stamped
        if stamp != seen or zone is not self.clock.zone or walk.scan.newest_stamp is None:
            before, time = self._stamp, self._time(walk.scan, stamp)
            if time is None:
                return False
            if time != before:
                self._count_requests(walk, walk.line_start, before)
        self._error_site = None
        return True

    def _read_bare(self, walk: _Walk, position: int) -> None:
        """Read the line without an envelope that has a literal at `position`."""
        if position < walk.opaque_end:
            return
        found = self._bare.read(walk.block, position, self.clock, self._stamp)
        if found:
            self._count_requests(walk, position, self._stamp)
            walk.scan.records += found
            walk.read_stats += self._own_stats(walk.scan, found, walk.block, position)

    def _read_anchor(self, walk: _Walk, position: int) -> int:
        """Read the message behind an anchor; return from where to look for the next one."""
        block = walk.block
        anchor = ANCHOR.match(block, position)
        if anchor is None or position < walk.opaque_end:
            return max(position + 1, walk.opaque_end)
        end = anchor.end()
        head = max(walk.line_start, walk.after, end - LONGEST_HEAD)
        walk.after = end  # an envelope holds no other's end: many anchors in a row are cheap
        envelope = self._formats.envelope.read(block[head:end])
        if envelope is None:
            return end
        stamp, time = self._stamp, self._time(walk.scan, envelope.stamp)
        whole = block[end : min(walk.line_end, end + LONGEST_MESSAGE)]
        if self._formats.is_opaque(envelope.file, whole):
            self._count_requests(walk, position, stamp)
            walk.counted = walk.opaque_end = walk.line_end
            walk.read_stats += block.count(STATS_LIKE, end, walk.line_end)
            return end
        if time is None:
            return end
        record = self._message(envelope, self._up_to_next(whole), time)
        if record is not None or time != stamp:
            self._count_requests(walk, walk.line_start, stamp)
        if record is not None:
            _add(walk.scan.records, record)
            walk.read_stats += isinstance(record, Sample)
        elif STATS_LIKE in whole and self._formats.is_cut(envelope.file, whole):
            walk.scan.damaged += 1
            walk.read_stats += 1
        elif head == walk.line_start:
            line, body = (head, walk.line_end), (end, walk.line_end)
            self._dull.learn(block, line, body, envelope)
        return end

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

    def _time(self, scan: Scan, stamp: bytes) -> float | None:
        """Take notice of a line's stamp, None if there is no such moment."""
        time = self.clock.resolve(stamp)
        if time is not None:
            self._stamp, self._stamped = time, (stamp, self.clock.zone)
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
            return companion_record(companion, time)
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
            return replace(event, process=envelope.process)
        text, process = shown(body), envelope.process
        return Event("error", time, text, {}, envelope.level, continues=continues, process=process)

    def _own_stats(self, scan: Scan, found: list[Record], block: bytes, position: int) -> int:
        """Take notice of the samples of another server; count the words that look like ours."""
        for record in found:
            if isinstance(record, Sample):
                self._stamp, self._stamped = record.time, (b"", self.clock.zone)
                if scan.newest_stamp is None or record.time > scan.newest_stamp:
                    scan.newest_stamp = record.time
                return block.count(STATS_LIKE, position, _segment_end(block, position))
        return 0

    def _count_requests(self, walk: _Walk, end: int, stamp: float | None) -> None:
        """Count the requests since the last count, up to `end`."""
        counted = self._access.count(walk.block, walk.counted, end, stamp)
        walk.counted = end
        if counted is not None:
            walk.scan.records.append(counted)

    def _marked(self, event: Event | None) -> Event | None:
        return event if event is None or not self._twin else replace(event, twin=True)


def _segment_end(block: bytes, position: int) -> int:
    """Return where a line ends or is rewritten: one that is rewritten can be endless."""
    most = min(len(block), position + LONGEST_MESSAGE)
    ends = (block.find(mark, position, most) for mark in (b"\r", b"\n"))
    return min((end for end in ends if end >= 0), default=most)


def _add(records: list[Record], record: Record) -> None:
    """Append a record; a companion line goes into the stats line just before it."""
    at = len(records) - 1
    if at > 0 and isinstance(records[at], EngineRow):
        at -= 1  # a latency line between the two
    newest = records[at] if at >= 0 else None
    if isinstance(record, Amendment | EngineRow) and isinstance(newest, Sample):
        added = record.values if isinstance(record, Amendment) else {}
        if isinstance(record, EngineRow) and record.preemptions is not None:
            added = {"preemptions": float(record.preemptions)}
        if added and record.engine in (None, newest.engine):
            records[at] = replace(newest, values={**newest.values, **added})
            if isinstance(record, Amendment):
                return
    records.append(record)
