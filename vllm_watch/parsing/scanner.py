"""Searches blocks of a log for literal anchors; only messages at an anchor are read.

`Scanner.scan` takes a block of whole lines and yields records in file order. There is no loop over
lines: the ends of envelopes (`.py:123] `) and the literals of bare lines are searched in the bytes,
and the search skips everything else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from vllm_watch.core.arithmetic import load_numpy
from vllm_watch.core.dataclass import replace
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.records import Amendment, Event, Record, Sample
from vllm_watch.parsing.access import AccessCounter
from vllm_watch.parsing.barelines import BareLines
from vllm_watch.parsing.envelope import ANCHOR, LONGEST_HEAD, Envelope
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.outerclock import OuterClock
from vllm_watch.parsing.requestcounts import RequestCounts
from vllm_watch.parsing.requestlines import RequestLines
from vllm_watch.parsing.scan import BlockCursor, Scan
from vllm_watch.parsing.skippedlines import LONGEST, SkippedLines, place_of
from vllm_watch.parsing.statslines import StatsLines
from vllm_watch.parsing.text import (
    LONGEST_MESSAGE,
    STATS_LIKE,
    ZEROS,
    segment_end,
    shown,
    without_escapes,
)
from vllm_watch.parsing.timestamps import STAMP_LENGTH, StampClock, Zone
from vllm_watch.parsing.wrappers import LONGEST_JSON

if TYPE_CHECKING:
    from vllm_watch.parsing.blocks import LargeBlocks
    from vllm_watch.parsing.knownlines import KnownLines
    from vllm_watch.parsing.smallaccessfilter import Removed


MOST_ENVELOPES = 1_000
"""Messages of other processes that may run into a line; the rest of the line is skipped."""
LARGE_BLOCK = 256 * 1024
"""From this size in bytes on, a block may be read as large; a stats line counts as 1,000 more."""
FILTERED_FROM = 64 * 1024
"""From this size in bytes on, the stats lines of a block are counted for that, and the usual access
lines of a small one are removed first."""
WORTH_IT = 2 << 20
"""From this many bytes of a log on, reading large blocks pays: numpy takes 0.1 s to load."""


class Scanner:
    """Reads the blocks of one file in order; remembers only data that spans two blocks."""

    def __init__(
        self, formats: Formats, clock: StampClock, *, twin: bool = False, large: bool = False
    ) -> None:
        """Read with `formats`, resolve stamps with `clock`; `twin` marks a `.err` file.

        `large`: the log is so long that reading large blocks pays from the start.
        """
        self.formats = formats
        self.clock = clock
        self._twin = twin
        self._access = AccessCounter(formats.access)
        self._bare = BareLines(formats, twin=twin)
        self._error_site: tuple[str, str, bytes] | None = None
        self._requests = None if formats.requests is None else RequestLines(formats.requests)
        self._skipped = SkippedLines(formats, self._bare.silent)
        self._stats = StatsLines(formats, self._bare.silent)
        self._large: LargeBlocks | None = None
        self._known: KnownLines | None = None
        self._read = WORTH_IT if large else 0
        """Bytes read, to decide whether there is much to read."""
        self.stamp: float | None = None
        """Time of the newest stamped line."""
        self.stamped: tuple[bytes, Zone] = (b"", clock.zone)
        """The newest stamp as written, and its zone."""
        self._opaque = False
        self.outer = OuterClock(self)
        self.counts = RequestCounts(self._access, self.outer)

    def scan(self, block: bytes, *, continued: bool = False) -> Scan:
        """Return the records of a block of whole lines (the last may lack its newline).

        `continued`: the block begins within the line in which the last one ended.
        """
        scan = Scan()
        whole, block = block, self._seen_of(block, continued=continued)
        self._read += len(block)
        worth = self._read > WORTH_IT or "numpy" in sys.modules
        stats = block.count(STATS_LIKE) if len(block) >= FILTERED_FROM else 0
        pays = worth and len(block) + 1_000 * stats >= LARGE_BLOCK
        scan.lines = whole.count(b"\n", 0, len(whole) - len(block))  # the rest of an ignored line
        text = self._large_blocks().read(scan, block) if pays else None
        if text is None and (text := self._after_known(scan, block)):
            text = self._read_small(scan, text)
        if self.counts.waiting:
            self.counts.say(scan, self.stamp)
        if text:
            self._read_beside(scan, text)
        if self.stamped is not self.outer.noted:
            self.outer.note(block, len(block))
        scan.end()
        scan.stats_like = max(0, scan.stats_like)
        return scan

    def _read_small(self, scan: Scan, block: bytes) -> bytes:
        """Read a block that is not read as large; return it with JSON lines made plain."""
        removed: list[Removed] = []
        text = self.formats.unwrapper.plain(block)
        if len(text) >= FILTERED_FROM and not self.within:
            from vllm_watch.parsing.smallaccessfilter import without_usual

            text, removed = without_usual(text, self._access, self._bare.is_plain)
        self.read_text(scan, text, removed)
        scan.lines += text.count(b"\n") + sum(lines for *_, lines in removed)
        return text

    def _read_beside(self, scan: Scan, text: bytes) -> None:
        """Append the records made from many lines: steps, answered requests."""
        steps, requests = self.formats.iterations, self._requests
        if steps is not None and steps.contains in text:
            table = steps.read(text, self.clock)
            scan.items += [] if table is None else [table]
        if requests is not None and requests.concerns(text):
            answered = requests.read(text, self.clock)
            scan.items += [] if answered is None else [answered]

    def _large_blocks(self) -> LargeBlocks:
        load_numpy()
        from vllm_watch.parsing.accessfilter import AccessFilter
        from vllm_watch.parsing.blocks import LargeBlocks  # numpy: not for a small log
        from vllm_watch.parsing.knownlines import KnownLines

        if self._large is None:
            self._known = KnownLines(self.formats, self._skipped, self._bare.is_plain)
            access = AccessFilter(self._access, self._bare.is_plain)
            self._large = LargeBlocks(self, self.formats.unwrapper, access, self._known)
        return self._large

    @property
    def within(self) -> bool:
        """Whether the next line may belong to a traceback that has begun."""
        return self._bare.traceback.open

    def rezone(self, zone: Zone) -> float:
        """Read further stamps in another zone; return the seconds by which earlier ones move."""
        shift = self.clock.rezone(zone)
        self.stamp = None if self.stamp is None else self.stamp + shift
        return shift

    def note_stamps(self, scan: Scan, stamps: Sequence[bytes | None]) -> list[float | None]:
        """Note the stamps of lines; return their times, None if there is none."""
        times = self.clock.resolve_all(stamps)
        self._note(scan, times, lambda at: stamps[at] or b"")
        return times

    def note_joined_stamps(self, scan: Scan, stamps: bytes) -> list[float | None]:
        """Do the same for stamps one after the other."""
        times = self.clock.resolve_row(stamps)
        self._note(scan, times, lambda at: stamps[at * STAMP_LENGTH : (at + 1) * STAMP_LENGTH])
        return times

    def _note(
        self, scan: Scan, times: Sequence[float | None], stamp: Callable[[int], bytes]
    ) -> None:
        """Note the newest of some times, whose stamps `stamp` returns."""
        known = [time for time in times if time is not None]
        if known:
            newest = next(at for at in range(len(times) - 1, -1, -1) if times[at] is not None)
            self.stamp, self.stamped = times[newest], (stamp(newest), self.clock.zone)
            scan.note_stamp(max(known))

    def end_error(self) -> None:
        """Prevent further lines from joining the newest error."""
        self._error_site = None

    def read_text(
        self, scan: Scan, text: bytes, removed: Sequence[Removed] = (), *, teaches: bool = False
    ) -> None:
        """Read a text of whole lines, from which access lines were `removed`, into a scan.

        Requests after the last stamped line are kept for the next text. A text that `teaches` is
        read in full, for the large blocks that follow.
        """
        scan.put_all(self._bare.rest(text))
        cursor = BlockCursor(text, scan, removed=list(reversed(removed)), teaches=teaches)
        bare = self._bare.positions(text)
        at = text.find(b".py:")
        while at >= 0:
            while bare and bare[-1] < at:
                self._read_bare(cursor, bare.pop())
            if at >= cursor.line_end:
                cursor.enter(at)
                if at >= cursor.opaque_end and self._read_alike(cursor):
                    at = text.find(b".py:", cursor.line_end)
                    continue
            at = text.find(b".py:", self._read_anchor(cursor, at))
        while bare:
            self._read_bare(cursor, bare.pop())
        self.counts.hold(cursor, len(text))
        self.outer.note(text, len(text))
        scan.stats_like += text.count(STATS_LIKE)
        end = cursor.line_end if cursor.envelopes > MOST_ENVELOPES else cursor.opaque_end
        self._opaque = self._opaque or (end >= len(text) > 0 and text[-1:] != b"\n")

    def _after_known(self, scan: Scan, block: bytes) -> bytes:
        """Read the known stats lines with which a block begins; return the rest."""
        at, lines, clocked = 0, {} if self.within else self._stats.known, False
        while 0 <= (end := block.find(b"\n", at)) <= at + LONGEST:
            line, stamp = block[at:end], self.stamp
            known = lines.get(line.translate(ZEROS))
            time = None if known is None else self._time(scan, line[known.stamp])
            if known is None or time is None:
                break
            if self.counts.waiting:
                self.counts.say(scan, stamp)
            scan.items.append(known.sample(line, time))
            scan.lines += 1
            at, clocked = end + 1, known.clocked
        if at and (clocked or self.outer.seen):
            self.outer.note(block, at)
        elif at:
            self.outer.noted = self.stamped
        return block[at:]

    def _read_alike(self, cursor: BlockCursor) -> bool:
        """Read a line that differs from an earlier one only in its digits."""
        if cursor.line_end - cursor.line_start > LONGEST:
            return False
        line, stamp = cursor.block[cursor.line_start : cursor.line_end], self.stamp
        zeros = line.translate(ZEROS)
        stamp_at = self._skipped.stamps.get(zeros)
        if stamp_at is not None:
            return self._pass(cursor, line[stamp_at : stamp_at + STAMP_LENGTH])
        known = None if cursor.teaches else self._stats.known.get(zeros)
        time = None if known is None else self._time(cursor.scan, line[known.stamp])
        if known is None or time is None:
            return False
        self.counts.count(cursor, cursor.line_start, stamp)
        cursor.scan.items.append(known.sample(line, time))
        cursor.scan.stats_like -= known.stats_like
        return True

    def _pass(self, cursor: BlockCursor, stamp: bytes) -> bool:
        """Skip a line without information; only its stamp counts."""
        before, time = self.stamp, self._time(cursor.scan, stamp)
        if time is None:
            return False
        if time != before:
            self.counts.count(cursor, cursor.line_start, before)
            cursor.scan.note_skipped(time, time, time)
        self._error_site = None
        return True

    def _read_bare(self, cursor: BlockCursor, position: int) -> None:
        """Read the line without an envelope that has a literal at `position`."""
        if position < cursor.opaque_end:
            return
        written = self.outer.written(cursor.block, position)
        found = self._bare.read(cursor.block, position, self.clock, self.stamp, written)
        if found:
            self.counts.count(cursor, position, self.stamp)
            cursor.scan.put_all(found)
            cursor.scan.stats_like -= self._own_stats(cursor.scan, found, cursor.block, position)

    def _read_anchor(self, cursor: BlockCursor, position: int) -> int:
        """Read the message after an anchor; return from where to search for the next one."""
        block = cursor.block
        anchor = ANCHOR.match(block, position)
        if anchor is None or position < cursor.opaque_end:
            return max(position + 1, cursor.opaque_end)
        end = anchor.end()
        head = max(cursor.line_start, cursor.after, end - LONGEST_HEAD)
        cursor.after = end  # no envelope contains the end of another, so many anchors cost little
        cursor.envelopes += 1
        if cursor.envelopes > MOST_ENVELOPES:
            return cursor.line_end
        envelope = self.formats.envelope.read(block[head:end])
        if envelope is None:
            return end
        stamp, time = self.stamp, self._time(cursor.scan, envelope.stamp)
        whole = block[end : min(cursor.line_end, end + LONGEST_MESSAGE)]
        if self.formats.is_opaque(envelope.file, whole):
            self._pass_opaque(cursor, position, stamp, time)
            cursor.scan.stats_like -= block.count(STATS_LIKE, end, cursor.line_end)
            self._learn(cursor, (head, end), envelope, None)
            return end
        if time is None:
            return end
        message = self.formats.envelope.up_to_next(whole)
        record = self._message(envelope, message, time)
        if record is not None or time != stamp:
            self.counts.count(cursor, cursor.line_start, stamp)
        if time != stamp and (record is None or isinstance(record, Amendment)):
            cursor.scan.note_skipped(time, time, time)
        if record is not None:
            cursor.scan.put(record)
            if isinstance(record, Sample):
                cursor.scan.stats_like -= STATS_LIKE in message
                if head == cursor.line_start:
                    self._stats.learn(block, (head, end, cursor.line_end), envelope)
        elif STATS_LIKE in whole:  # counted each time: never known as a line without information
            cut = self.formats.is_cut(envelope.file, whole)
            cursor.scan.damaged += cut
            cursor.scan.stats_like -= cut
        elif head == cursor.line_start:
            self._skipped.learn(block, (head, end, cursor.line_end), envelope)
        self._learn(cursor, (head, end), envelope, record)
        return end

    def _pass_opaque(
        self, cursor: BlockCursor, position: int, before: float | None, time: float | None
    ) -> None:
        """Skip the rest of a line that is not from the server itself; only its stamp counts."""
        self.counts.hold(cursor, position)
        if time is not None and time != before:
            self.counts.say(cursor.scan, before)
            cursor.scan.note_skipped(time, time, time)
        cursor.counted = cursor.opaque_end = cursor.line_end
        self._error_site = None

    def _learn(
        self, cursor: BlockCursor, head: tuple[int, int], envelope: Envelope, record: Record | None
    ) -> None:
        """Remember the result of a line that was read in full, for similar lines."""
        known, (start, body) = self._known, head
        if known is not None and cursor.teaches and start == cursor.line_start:
            place = place_of(cursor.block, (start, body, cursor.line_end), envelope)
            known.learn(place, envelope, record)

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
        """Note a line's stamp, None if it is not a valid time."""
        known = stamp == self.stamped[0] and self.stamped[1] is self.clock.zone
        time = self.stamp if known else self.clock.resolve(stamp)
        if time is not None:
            self.stamp, self.stamped = time, (stamp, self.clock.zone)
            scan.note_stamp(time)
        return time

    def _message(self, envelope: Envelope, body: bytes, time: float) -> Record | None:
        """Read one message after an envelope, None if nothing in it is kept."""
        if b"\x1b" in body:
            body = without_escapes(body)
        body = body.rstrip(b"\r\n \x00")
        stats = self.formats.stats_of(envelope.file, body)
        if stats is not None:
            writer = envelope.process if envelope.process[-1:].isdigit() else ""
            return Sample(time, stats.engine or 0, stats.values, writer=writer)
        companion = self.formats.companion_of(envelope.file, body)
        if companion is not None:
            from vllm_watch.parsing.latencyline import companion_record

            return companion_record(companion, time)
        event = self._error(envelope, body, time, self.formats.event_of(envelope, body, time))
        return replace(event, twin=True) if event is not None and self._twin else event

    def _error(
        self, envelope: Envelope, body: bytes, time: float, event: Event | None
    ) -> Event | None:
        """Keep an error; further lines of the same message continue it."""
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
        """Note the samples of another kind of server; count lines that look like stats lines."""
        for record in found:
            if isinstance(record, Sample):
                self.stamp, self.stamped = record.time, (b"", self.clock.zone)
                scan.note_stamp(record.time)
                return block.count(STATS_LIKE, position, segment_end(block, position))
        return 0
