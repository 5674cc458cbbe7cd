"""Reads one file: its bytes, its zone, its runs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial

from vllm_watch.core.dataclass import replace
from vllm_watch.core.hints import TYPE_CHECKING, TypeAlias
from vllm_watch.core.naming import source_of
from vllm_watch.core.news import (
    Block,
    CompanionBlock,
    FileTrouble,
    LogFound,
    News,
    Past,
    PastComplete,
    RunsBegan,
    ZoneFound,
)
from vllm_watch.core.records import Amendment, Sample, SampleTable, Stage
from vllm_watch.ingest.options import ReadOptions
from vllm_watch.ingest.part import Part
from vllm_watch.ingest.substitutes import RunFacts
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.scanner import WORTH_IT
from vllm_watch.parsing.streams import MAIN, Streams
from vllm_watch.parsing.timestamps import StampClock, Zone, has_stamp
from vllm_watch.parsing.zonefinder import clock_for
from vllm_watch.sources.capture import capture_of
from vllm_watch.sources.chunks import Chunk, Lines
from vllm_watch.sources.compressed import SavedArchive, end_of, is_compressed
from vllm_watch.sources.follower import Follower, FollowOptions
from vllm_watch.sources.paths import STDIN, is_stream, recordings_of

if TYPE_CHECKING:
    from vllm_watch.ingest.secondprocess import SecondProcess
    from vllm_watch.parsing.scan import Scan
    from vllm_watch.sources.commands import CommandOutput
    from vllm_watch.sources.standard_input import StandardInput

PEEK = 64 * 1024
"""Bytes at a log's end in which its newest stamp is searched."""

HEAD = 256 * 1024
"""Bytes at a large log's beginning that are read with its newest part: they hold the start-up."""

NEWEST = 1024 * 1024
"""Size in bytes of a large log's newest part: some 15 minutes of a busy server."""

SHARED = 256 << 20
"""From this size in bytes on, a second process scans parts of a log that is read once."""

Source: TypeAlias = "StandardInput | CommandOutput | SavedArchive | Follower"
"""The interface of sources of bytes."""


def _opened(
    path: str, options: ReadOptions, following: FollowOptions | None, *, companion: bool, start: int
) -> Source:
    """Return the source of a path's bytes; a file is read from `start` on."""
    if path == STDIN:
        from vllm_watch.sources.standard_input import StandardInput

        return StandardInput(wait=not options.live, stopped=options.stopped)
    if path in options.commands:
        from vllm_watch.sources.commands import CommandOutput  # imports subprocess: 6 ms

        return CommandOutput(
            path,
            options.commands[path],
            wait=not options.live,
            stopped=options.stopped,
            clock=options.clock,
            now=options.now,
        )
    if is_compressed(path):
        return SavedArchive(path, options.now)
    return Follower(path, following, companion=companion, start=start)


class FileReader:
    """One file followed and read."""

    def __init__(
        self,
        path: str,
        source: str,
        formats: Formats,
        options: ReadOptions,
        following: FollowOptions | None = None,
        *,
        twin: bool,
        stage: Stage = "whole",
        log: FileReader | None = None,
    ) -> None:
        """Read `path` for the server whose log is `source`.

        `log` reads that log, if `path` is a companion of it.
        At the stage `newest`, only its beginning, its newest part and new lines are read.
        """
        self.path = path
        self.stage: Stage = stage
        self.size = size_of(path) if stage != "whole" else 0
        """Its size in bytes when reading in stages began."""
        self.source = source
        self._formats = formats
        self._options = options
        self.twin = twin
        run, begin = options.begins.get(path, (0, 0))
        start = self.size - NEWEST if stage == "newest" else 0
        start = max(0, start, begin - 1)  # the line end before it
        self._follower = _opened(path, options, following, companion=twin, start=start)
        self._streams: Streams = Streams(formats.unwrapper, log._streams if log else None)
        self._parts = {MAIN: self._new_part(run)}
        """The servers that write into this file, by the names before their lines."""
        self.caught_up = False
        """Whether the file has been read to its end once."""
        self._said = ""
        """The trouble with the file, as reported last."""
        self._progress = 0
        """Bytes read of the file."""
        followed = isinstance(self._follower, Follower) and not self._follower.reopens  # no NFS
        self._helped = stage == "whole" and not twin and not options.live and followed
        """Whether a second process may scan parts of it, if it is large."""
        self._second: SecondProcess | None = None
        self._unended: tuple[tuple[int, int], int] | None = None
        """End of the newest chunk, if it is within a line."""

    def read(self) -> Iterator[News]:
        """Yield news of new lines; `arrived` is set if they came after the first look."""
        empty = not self.caught_up and not self.twin
        if self.stage == "newest" and not self.caught_up:
            for chunk in _head_of(self.path):
                for news in self._news(chunk):
                    # The part between is not read yet: no chart or alert may extend across it.
                    yield _without_samples(news) if isinstance(news, Block) else news
        try:
            for chunk in self._follower.read():
                empty = False
                yield from self._news(chunk)
        finally:
            self._end_second()
        self.caught_up = True
        if empty and self._follower.trouble is None:
            # An empty log is a server, too: it is about to start.
            yield LogFound(self.source)
        yield from self._trouble_news()

    def staged(self, news: News) -> News:
        """Return news as news of the past, while the past is being read."""
        if self.stage != "past" or isinstance(news, Past):
            return news
        return Past(news, min(self._progress, self.size), self.size)

    def _trouble_news(self) -> Iterator[News]:
        text, since = self._wrong()
        if text != self._said:
            self._said = text
            yield FileTrouble(self.source, self.path, text, since, self.twin)

    def _wrong(self) -> tuple[str, float | None]:
        """Return why it cannot be read now, and since when."""
        return self._follower.trouble or "", self._follower.trouble_since

    def continues(self, other: FileReader) -> None:
        """Take the place of another reader of the file, and keep the problem that it reported."""
        self._said = other._said

    def completed(self, newest: FileReader) -> Iterator[News]:
        """Yield the news that replace the newest part by the whole log, once that has been read.

        The zone found from arriving lines of the part `newest` is valid for the whole log.
        """
        self.stage = "whole"
        self.continues(newest)
        for name, part in self._parts.items():
            source, known = source_of(self.source, name), newest._parts.get(name)
            shift = part.follow_zone(known.zone) if known is not None else 0.0
            for news in self._zone_news(source, part, shift):
                yield Past(news, self.size, self.size)
            yield PastComplete(source)

    def finish(self) -> Iterator[News]:
        """Yield a last line that lacks its newline."""
        for chunk in self._follower.finish():
            yield from self._news(chunk)
        end = Chunk((0, 0), self._progress, b"")
        for name, lines in self._streams.rest():
            own = MAIN if self.twin else name
            yield from self._part_news(own, lines, end, continued=False)
        yield from self._trouble_news()

    @property
    def zone(self) -> Zone:
        """The zone of its stamps as known now."""
        return self._parts[MAIN].zone

    @property
    def runs(self) -> RunFacts:
        """Facts about its server's runs, needed for recordings beside it."""
        return self._parts[MAIN].runs

    @property
    def ended(self) -> bool:
        """Whether nothing more can arrive: a pipe that its writer closed."""
        return self.path == STDIN and bool(getattr(self._follower, "ended", False))

    def close(self) -> None:
        """Close the file."""
        self._end_second()
        self._follower.close()

    def _end_second(self) -> None:
        """End the other process."""
        if self._second is not None:
            self._second.close()
            self._second = None

    def _new_part(self, run: int = 0) -> Part:
        once = self.stage == "whole" and not self._options.live
        large = once and size_of(self.path) > 2 * WORTH_IT
        return Part(self._formats, self._options, twin=self.twin, run=run, large=large)

    def _news(self, chunk: Chunk) -> Iterator[News]:
        """Yield the records of a chunk for each server that writes into this file."""
        continued = self._continues(chunk)
        self._progress = chunk.end
        size, alone = chunk.end - chunk.offset, not self._streams.name(MAIN)
        parts = [(MAIN, b"")]
        if not chunk.elsewhere:
            parts = self._streams.read(chunk.data, continued=continued)
        if alone and self._streams.name(MAIN) and all(name != MAIN for name, _ in parts):
            parts.insert(0, (MAIN, b""))  # it has no lines here, but has a name from now on
        for name, lines in parts:
            own = MAIN if self.twin else name  # a companion belongs to its log's own server
            yield from self._part_news(own, lines, chunk, continued=continued, size=size)
            size = 0

    def _part_news(
        self,
        name: str,
        lines: bytes,
        chunk: Chunk,
        *,
        continued: bool,
        size: int = 0,
    ) -> Iterator[News]:
        """Yield news from the lines of one server, for which `size` bytes were read."""
        now, source = self._options.now(), source_of(self.source, name)
        part = self._parts.get(name)
        if part is None:
            part = self._parts[name] = self._new_part()
        clock = None if part.has_clock else self._clock(part.undated(lines), now)
        scan = self._scan(part, lines, chunk, clock, continued=continued)
        arrived = now if self.caught_up and self._options.live else None
        shift = part.rezone(scan.newest_stamp, arrived)
        before = part.run
        items = part.numbered(scan, shift)
        if self.twin:
            yield CompanionBlock(source, items, arrived, size)
            return
        if part.name != self._streams.name(name):
            part.name = self._streams.name(name)
            yield LogFound(source, part.name, self.stage == "newest")
        yield from self._zone_news(source, part, shift)
        if self._options.report_begins and part.run > before and not self._streams.named:
            from vllm_watch.ingest.runbegins import begins_of

            yield RunsBegan(source, begins_of(chunk, items, before, self._formats))
        newest = scan.newest_stamp
        yield Block(
            source,
            items,
            newest_stamp=newest if newest is None else newest + shift,
            arrived=arrived,
            lines=scan.lines,
            size=size,
            stats_like=scan.stats_like,
            damaged=scan.damaged,
        )

    def _scan(
        self, part: Part, lines: bytes, chunk: Chunk, clock: StampClock | None, *, continued: bool
    ) -> Scan:
        """Read lines of a chunk, or take over what another process read of them."""
        if lines is not chunk.data and not chunk.elsewhere:
            self._end_second()  # names, or other loggers' prefixes, were removed from them
        elif self._helped and clock is not None:
            self._helped = False
            if size_of(self.path) >= SHARED:
                from vllm_watch.ingest.secondprocess import second_process_of

                self._second = second_process_of(self.path, chunk, self._formats, clock)
                if isinstance(self._follower, Follower) and not self._options.report_begins:
                    self._follower.elsewhere = partial(self._elsewhere, part)
        if self._second is not None and part.scanner is not None:
            scan = self._second.take(chunk, part.scanner)
            if scan is not None:
                return scan
        assert not chunk.elsewhere, "what was not read has been taken over"
        return part.scan(lines, clock, continued=continued)

    def _elsewhere(self, part: Part, identity: tuple[int, int], offset: int) -> Lines | None:
        """Return the lines that another process has read for a part."""
        if self._second is None or part.scanner is None:
            return None
        return self._second.next(identity, offset, part.scanner)

    def _zone_news(self, source: str, part: Part, shift: float) -> Iterator[ZoneFound]:
        zone = part.zone
        if zone != part.reported:
            part.reported = zone
            yield ZoneFound(source, zone.tz, zone.assumed, shift)

    def _continues(self, chunk: Chunk) -> bool:
        """Return whether a chunk begins within the line that the chunk before it left open."""
        continued = self._unended == (chunk.identity, chunk.offset)
        whole = chunk.elsewhere or chunk.data.endswith(b"\n")
        self._unended = None if whole else (chunk.identity, chunk.end)
        return continued

    def _clock(self, head: bytes, now: float) -> StampClock | None:
        plain = self._formats.unwrapper.plain
        head = plain(head, dated=True)
        if not has_stamp(head):
            return None  # most twins have none: their ends need not be read
        if is_stream(self.path):
            zone = Zone(self._options.tz, "given") if self._options.tz else None
            return clock_for(head, head, now, now, zone, None)
        capture = capture_of(self.path)
        zone = Zone(capture.tz, "capture") if capture.tz else None
        if self._options.tz:
            zone = Zone(self._options.tz, "given")
        tail, modified = _tail(self.path)
        tail = plain(tail, dated=True) or head
        if zone is None and recordings_of(self.source):
            from vllm_watch.ingest.recordedclock import recorded_clock

            beside = recorded_clock(self.source, head, tail)
            if beside is not None:
                zone, modified = Zone(beside.tz, "recording"), beside.last.timestamp()
        return clock_for(head, tail, modified or now, now, zone, capture.year)


def _without_samples(block: Block) -> Block:
    samples = Sample | Amendment | SampleTable
    return replace(block, items=tuple(i for i in block.items if not isinstance(i, samples)))


def size_of(path: str) -> int:
    """Return the size of a plain file in bytes, 0 for anything else."""
    try:
        status = os.stat(path)
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _head_of(path: str) -> Iterator[Chunk]:
    """Yield the whole lines of a file's beginning; its follower reports read errors."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(HEAD)
    except OSError:
        return
    end = data.rfind(b"\n") + 1
    if end:
        yield Chunk((status.st_dev, status.st_ino), 0, data[:end])


def _tail(path: str) -> tuple[bytes, float | None]:
    """Return the last bytes of a file and its modification time."""
    try:
        if is_compressed(path):
            return end_of(path, PEEK), os.stat(path).st_mtime
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            file.seek(max(0, status.st_size - PEEK))
            return file.read(PEEK), status.st_mtime
    except OSError:
        return b"", None
