"""Finds the oldest file of a log's family that has unread bytes.

One file at a time: it is read before the next one is searched, in a fresh list of the folder. A
file that cannot be opened delays newer ones, for a while. A file that changes during the search is
listed again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from vllm_watch.core.dataclass import dataclass
from vllm_watch.sources import chunks
from vllm_watch.sources.chunks import Chunk, Elsewhere
from vllm_watch.sources.compressed import ArchiveError, ArchiveStream, is_compressed
from vllm_watch.sources.descriptors import DescriptorPool
from vllm_watch.sources.document import HEAD, Document, Identity, ReplacedError, beginning
from vllm_watch.sources.documents import Documents, Unmatched
from vllm_watch.sources.listing import Listings
from vllm_watch.sources.openfile import GoneError, OpenFile
from vllm_watch.sources.rotated import TRIES, Entry, family, is_rotated_name, rotated_files
from vllm_watch.sources.troubles import list_trouble, open_trouble

PATIENCE_SECONDS = 10.0
"""For how long a file that cannot be read delays newer ones."""
PATIENCE_LOOKS = 5
"""Fewest searches for which it delays them."""


class BlockedError(Exception):
    """A file cannot be read now, and newer ones wait for it; the message names it."""


@dataclass(slots=True)
class HeldFile:
    """A file that is held open, whatever its present name."""

    file: OpenFile
    document: Document | None
    """The document read from it; None if unknown, or if nothing was read."""
    until: float
    """When its writer counts as gone."""


@dataclass(frozen=True, slots=True)
class UnreadFile:
    """A file with unread bytes, or the log itself in any case."""

    entry: Entry
    document: Document | None
    """The document it continues; None if it is empty."""
    file: OpenFile | ArchiveStream

    def read(self, documents: Documents, elsewhere: Elsewhere) -> Iterator[Chunk]:
        """Yield its unread lines; what `elsewhere` knows is not read.

        Raises:
            OSError: no more of it can be read.
            ArchiveError: it is broken or cut off; what is before that has been yielded.
        """
        document = self.document
        if document is None:
            return
        while True:
            if chunk := self._passed(document, elsewhere):
                yield from documents.finish_before(document)
                yield chunk
            elif data := self._more(document):
                yield from documents.finish_before(document)
                yield from document.take(data)
            else:
                break
        if isinstance(self.file, ArchiveStream):
            document.identity = None

    def _passed(self, document: Document, elsewhere: Elsewhere) -> Chunk | None:
        """Return the next lines if they need not be read."""
        if isinstance(self.file, ArchiveStream):
            return None
        lines = elsewhere(self.file.identity, document.offset)
        if lines is None:
            return None
        with contextlib.suppress(GoneError):
            return document.pass_over(self.file.descriptor(), lines)
        return None

    def _more(self, document: Document) -> bytes:
        if isinstance(self.file, ArchiveStream):
            return self.file.read(chunks.BLOCK)
        with contextlib.suppress(ReplacedError, GoneError):  # checked again at the next turn
            return document.new_in(self.file.descriptor())
        return b""


class Finder:
    """Searches the family of one log."""

    def __init__(
        self,
        log: str,
        documents: Documents,
        pool: DescriptorPool,
        listings: Listings,
        clock: Callable[[], float],
        held: Callable[[], list[HeldFile]],
        *,
        patient: bool,
    ) -> None:
        """Search for bytes that are not in `documents`; `held` files are already open.

        Without patience, newer files do not wait for one that cannot be read.
        """
        self.problem: str | None = None
        """Why files were skipped at this look: they cannot be read and are no longer waited for."""
        self.newest: str | None = None
        """The newest rotated file that may still be written to, at the last look."""
        self._log = log
        self._documents = documents
        self._pool = pool
        self._listings = listings
        self._clock = clock
        self._held = held
        self._done: dict[Identity, tuple[int, int]] = {}
        """Size and modification time of rotated files that are fully read."""
        self._skipped: set[Identity] = set()
        """Files that could not be read at this look and are no longer waited for."""
        self._patience = patient
        self._blocked_since: float | None = None
        self._blocked_looks = 0
        self._counted = False

    def pass_over_all(self) -> None:
        """Treat all existing rotated files as the past, which is not read."""
        with contextlib.suppress(OSError):
            for entry in rotated_files(self._log, self._listings):
                self._done[entry.identity] = (entry.size, entry.modified)
                if is_compressed(entry.path):
                    continue
                with contextlib.suppress(OSError):
                    descriptor = self._pool.open(entry.path)
                    try:
                        past = Document.passed(entry.identity, descriptor, entry.size)
                    finally:
                        os.close(descriptor)
                    if past.head:
                        self._documents.add(past)

    def held(self, identity: Identity) -> OpenFile | None:
        """Return the file held open with an identity."""
        return next((one.file for one in self._held() if one.file.identity == identity), None)

    def begin(self) -> None:
        """Begin a look."""
        self.problem = None
        self._skipped = set()
        self._counted = False

    def find(self) -> UnreadFile | None:
        """Return the oldest file with unread bytes, the log itself if there is none.

        None if there is no log, and nothing unread.

        Raises:
            OSError: the folder cannot be listed.
            BlockedError: a file cannot be read now, and everything newer waits for it.
            InterruptedError: the folder changes faster than it can be searched.
        """
        for _ in range(TRIES):
            listed = self._listed()
            entries = self._with_nameless(listed)
            try:
                found = self._oldest(entries)
            except (FileNotFoundError, GoneError):
                continue  # between two names
            same = False
            try:
                same = [e.identity for e in self._listed()] == [e.identity for e in listed]
                if same:
                    self._enter(found, entries)
            except BaseException:
                self.release(found)
                raise
            if same:
                return found
            self.release(found)
        raise InterruptedError(f"{self._log}: changes faster than it can be read")

    def settled(self, found: UnreadFile) -> None:
        """Note that a rotated file was read to its end."""
        entry = found.entry
        self._done[entry.identity] = (entry.size, entry.modified)

    def release(self, found: UnreadFile | None) -> None:
        """Close a file that is not held open elsewhere."""
        if found and (
            isinstance(found.file, ArchiveStream) or self.held(found.file.identity) is None
        ):
            found.file.close()

    def give_up(self, found: UnreadFile, problem: str) -> None:
        """Skip a file that cannot be read to its end, or let newer ones wait for it.

        Raises:
            BlockedError: it is not time yet to continue without it.
        """
        self.release(found)
        self._excuse(found.entry, problem)

    def unblocked(self) -> None:
        """Note that everything could be read."""
        if self.problem is None:
            self._blocked_since, self._blocked_looks = None, 0

    def _with_nameless(self, entries: list[Entry]) -> list[Entry]:
        """Return the listed files and, in their order, those that are held open but not listed."""
        listed = {entry.identity for entry in entries}
        # All new bytes of the others have been read; they are also older than the listed ones.
        unknown = [one.file for one in self._held() if not (one.document and one.document.head)]
        nameless = [_nameless(file) for file in unknown if file.identity not in listed]
        # Rotated files are older: at most they hold copies of these bytes.
        at = len(entries) - (1 if entries and entries[-1].is_log else 0)
        return entries[:at] + [entry for entry in nameless if entry] + entries[at:]

    def _listed(self) -> list[Entry]:
        try:
            return family(self._log, self._listings)
        except FileNotFoundError:
            raise
        except PermissionError as error:
            # A log in a folder that may be entered but not listed is still a log.
            if any(self._documents) and self._patient():
                raise BlockedError(list_trouble(self._log, error)) from error
            status = os.stat(self._log)
            identity = (status.st_dev, status.st_ino)
            return [Entry(self._log, identity, status.st_size, status.st_mtime_ns, is_log=True)]

    def _oldest(self, entries: list[Entry]) -> UnreadFile | None:
        paths = {entry.path for entry in entries if entry.listed}
        for at, entry in enumerate(entries):
            if entry.identity in self._skipped or self._is_done(entry):
                continue
            packed = is_compressed(entry.path)
            if packed and os.path.splitext(entry.path)[0] in paths:
                continue  # it is being made from a file that we read
            try:
                found = (self._examined_archive if packed else self._examined)(entries, at)
            except FileNotFoundError:
                raise
            except ArchiveError as error:
                self._excuse(entry, f"{entry.path}: {error}")
                self._done[entry.identity] = (entry.size, entry.modified)
                continue
            except OSError as error:
                if entry.is_log:
                    raise BlockedError(open_trouble(entry.path, error)) from error
                self._excuse(entry, open_trouble(entry.path, error))
                continue
            if found:
                return found
        return None

    def _is_done(self, entry: Entry) -> bool:
        return not entry.is_log and self._done.get(entry.identity) == (entry.size, entry.modified)

    def _enter(self, found: UnreadFile | None, entries: list[Entry]) -> None:
        """Insert a found file among the documents; drop those that are long gone."""
        plain = [e.path for e in entries if is_rotated_name(e.path, self._log)]
        plain = [path for path in plain if not is_compressed(path)]
        self.newest = plain[-1] if plain else None
        there = {entry.identity for entry in entries}
        self._documents.forget(there)
        for gone in [identity for identity in self._done if identity not in there]:
            del self._done[gone]
        if found and found.document:
            newer = [entry.identity for entry in entries[entries.index(found.entry) + 1 :]]
            first_bytes = self._first_bytes(entries)
            self._documents.add(
                found.document,
                lambda one: (
                    bool(one.head) and one.identity in newer and first_bytes(one) is not None
                ),
            )

    def _examined(self, entries: list[Entry], at: int) -> UnreadFile | None:
        entry = entries[at]
        file = self._opened(entry)
        found = UnreadFile(entry, None, file)
        keep = False
        try:
            if file.identity != entry.identity:
                raise FileNotFoundError(entry.path)  # it changed in the meantime
            match = self._documents.match(entry, file.descriptor(), self._first_bytes(entries))
            document = self._document(match, entry, file.descriptor)
            for held in self._held():
                if held.file is file:
                    held.document = document
            if entry.is_log:
                keep = True
                if document:
                    document.was_log = True
            elif document:
                keep = document.offset < file.status().st_size
            if keep:
                return UnreadFile(entry, document, file)
            self._done[entry.identity] = (entry.size, entry.modified)
            return None
        finally:
            if not keep:
                self.release(found)

    def _examined_archive(self, entries: list[Entry], at: int) -> UnreadFile | None:
        entry = entries[at]
        match, stream = self._documents.match_archive(entry, self._first_bytes(entries))
        found = UnreadFile(entry, None, stream)
        try:
            if match in ("copy", "empty"):
                self.release(found)
                return None
            document = self._document(match, entry, lambda: stream)
        except BaseException:
            self.release(found)
            raise
        return UnreadFile(entry, document, stream)

    def _document(
        self,
        match: Document | Unmatched,
        entry: Entry,
        opened: Callable[[], int | ArchiveStream],
    ) -> Document | None:
        if isinstance(match, Document):
            return match
        if match != "new":
            return None
        source = opened()
        start = (
            source.offset if isinstance(source, ArchiveStream) else beginning(source, entry.size)
        )
        document = Document(entry.identity, start)
        before = self._documents.replaced_in(entry.identity)
        if start and before and before.offset == start:
            document.inherit(before)  # a hole up to our position: its writer continues there
        return document

    def _first_bytes(self, entries: list[Entry]) -> Callable[[Document], bytes | None]:
        by_identity = {entry.identity: entry for entry in entries}

        def first_bytes(document: Document) -> bytes | None:
            entry = by_identity.get(document.identity) if document.identity else None
            if entry is None or is_compressed(entry.path):
                return None
            file = self._opened(entry)
            try:
                descriptor = file.descriptor()
                if file.identity != document.identity or not document.matches(descriptor):
                    return None
                return os.pread(descriptor, HEAD, document.start)
            finally:
                if self.held(file.identity) is not file:
                    file.close()

        return first_bytes

    def _opened(self, entry: Entry) -> OpenFile:
        file = self.held(entry.identity) or OpenFile(entry.path, self._pool)
        file.path = entry.path  # where it is opened again
        return file

    def _excuse(self, entry: Entry, problem: str) -> None:
        """Let newer files wait for a file that cannot be read, but not forever."""
        if self._patient():
            raise BlockedError(problem)
        self.problem = problem
        self._skipped.add(entry.identity)

    def _patient(self) -> bool:
        if not self._patience:
            return False
        now = self._clock()
        if self._blocked_since is None:
            self._blocked_since = now
        if not self._counted:
            self._counted = True
            self._blocked_looks += 1
        return now < self._blocked_since + PATIENCE_SECONDS or self._blocked_looks < PATIENCE_LOOKS


def _nameless(file: OpenFile) -> Entry | None:
    """Return an open file that was deleted or moved away, in the form of a listed one."""
    try:
        status = file.status()
    except (OSError, GoneError):
        return None
    return Entry(file.path, file.identity, status.st_size, status.st_mtime_ns, listed=False)
