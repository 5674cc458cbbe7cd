"""Files in, batches out: the one place that joins sources and parsing.

Everything above it (the screen, exports, checks) sees only batches of records.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from vllm_watch.core.records import Batch, Event, Looked, Record, Requests, Sample
from vllm_watch.core.runs import RunCounter
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.scanner import Scanner
from vllm_watch.parsing.timestamps import ASSUMED, StampClock, Zone, has_stamp
from vllm_watch.parsing.zonefinder import ZoneFinder, clock_for
from vllm_watch.sources.capture import capture_of
from vllm_watch.sources.chunks import Chunk
from vllm_watch.sources.compressed import SavedArchive, end_of, is_compressed
from vllm_watch.sources.descriptors import DescriptorPool
from vllm_watch.sources.filesystems import FileSystems
from vllm_watch.sources.follower import Follower, FollowOptions
from vllm_watch.sources.paths import STDIN, Found, LogSet, find_logs, folders_of
from vllm_watch.sources.standard_input import StandardInput
from vllm_watch.sources.wakeups import Pace, StopEvent, wakeups

UNSURE = ("modification time", "assumed")
"""Sources of a zone that lines which arrive may correct."""

PEEK = 64 * 1024
"""Bytes at a log's end in which its newest stamp is looked for."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How logs are read."""

    tz: tzinfo | None = None
    """Zone of the stamps as the user gave it."""
    live: bool = False
    """Following growing files (True) or reading them once."""
    poll_seconds: float = 1.0
    """How often everything is looked at, events or not."""
    events: bool = True
    """Whether to watch folders for events."""
    now: Callable[[], float] = time.time
    """The wall clock."""
    ends: bool = False
    """Whether following ends with standard input where that is all there is to follow."""
    rotated: bool = False
    """Whether to begin with the rotated files beside each log."""


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
    ) -> None:
        """Read `path` for the server whose log is `source`."""
        self.path = path
        self._source = source
        self._formats = formats
        self._options = options
        self._twin = twin
        self._follower: StandardInput | SavedArchive | Follower
        if path == STDIN:
            self._follower = StandardInput(wait=not options.live)
        elif is_compressed(path):
            self._follower = SavedArchive(path, options.now)
        else:
            self._follower = Follower(path, following, companion=twin)
        self._runs = RunCounter()
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
        empty = not self.caught_up and not self._twin
        for chunk in self._follower.read():
            empty = False
            yield self._batch(chunk)
        self.caught_up = True
        if empty and self._follower.trouble is None:
            # An empty log is a server, too: it is about to start.
            yield Batch(self._source, file=self.path)
        if self._follower.trouble != self._said:
            self._said, self._since = self._follower.trouble, self._follower.trouble_since
            zone = self._zone()
            yield Batch(
                self._source,
                twin=self._twin,
                tz=zone.tz,
                zone_assumed=zone.assumed,
                trouble=self._said,
                trouble_since=self._follower.trouble_since,
                file=self.path,
            )

    def finish(self) -> Iterator[Batch]:
        """Yield a last line that lacks its newline."""
        for chunk in self._follower.finish():
            yield self._batch(chunk)

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
        records = tuple(self._numbered(record, shift) for record in scan.records)
        newest = scan.newest_stamp
        zone = self._zone()
        return Batch(
            self._source,
            records,
            twin=self._twin,
            newest_stamp=newest if newest is None else newest + shift,
            arrived=arrived,
            tz=zone.tz,
            zone_assumed=zone.assumed,
            shift=shift,
            trouble=self._said,
            trouble_since=self._since,
            stats_like=scan.stats_like,
            lines=scan.lines,
            size=len(chunk.data),
            file=self.path,
        )

    def _continues(self, chunk: Chunk) -> bool:
        """Tell whether a chunk begins within the line that the chunk before it left open."""
        continued = self._unended == (chunk.identity, chunk.offset)
        end = (chunk.identity, chunk.offset + len(chunk.data))
        self._unended = None if chunk.data.endswith(b"\n") else end
        return continued

    def _numbered(self, record: Record, shift: float) -> Record:
        """Return the record with its run and, in the block that told the zone, its right time."""
        run = self._runs.feed(record)
        if isinstance(record, Sample):
            if shift or run:
                return replace(record, time=record.time + shift, run=run)
            return record
        if isinstance(record, Event | Requests):
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
                scanner = self._scanner = Scanner(self._formats, clock, twin=self._twin)
            elif clock is not None:
                scanner.clock = clock
        return scanner

    def _clock(self, head: bytes, now: float) -> StampClock | None:
        plain = self._formats.unwrapper.plain
        head = plain(head, dated=True)
        if not has_stamp(head):
            return None  # most twins never have one: their ends need not be looked at
        if self.path == STDIN:
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


def _places_of(path: str, folders: dict[str, str]) -> set[str]:
    """Return where a file is: its absolute path, and where links lead.

    `folders` keeps where folders lead: there are far fewer of them than files.
    """
    place = os.path.abspath(path)
    if os.path.islink(place):
        return {place, os.path.realpath(place)}
    folder, name = os.path.split(place)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    return {place, os.path.join(folders[folder], name)}


class Ingest:
    """All logs that the given paths mean, read once or followed."""

    def __init__(
        self, patterns: Sequence[str], formats: Formats, options: ReadOptions | None = None
    ) -> None:
        """Read what `patterns` mean: files, globs, folders, `-`."""
        self.patterns = tuple(patterns)
        self.found = Found((), ())
        self._formats = formats
        self._options = options or ReadOptions()
        self._following = FollowOptions(
            pool=DescriptorPool(),
            now=self._options.now,
            reopens=FileSystems().reopens,
            rotated=self._options.rotated,
        )
        self._readers: dict[str, FileReader] = {}
        self._places: dict[str, set[FileReader]] = {}
        """The readers by where their files are: as absolute paths, and where links lead."""
        self._strangers: set[str] = set()
        """Files beside the logs that changed since the last poll: they are none of ours."""

    def read_once(self) -> Iterator[Batch]:
        """Yield everything in the files as they are now, source by source, in file order."""
        self.discover()
        for reader in self._readers.values():
            yield from reader.read()
            yield from reader.finish()
            reader.close()

    def follow(self, stop: StopEvent) -> Iterator[Batch | Looked]:
        """Yield what exists, then what arrives, until `stop` is set; new files join."""
        options = self._options
        seconds = min(0.1, options.poll_seconds) if STDIN in self.patterns else options.poll_seconds
        pace = Pace(seconds)
        for changed in wakeups(self._folders, stop, seconds, events=options.events, pace=pace):
            for reader in self._concerned(changed):
                known = reader.caught_up
                for batch in reader.read():
                    if known and batch.size:
                        pace.grew(os.path.abspath(reader.path))
                    yield batch
                    if stop.is_set():
                        return
            ended = options.ends and self._ended()
            if changed is None or ended:
                yield self._looked()  # what is held back until the next look comes out
            if ended:
                return

    def _ended(self) -> bool:
        """Tell whether standard input was all there is, and is at its end."""
        return set(self.patterns) == {STDIN} and all(r.ended for r in self._readers.values())

    def _concerned(self, changed: set[str] | None) -> list[FileReader]:
        """Return the readers of the files that changed, of all files if that is not known."""
        # A folder that was given as "." or "logs/" is told of in just these words.
        places = {os.path.abspath(path) for path in changed or ()}
        if changed is None or not places <= self._places.keys() | self._strangers:
            self.discover()
            self._places = {}
            self._strangers = places if changed is not None else set()
            folders: dict[str, str] = {}
            for path, reader in self._readers.items():
                for place in _places_of(path, folders):
                    self._places.setdefault(place, set()).add(reader)
        if changed is None:
            return list(self._readers.values())
        concerned = {reader for place in places for reader in self._places.get(place, ())}
        return [
            reader
            for reader in self._readers.values()
            if reader in concerned or reader.path == STDIN
        ]

    def discover(self) -> Found:
        """Look which logs the patterns mean now, and read the new ones from here on."""
        self.found = find_logs(self.patterns)
        for logs in self.found.logs:
            self._add(logs)
        return self.found

    def close(self) -> None:
        """Close all files."""
        for reader in self._readers.values():
            reader.close()

    def _add(self, logs: LogSet) -> None:
        for path in (logs.source, *logs.twins):
            if path not in self._readers:
                self._readers[path] = FileReader(
                    path,
                    logs.source,
                    self._formats,
                    self._options,
                    self._following,
                    twin=path != logs.source,
                )

    def _folders(self) -> set[str]:
        return folders_of(self.patterns)

    def _looked(self) -> Looked:
        return Looked(
            self._options.now(),
            len(self.found.logs),
            self.found.missing,
            tuple(trouble.text for trouble in self.found.troubles),
        )
