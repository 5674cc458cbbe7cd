"""One file read into batches: its bytes, its zone, its runs."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from vllm_watch.core.recorded import EngineRow
from vllm_watch.core.records import (
    Amendment,
    Batch,
    Event,
    Item,
    Requests,
    RequestTable,
    Sample,
    SampleTable,
    Stage,
)
from vllm_watch.core.runs import RunCounter
from vllm_watch.ingest.options import ReadOptions
from vllm_watch.ingest.substitutes import Runs
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.scanner import Scanner
from vllm_watch.parsing.timestamps import ASSUMED, StampClock, Zone, has_stamp
from vllm_watch.parsing.zonefinder import ZoneFinder, clock_for
from vllm_watch.sources.capture import capture_of
from vllm_watch.sources.chunks import Chunk
from vllm_watch.sources.commands import CommandOutput
from vllm_watch.sources.compressed import SavedArchive, end_of, is_compressed
from vllm_watch.sources.follower import Follower, FollowOptions
from vllm_watch.sources.paths import STDIN, is_stream
from vllm_watch.sources.standard_input import StandardInput

UNSURE = ("modification time", "assumed")
"""Sources of a zone that lines which arrive may correct."""

PEEK = 64 * 1024
"""Bytes at a log's end in which its newest stamp is looked for."""

HEAD = 256 * 1024
"""Bytes at a large log's beginning that are read for its newest part: the start-up stands there."""

NEWEST = 1024 * 1024
"""Bytes at a large log's end that are its newest part: some 15 minutes of a busy server."""


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
    ) -> None:
        """Read `path` for the server whose log is `source`.

        At the stage `newest` only its beginning, its newest part and what is appended are read.
        """
        self.path = path
        self.stage: Stage = stage
        self.size = size_of(path) if stage != "whole" else 0
        """Bytes that it had when it was begun to be read in stages."""
        self.source = source
        self._formats = formats
        self._options = options
        self.twin = twin
        start = max(0, self.size - NEWEST) if stage == "newest" else 0
        self._follower: StandardInput | CommandOutput | SavedArchive | Follower
        if path == STDIN:
            self._follower = StandardInput(wait=not options.live, stopped=options.stopped)
        elif path in options.commands:
            self._follower = CommandOutput(
                path,
                options.commands[path],
                wait=not options.live,
                stopped=options.stopped,
                clock=options.clock,
                now=options.now,
            )
        elif is_compressed(path):
            self._follower = SavedArchive(path, options.now)
        else:
            self._follower = Follower(path, following, companion=twin, start=start)
        self._runs = RunCounter()
        self.runs = Runs()
        """What it told of its runs, for what is recorded beside it."""
        self._scanner: Scanner | None = None
        self._finder = ZoneFinder()
        self.caught_up = False
        """Whether it has been looked at to its end once."""
        self._said: str | None = None
        self._since: float | None = None
        self._unended: tuple[tuple[int, int], int] | None = None
        """Where the newest chunk ended, if that was within a line."""

    def read(self) -> Iterator[Batch]:
        """Yield what is new; `arrived` is set for what came after the first look."""
        empty = not self.caught_up and not self.twin
        if self.stage == "newest" and not self.caught_up:
            for chunk in _head_of(self.path):
                batch = self._batch(chunk)
                # What lies between is not known yet: no chart or alert may reach across it.
                kept = (
                    r for r in batch.items if not isinstance(r, Sample | Amendment | SampleTable)
                )
                yield replace(batch, items=tuple(kept))
        for chunk in self._follower.read():
            empty = False
            yield self._batch(chunk)
        self.caught_up = True
        if empty and self._follower.trouble is None:
            # An empty log is a server, too: it is about to start.
            yield Batch(self.source, file=self.path)
        if self._follower.trouble != self._said:
            self._said, self._since = self._follower.trouble, self._follower.trouble_since
            zone = self._zone()
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

    def completed(self, newest: FileReader) -> Batch:
        """Return the word that the whole log has been read, and takes its newest part's place.

        The zone that lines told while they arrived at `newest` holds for all of it.
        """
        self.stage = "whole"
        shift = 0.0
        if self._scanner and newest._zone().source == "arrival" and self._zone().source in UNSURE:
            shift = self._scanner.clock.rezone(newest._zone())
        zone = self._zone()
        return Batch(
            self.source,
            tz=zone.tz,
            zone_assumed=zone.assumed,
            shift=shift,
            file=self.path,
            stage="complete",
        )

    def finish(self) -> Iterator[Batch]:
        """Yield a last line that lacks its newline."""
        for chunk in self._follower.finish():
            yield self._batch(chunk)

    @property
    def zone(self) -> Zone:
        """The zone of its stamps as known now."""
        return self._zone()

    @property
    def trouble(self) -> str | None:
        """Why it cannot be read now."""
        return self._said

    @property
    def trouble_since(self) -> float | None:
        """Wall clock at which that began."""
        return self._since

    @property
    def ended(self) -> bool:
        """Whether nothing can come any more: a pipe that its writer closed."""
        return isinstance(self._follower, StandardInput) and self._follower.ended

    def close(self) -> None:
        """Close the file."""
        self._follower.close()

    def _batch(self, chunk: Chunk) -> Batch:
        now = self._options.now()
        scanner = self._ready_scanner(chunk.data, now)
        scan = scanner.scan(chunk.data, continued=self._continues(chunk))
        arrived = now if self.caught_up and self._options.live else None
        shift = self._rezone(scanner, scan.newest_stamp, arrived)
        if shift:
            self.runs.shift(shift)
        items = tuple(self._numbered(item, shift) for item in scan.items)
        newest = scan.newest_stamp
        zone = self._zone()
        return Batch(
            self.source,
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
            size=len(chunk.data),
            file=self.path,
            stage=self.stage,
            past=(min(chunk.offset + len(chunk.data), self.size), self.size)
            if self.stage == "past"
            else None,
        )

    def _continues(self, chunk: Chunk) -> bool:
        """Tell whether a chunk begins within the line that the chunk before it left open."""
        continued = self._unended == (chunk.identity, chunk.offset)
        end = (chunk.identity, chunk.offset + len(chunk.data))
        self._unended = None if chunk.data.endswith(b"\n") else end
        return continued

    def _numbered(self, record: Item, shift: float) -> Item:
        """Return the record with its run and, in the block that told the zone, its right time."""
        run = self._runs.feed(record)
        if isinstance(record, SampleTable | RequestTable):
            return record.moved(shift, run) if shift or run else record
        if isinstance(record, Sample):
            if shift or run:
                return replace(record, time=record.time + shift, run=run)
            return record
        if isinstance(record, EngineRow):
            return replace(record, time=record.time + shift) if shift else record
        if isinstance(record, Event | Requests):
            self.runs.feed(record, run)
            moved = record.time + shift if record.time is not None else None
            return replace(record, time=moved, run=run) if shift or run else record
        return record

    def _zone(self) -> Zone:
        return self._scanner.clock.zone if self._scanner else ASSUMED

    def _ready_scanner(self, data: bytes, now: float) -> Scanner:
        """Return the scanner; its clock is settled by the first block that holds a stamp."""
        scanner = self._scanner
        if scanner is None or scanner.clock.newest is None:
            clock = self._clock(data, now)
            if scanner is None:
                clock = clock or StampClock(ASSUMED, time.gmtime(now).tm_year)
                scanner = self._scanner = Scanner(self._formats, clock, twin=self.twin)
            elif clock is not None:
                scanner.clock = clock
        return scanner

    def _clock(self, head: bytes, now: float) -> StampClock | None:
        plain = self._formats.unwrapper.plain
        head = plain(head, dated=True)
        if not has_stamp(head):
            return None  # most twins never have one: their ends need not be looked at
        if is_stream(self.path):
            zone = Zone(self._options.tz, "given") if self._options.tz else None
            return clock_for(head, head, now, now, zone, None)
        capture = capture_of(self.path)
        zone = Zone(capture.tz, "capture") if capture.tz else None
        if self._options.tz:
            zone = Zone(self._options.tz, "given")
        tail, modified = _tail(self.path)
        tail = plain(tail, dated=True) or head
        return clock_for(head, tail, modified or now, now, zone, capture.year)

    def _rezone(self, scanner: Scanner, newest: float | None, arrived: float | None) -> float:
        """Return the shift of all times if what arrived just now tells another zone."""
        zone = scanner.clock.zone
        if arrived is None or newest is None or zone.source not in UNSURE:
            return 0.0
        stamped = datetime.fromtimestamp(newest, zone.tz).replace(tzinfo=UTC)
        found = self._finder.feed(stamped.timestamp(), arrived)
        return scanner.clock.rezone(found) if found else 0.0


def size_of(path: str) -> int:
    """Return the size of a plain file in bytes, 0 for anything else."""
    try:
        status = os.stat(path)
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _head_of(path: str) -> Iterator[Chunk]:
    """Yield the whole lines of a file's beginning; what cannot be read is told by its follower."""
    try:
        with Path(path).open("rb") as file:
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
        with Path(path).open("rb") as file:
            status = os.fstat(file.fileno())
            file.seek(max(0, status.st_size - PEEK))
            return file.read(PEEK), status.st_mtime
    except OSError:
        return b"", None
