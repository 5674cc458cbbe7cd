"""Reads one file into batches: its bytes, its zone, its runs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from vllm_watch.core.dataclass import replace
from vllm_watch.core.naming import source_of
from vllm_watch.core.records import (
    Amendment,
    Batch,
    Item,
    Sample,
    SampleTable,
    Stage,
)
from vllm_watch.ingest.options import ReadOptions
from vllm_watch.ingest.part import Part
from vllm_watch.ingest.substitutes import Runs
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.scanner import WORTH_IT
from vllm_watch.parsing.streams import MAIN, Streams
from vllm_watch.parsing.timestamps import StampClock, Zone, has_stamp
from vllm_watch.parsing.zonefinder import clock_for
from vllm_watch.sources.capture import capture_of
from vllm_watch.sources.chunks import Chunk
from vllm_watch.sources.compressed import SavedArchive, end_of, is_compressed
from vllm_watch.sources.follower import Follower, FollowOptions
from vllm_watch.sources.paths import STDIN, is_stream, recordings_of

if TYPE_CHECKING:
    from vllm_watch.sources.commands import CommandOutput
    from vllm_watch.sources.standard_input import StandardInput

PEEK = 64 * 1024
"""A log's newest stamp is searched in so many bytes at its end."""

HEAD = 256 * 1024
"""Bytes at a large log's beginning that are read with its newest part: they hold the start-up."""

NEWEST = 1024 * 1024
"""Size in bytes of a large log's newest part: some 15 minutes of a busy server."""


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
    """One file followed and read into batches."""

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
        beside: FileReader | None = None,
    ) -> None:
        """Read `path` for the server whose log is `source`.

        `beside` reads that log, where `path` is a companion of it.
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
        start = max(0, self.size - NEWEST) if stage == "newest" else 0
        run, begin = options.begins.get(path, (0, 0))
        start = max(start, begin - 1)  # the line end before it
        self._follower = _opened(path, options, following, companion=twin, start=start)
        self._streams: Streams = Streams(formats.unwrapper, beside._streams if beside else None)
        self._parts = {MAIN: self._new_part(run)}
        """The servers that write into this file, by the names before their lines."""
        self.caught_up = False
        """Whether it has been read to its end once."""
        self._said: str | None = None
        self._since: float | None = None
        self._unended: tuple[tuple[int, int], int] | None = None
        """End of the newest chunk, if it is within a line."""

    def read(self) -> Iterator[Batch]:
        """Yield new records; `arrived` is set for lines that came after the first look."""
        empty = not self.caught_up and not self.twin
        if self.stage == "newest" and not self.caught_up:
            for chunk in _head_of(self.path):
                for batch in self._batches(chunk):
                    # The part between is not read yet: no chart or alert may extend across it.
                    kept = (
                        r
                        for r in batch.items
                        if not isinstance(r, Sample | Amendment | SampleTable)
                    )
                    yield replace(batch, items=tuple(kept))
        for chunk in self._follower.read():
            empty = False
            yield from self._batches(chunk)
        self.caught_up = True
        if empty and self._follower.trouble is None:
            # An empty log is a server, too: it is about to start.
            yield Batch(self.source, file=self.path)
        if self._follower.trouble != self._said:
            self._said, self._since = self._follower.trouble, self._follower.trouble_since
            zone = self._parts[MAIN].zone
            yield Batch(
                self.source,
                twin=self.twin,
                tz=zone.tz,
                zone_assumed=zone.assumed,
                trouble=self._said,
                trouble_since=self._follower.trouble_since,
                file=self.path,
                stage=self.stage,
            )

    def completed(self, newest: FileReader) -> Iterator[Batch]:
        """Yield the batch that replaces the newest part by the whole log, once that has been read.

        The zone found from arriving lines of the part `newest` holds for all of it.
        """
        self.stage = "whole"
        for name, part in self._parts.items():
            known = newest._parts.get(name)
            shift = part.follow_zone(known.zone) if known is not None else 0.0
            yield Batch(
                source_of(self.source, name),
                tz=part.zone.tz,
                zone_assumed=part.zone.assumed,
                shift=shift,
                file=self.path,
                stage="complete",
                part=self._streams.name(name),
            )

    def finish(self) -> Iterator[Batch]:
        """Yield a last line that lacks its newline."""
        for chunk in self._follower.finish():
            yield from self._batches(chunk)

    @property
    def zone(self) -> Zone:
        """The zone of its stamps as known now."""
        return self._parts[MAIN].zone

    @property
    def runs(self) -> Runs:
        """Facts about its server's runs, needed for recordings beside it."""
        return self._parts[MAIN].runs

    @property
    def trouble(self) -> str | None:
        """Why it cannot be read now."""
        return self._said

    @property
    def trouble_since(self) -> float | None:
        """Wall clock at which `trouble` began."""
        return self._since

    @property
    def ended(self) -> bool:
        """Whether nothing more can arrive: a pipe that its writer closed."""
        return self.path == STDIN and bool(getattr(self._follower, "ended", False))

    def close(self) -> None:
        """Close the file."""
        self._follower.close()

    def _new_part(self, run: int = 0) -> Part:
        once = self.stage == "whole" and not self._options.live
        large = once and size_of(self.path) > 2 * WORTH_IT
        return Part(self._formats, self._options, twin=self.twin, run=run, large=large)

    def _batches(self, chunk: Chunk) -> Iterator[Batch]:
        """Yield the records of a chunk for each server that writes into this file."""
        continued = self._continues(chunk)
        size, alone = len(chunk.data), not self._streams.name(MAIN)
        parts = self._streams.read(chunk.data, continued=continued)
        if alone and self._streams.name(MAIN) and all(name != MAIN for name, _ in parts):
            parts.insert(0, (MAIN, b""))  # it has no lines here, but has a name from now on
        for name, lines in parts:
            own = MAIN if self.twin else name  # a companion belongs to its log's own server
            batch = self._batch(own, lines, chunk, continued=continued)
            told = "" if self.twin else self._streams.name(own)
            yield replace(batch, size=size, part=told)
            size = 0

    def _batch(
        self,
        name: str,
        lines: bytes,
        chunk: Chunk,
        *,
        continued: bool,
    ) -> Batch:
        """Return the records of one server's lines."""
        now = self._options.now()
        part = self._parts.get(name)
        if part is None:
            part = self._parts[name] = self._new_part()
        clock = None if part.has_clock else self._clock(lines, now)
        scan = part.scan(lines, clock, continued=continued)
        arrived = now if self.caught_up and self._options.live else None
        shift = part.rezone(scan.newest_stamp, arrived)
        before = part.run
        items = part.numbered(scan, shift)
        new_run = self._options.places and part.run > before and not self._streams.named
        newest, zone = scan.newest_stamp, part.zone
        return Batch(
            source_of(self.source, name),
            items,
            twin=self.twin,
            newest_stamp=newest if newest is None else newest + shift,
            arrived=arrived,
            tz=zone.tz,
            zone_assumed=zone.assumed,
            shift=shift,
            trouble=self._said,
            trouble_since=self._since,
            stats_like=scan.stats_like,
            damaged=scan.damaged,
            lines=scan.lines,
            file=self.path,
            stage=self.stage,
            past=(min(chunk.offset + len(chunk.data), self.size), self.size)
            if self.stage == "past"
            else None,
            began=self._begins(chunk, items, before) if new_run else (),
        )

    def _begins(
        self, chunk: Chunk, items: Sequence[Item], before: int
    ) -> tuple[tuple[int, int], ...]:
        """Return where the runs in a chunk begin; `before` is the run that continues into it."""
        from vllm_watch.ingest.places import begins_of

        return begins_of(chunk, items, before, self._formats)

    def _continues(self, chunk: Chunk) -> bool:
        """Return whether a chunk begins within the line that the chunk before it left open."""
        continued = self._unended == (chunk.identity, chunk.offset)
        end = (chunk.identity, chunk.offset + len(chunk.data))
        self._unended = None if chunk.data.endswith(b"\n") else end
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
