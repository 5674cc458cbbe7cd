"""All logs that match the given paths: read once, or followed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from vllm_watch.core.dataclass import replace
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.news import News, PathSearch, bytes_of
from vllm_watch.core.records import Stage
from vllm_watch.ingest.backlog import Backlog, is_large
from vllm_watch.ingest.filereader import FileReader, size_of
from vllm_watch.ingest.options import ReadOptions
from vllm_watch.ingest.restingfiles import RestingFiles
from vllm_watch.parsing.formats import Formats
from vllm_watch.sources.commandwords import commands_of
from vllm_watch.sources.descriptors import DescriptorPool
from vllm_watch.sources.filesystems import FileSystems
from vllm_watch.sources.follower import FollowOptions
from vllm_watch.sources.listing import Listings
from vllm_watch.sources.paths import (
    STDIN,
    Found,
    LogFinder,
    LogSet,
    folders_of,
    is_recording,
    is_stream,
)

if TYPE_CHECKING:
    from vllm_watch.sources.wakeups import PollSchedule, StopEvent


def _places_of(path: str, folders: dict[str, str]) -> set[str]:
    """Return the locations of a file: its absolute path, and the target of its links.

    `folders` caches the targets of folders: there are far fewer of them than files.
    """
    place = os.path.abspath(path)
    if os.path.islink(place):
        return {place, os.path.realpath(place)}
    folder, name = os.path.split(place)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    return {place, os.path.join(folders[folder], name)}


class Ingest:
    """All logs that match the given paths, read once or followed."""

    def __init__(
        self, patterns: Sequence[str], formats: Formats, options: ReadOptions | None = None
    ) -> None:
        """Read `patterns`: files, globs, folders, `-`."""
        self.patterns = tuple(patterns)
        self.found = Found((), ())
        self._finder = LogFinder(self.patterns)
        self.formats = formats
        self._stop: StopEvent | None = None
        self._options = replace(
            options or ReadOptions(),
            stopped=self._is_stopped,
            commands=commands_of(self.patterns),
        )
        systems = FileSystems()
        self._following = FollowOptions(
            pool=DescriptorPool(),
            clock=self._options.clock,
            now=self._options.now,
            reopens=systems.reopens,
            rotated=self._options.rotated,
            patient=self._options.live,
            listings=Listings(systems.kind),
        )
        self._resting = RestingFiles(systems.kind, self._options.clock)
        self._readers: dict[str, FileReader] = {}
        self._backlog = Backlog()
        self._places: dict[str, set[FileReader]] = {}
        """The readers by their files' locations: absolute paths, and targets of links."""
        self._troubles_since: dict[str, float] = {}
        """Wall clock at which each trouble with a folder was seen first."""
        self._ranks: dict[FileReader, int] = {}
        """The places of the readers in the order in which their files were found."""
        self._streams: tuple[FileReader, ...] = ()
        """The readers of pipes and commands, which are looked at each time."""
        self._linked = False
        """Whether a file is a link: its target may change without notice."""
        self._unrelated: set[str] = set()
        """Files that changed since the last poll and belong to no log."""

    def _is_stopped(self) -> bool:
        return self._stop is not None and self._stop.is_set()

    def read_once(self, stop: StopEvent | None = None) -> Iterator[News]:
        """Yield everything in the files as they are now, source by source, in file order.

        A pipe is read to its end, or until `stop` is set.
        """
        self._stop = stop
        self.discover()
        for reader in self._readers.values():
            yield from reader.read()
            yield from reader.finish()
            reader.close()

    def reader(self, path: str) -> FileReader | None:
        """Return the reader of a file, None if there is none."""
        return self._readers.get(path)

    def follow(
        self, stop: StopEvent, *, waits: Callable[[], object] = lambda: None
    ) -> Iterator[News | PathSearch]:
        """Yield all existing lines, then new ones, until `stop` is set; new files join.

        `waits` is called when everything is passed on and reading waits for more.
        """
        from vllm_watch.sources.wakeups import PollSchedule, wakeups

        options = self._options
        streams = any(map(is_stream, self.patterns))
        seconds = min(0.1, options.poll_seconds) if streams else options.poll_seconds
        schedule = PollSchedule(seconds, options.clock)
        folders = partial(folders_of, self.patterns)
        while not stop.is_set():
            for changed in wakeups(folders, stop, schedule, events=options.events):
                yield from self._look(changed, stop, schedule)
                if options.ends and self._ended():
                    yield self._searched()  # lines held until a `PathSearch` are released
                    return
                if self._backlog or stop.is_set():
                    break
                waits()
            yield from self._catch_up(stop)

    def _ended(self) -> bool:
        """Return whether standard input was the only source and has ended."""
        return set(self.patterns) == {STDIN} and all(r.ended for r in self._readers.values())

    def _look(
        self, changed: set[str] | None, stop: StopEvent, schedule: PollSchedule | None = None
    ) -> Iterator[News | PathSearch]:
        """Yield new lines of the files that changed, or of all files if unknown.

        A `PathSearch` comes at the end of all files, and after a poll without news: then the last
        line of each file is complete.
        """
        quiet = schedule is not None and not schedule.by_event
        for reader in self._concerned(changed, schedule):
            known = reader.caught_up
            for news in reader.read():
                quiet = quiet and not bytes_of(news)
                if schedule is not None and known and bytes_of(news):
                    schedule.grew(reader.path)
                    self._resting.grew(reader.path, by_event=schedule.by_event)
                yield news
                if stop.is_set():
                    return
        if changed is None or quiet:
            yield self._searched()

    def _catch_up(self, stop: StopEvent) -> Iterator[News | PathSearch]:
        """Read the past of large logs; between two slices, read new lines."""
        while self._backlog and not stop.is_set():
            for item in self._backlog.read():
                if isinstance(item, FileReader):
                    yield from self._complete(item)
                else:
                    yield item
                if stop.is_set():
                    return
            yield from self._look(None, stop)

    def _complete(self, reader: FileReader) -> Iterator[News]:
        """Replace the newest part of a log by the whole log.

        Its companions are read again: their lines belong to runs that were not known before.
        """
        newest = self._readers.get(reader.path)
        self._readers[reader.path] = reader
        if newest is None:  # a large companion: none of it was shown
            self._place()
            return
        newest.close()
        for twin in [r for r in self._readers.values() if r.source == reader.path and r.twin]:
            twin.close()
            self._readers[twin.path] = self._reader(twin.path, reader.path)
            self._readers[twin.path].continues(twin)
        self._place()
        yield from reader.completed(newest)

    def _concerned(
        self, changed: set[str] | None, schedule: PollSchedule | None
    ) -> list[FileReader]:
        """Return the readers of the files that changed, or of all due ones if unknown."""
        # Events name a folder as it was given, such as "." or "logs/".
        names, at = changed or (), self._places
        places = {name if name in at else os.path.abspath(name) for name in names}
        if changed is None or any(
            place not in self._places and place not in self._unrelated for place in places
        ):
            known = len(self._readers)
            self.discover()
            self._unrelated = places if changed is not None else set()
            if places or self._linked or len(self._readers) != known:
                self._place()
        if changed is None:
            due = self._resting.due(self._readers, schedule.watched if schedule else ())
            return [reader for path, reader in self._readers.items() if path in due]
        concerned = {reader for place in places for reader in self._places.get(place, ())}
        return sorted(concerned.union(self._streams), key=self._ranks.__getitem__)

    def _place(self) -> None:
        """Index the readers by their files' locations."""
        self._places = {}
        self._ranks = {reader: rank for rank, reader in enumerate(self._readers.values())}
        self._streams = tuple(reader for reader in self._ranks if is_stream(reader.path))
        folders: dict[str, str] = {}
        for path, reader in self._readers.items():
            for place in _places_of(path, folders):
                self._places.setdefault(place, set()).add(reader)
        self._linked = any(os.path.islink(path) for path in self._readers)

    def discover(self) -> Found:
        """Search the logs of the patterns now, and read new ones from here on."""
        found = self._finder.find()
        if found is not self.found:
            self.found = found
            for logs in found.logs:
                self._add(logs)
        return found

    @property
    def size(self) -> int:
        """Bytes of all files as they are now."""
        return sum(size_of(path) for path in self._readers)

    def close(self) -> None:
        """Close all files."""
        self._backlog.close()
        for reader in self._readers.values():
            reader.close()

    def _add(self, logs: LogSet) -> None:
        for path in (logs.source, *logs.twins, *logs.recordings):
            if path in self._readers or path in self._backlog:
                continue
            twin = path != logs.source
            if self._options.newest_first and is_large(path) and twin and not is_recording(path):
                self._backlog.add(self._reader(path, logs.source))
            else:
                self._readers[path] = self._reader(path, logs.source)

    def _reader(self, path: str, source: str) -> FileReader:
        """Return the reader of a file; of a large one the newest part first, if wanted."""
        options, twin = self._options, path != source
        if is_recording(path) and twin:
            from vllm_watch.ingest.recordingreader import RecordingReader

            return RecordingReader(
                path,
                source,
                self.formats,
                options,
                self._following,
                log=lambda: self._readers.get(source),
            )
        if options.newest_only and is_large(path, skipping=True):
            stage: Stage = "newest"
        elif options.newest_first and not twin and is_large(path):
            stage = "newest"
            whole = FileReader(
                path, source, self.formats, options, self._following, twin=twin, stage="past"
            )
            self._backlog.add(whole)
        else:
            stage = "whole"
        log = self._readers.get(source) if twin else None
        following = self._following
        return FileReader(
            path, source, self.formats, options, following, twin=twin, stage=stage, log=log
        )

    def _searched(self) -> PathSearch:
        now = self._options.now()
        texts = self.found.troubles
        self._troubles_since = {text: self._troubles_since.get(text, now) for text in texts}
        return PathSearch(
            now,
            len(self.found.logs),
            self.found.missing,
            texts,
            troubles_since=tuple(self._troubles_since[text] for text in texts),
        )
