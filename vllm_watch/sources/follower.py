"""Follows one log: yields whole lines in order, whatever happens to its files.

The file at the path is read through an open descriptor. So is, for a while, the file that was there
before: a writer continues in a renamed file until it reopens the path. As long as the path leads to
the same file and the bytes already read are still in it, that is all. After any other change, all
files of the log's family (`rotated.py`) are compared with the bytes already read (`documents.py`),
and unread bytes are read, the oldest first (`oldestunread.py`).

Two things cannot be detected: bytes that were written and removed between two checks without a
copy; and a truncated file that has, at the next check, the same bytes at its beginning and before
the read position. A file that was shortened, but not emptied, continues at its new end if the rest
is long enough to compare (256 to 4096 bytes). Otherwise it is read again: then lines are doubled,
but none is lost.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Generator, Iterator

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.sources import chunks
from vllm_watch.sources.chunks import Chunk, Elsewhere
from vllm_watch.sources.compressed import ArchiveError
from vllm_watch.sources.descriptors import DescriptorPool
from vllm_watch.sources.document import Document, ReplacedError
from vllm_watch.sources.documents import Documents
from vllm_watch.sources.listing import Listings
from vllm_watch.sources.oldestunread import BlockedError, Finder, HeldFile, UnreadFile
from vllm_watch.sources.openfile import GoneError, OpenFile
from vllm_watch.sources.troubles import kind_trouble, open_trouble, read_trouble

_USUAL_LINE = 64 * 1024
"""Bytes in which the end of a line is searched first; hardly any line is longer."""
LINGER_SECONDS = 60.0
"""Seconds of quiet after which the writer of an old file counts as gone."""
SETTLED_SECONDS = 2.0
"""Seconds a file must be unchanged before one `stat` is enough to skip it."""
MOST_HELD = 4
"""Most old files held open."""


@dataclass(frozen=True, slots=True)
class FollowOptions:
    """How files are followed, and replacements for tests."""

    pool: DescriptorPool = field(default_factory=DescriptorPool)
    """The descriptors of all files together."""
    listings: Listings = field(default_factory=Listings)
    """The file names in all folders."""
    clock: Callable[[], float] = time.monotonic
    """A clock that only grows."""
    now: Callable[[], float] = time.time
    """The wall clock, for the beginning of troubles."""
    reopens: Callable[[str], bool] = lambda _: False
    """Whether only opening a file again shows its true size: NFS."""
    rotated: bool = False
    """Begin with the rotated files that exist already."""
    patient: bool = True
    """Whether there will be more looks: newer files wait for a file that cannot be read now."""


def _is_read(document: Document, status: os.stat_result | None) -> bool:
    """Return whether a document has been read up to the size that its file had."""
    known = status is not None and document.identity == (status.st_dev, status.st_ino)
    return known and status is not None and document.offset >= status.st_size


class Follower:
    """Reads what has been appended to a path since the last look."""

    def __init__(
        self,
        path: str,
        options: FollowOptions | None = None,
        *,
        companion: bool = False,
        start: int = 0,
    ) -> None:
        """Follow `path`, from its beginning; it need not exist yet.

        A missing `companion` is not a problem. With `start` the file that is there now is read from
        the first line after that offset.
        """
        self.path = path
        self.trouble: str | None = None
        """One line about why it cannot be read now, None while it can."""
        self.trouble_since: float | None = None
        """Wall clock at which `trouble` began."""
        self.elsewhere: Elsewhere = lambda _identity, _offset: None
        """What another process has read at the first look, and need not be read."""
        self._start = start
        self._options = options or FollowOptions()
        self._companion = companion
        self._begin()

    def _begin(self) -> None:
        """Start without any file."""
        self._current: HeldFile | None = None
        """The file at the path."""
        self._old: list[HeldFile] = []
        """The files that were at the path before, the oldest first."""
        self._documents = Documents()
        self._finder = Finder(
            self.path,
            self._documents,
            self._options.pool,
            self._options.listings,
            self._options.clock,
            self._held,
            patient=self._options.patient,
        )
        self._begun = False
        self._unsure = True
        """The family has to be searched again."""
        self._problem: str | None = None
        self._missing_since: float | None = None
        self._signature: tuple[object, ...] = ()
        self._settled_at = 0.0

    @property
    def reopens(self) -> bool:
        """Whether the file has to be opened again at each look, as on NFS."""
        return self._options.reopens(self.path)

    def read(self) -> Iterator[Chunk]:
        """Yield new lines up to the present end; after a rotation, the old file first."""
        if not self._begun:
            self._begun = True
            if not self._options.rotated:
                self._finder.pass_over_all()
            if self._start:
                self._skip_to(self._start)
        self._problem = None
        try:
            yield from self._look()
        except BlockedError as error:
            self._say(str(error))
            self._unsure = True
        except OSError as error:
            self._fail(error)
            self._unsure = True
            if error.errno == errno.ESTALE:
                for held in self._held():
                    held.file.suspend()
        self._tell(self._problem)

    def finish(self) -> Iterator[Chunk]:
        """Yield the last line even if it lacks its newline: nothing more is expected."""
        yield from self._documents.finish()

    def close(self) -> None:
        """Close the files; an unfinished last line is dropped."""
        for held in self._held():
            held.file.close()
        self._begin()

    def _tell(self, problem: str | None) -> None:
        """Report the trouble found at a look, and since when."""
        if problem != self.trouble:
            self.trouble = problem
            self.trouble_since = self._options.now() if problem else None

    def _say(self, problem: str) -> None:
        """Keep a trouble, unless one is known already."""
        self._problem = self._problem or problem

    def _fail(self, error: OSError) -> None:
        """Keep an error as a trouble, unless one is known already."""
        if self._problem or (self._companion and isinstance(error, FileNotFoundError)):
            return
        if isinstance(error, InterruptedError):
            self._problem = f"{error}; trying again"
        else:
            self._problem = read_trouble(self.path, error)

    def _held(self) -> list[HeldFile]:
        return self._old + ([self._current] if self._current else [])

    def _look(self) -> Iterator[Chunk]:
        status = self._status()
        if self._is_quiet(status):
            return
        intact = yield from self._read_on(status)
        current = self._current
        at_home = (
            status is not None
            and current is not None
            and current.file.identity == (status.st_dev, status.st_ino)
        )
        if not (intact and at_home) or self._unsure:
            yield from self._search()
        yield from self._let_go(missing=status is None)

    def _status(self) -> os.stat_result | None:
        """Return the file at the path, None if it is not a readable file."""
        reopens = self.reopens
        try:
            # Checked before opening: opening a pipe would wake its writer and lose the data.
            status = os.stat(self.path)
            if not stat.S_ISREG(status.st_mode):
                self._problem = kind_trouble(self.path, status.st_mode)
                return None
            return self._reopened() if reopens else status
        except FileNotFoundError:
            if not self._companion:
                again = "was removed; it is read again when it is back"
                never = "is not there; it is read when it appears"
                self._problem = f"{self.path}: {again if any(self._documents) else never}"
        except OSError as error:
            self._problem = open_trouble(self.path, error)
        return None

    def _reopened(self) -> os.stat_result:
        """Open the path again: on NFS only that asks the server; an old file stays followed."""
        descriptor = self._options.pool.open(self.path)
        status = os.fstat(descriptor)
        current = self._current
        if current and current.file.identity == (status.st_dev, status.st_ino):
            current.file.adopt(descriptor)
        else:
            os.close(descriptor)
        return status

    def _is_quiet(self, status: os.stat_result | None) -> bool:
        """Return whether nothing has changed for so long that no search is needed."""
        now = self._options.clock()
        signature = self._signature_of(status)
        if self._unsure or not signature or signature != self._signature:
            self._signature, self._settled_at = signature, now + SETTLED_SECONDS
            return False
        return now > self._settled_at and not any(self._is_over(held) for held in self._old)

    def _signature_of(self, status: os.stat_result | None) -> tuple[object, ...]:
        """Return a value that changes with any change; empty if unknown."""
        try:
            # For a missing log, the folder shows a new one: it changes the folder.
            seen = [status or os.stat(os.path.dirname(self.path) or ".")]
            seen += [held.file.status() for held in self._old]
            if status is None and self._current:
                seen.append(self._current.file.status())
            if self._finder.newest and (status is None or not self._has_data()):
                seen.append(os.stat(self._finder.newest))  # its writer may not have reopened yet
        except (OSError, GoneError):
            return ()
        return tuple(
            (one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for one in seen
        )

    def _has_data(self) -> bool:
        """Return whether anything was read of the file at the path."""
        return self._current is not None and self._current.document is not None

    def _read_on(self, status: os.stat_result | None) -> Generator[Chunk, None, bool]:
        """Yield the new lines of the open files; return whether that is all to do.

        `status` is that of the file at the path: what is appended later is for the next look.
        """
        intact = True
        for held in self._held():
            document = held.document
            if document is None or not document.head:
                intact = False  # nothing shows whether it is still the same
                continue
            try:
                while data := document.new_in(held.file.descriptor()):
                    yield from self._documents.finish_before(document)
                    yield from document.take(data)
                    held.until = self._linger()
                    if len(data) < chunks.BLOCK and _is_read(document, status):
                        break
            except ReplacedError:
                held.document, intact = None, False
            except GoneError:
                intact = False
        return intact

    def _search(self) -> Iterator[Chunk]:
        """Yield all unread lines of the log's family, the oldest first."""
        self._unsure = False
        self._finder.begin()
        while found := self._finder.find():
            try:
                yield from self._read_found(found)
            except ArchiveError as error:
                self._finder.give_up(found, f"{found.entry.path}: {error}")
                continue
            except OSError as error:
                if found.entry.is_log:
                    raise
                self._finder.give_up(found, read_trouble(found.entry.path, error))
                continue
            if found.entry.is_log:
                break
            self._finder.settled(found)
            if isinstance(found.file, OpenFile) and self._finder.held(found.file.identity) is None:
                # Its writer may not have opened another one yet.
                self._old.append(HeldFile(found.file, found.document, self._linger()))
                self._trim()
            else:
                self._finder.release(found)
        self._finder.unblocked()
        if self._finder.problem:
            self._problem, self._unsure = self._problem or self._finder.problem, True

    def _read_found(self, found: UnreadFile) -> Iterator[Chunk]:
        if found.entry.is_log and isinstance(found.file, OpenFile):
            self._change_over(found.file)
        for held in self._held():
            if held.file is found.file:
                held.document, held.until = found.document, self._linger()
        # It may be set while the first lines are read.
        yield from found.read(self._documents, lambda *place: self.elsewhere(*place))

    def _change_over(self, file: OpenFile) -> None:
        """Follow `file` from here on; the file before it stays open for its writer."""
        current = self._current
        if current and current.file is file:
            return
        self._old = [held for held in self._old if held.file is not file]  # it came back
        if current:
            current.until = self._linger()
            self._old.append(current)
        self._current = HeldFile(file, None, self._linger())
        self._trim()

    def _linger(self) -> float:
        return self._options.clock() + LINGER_SECONDS

    def _trim(self) -> None:
        for held in self._old[:-MOST_HELD]:
            held.file.close()
        self._old = self._old[-MOST_HELD:]

    def _let_go(self, *, missing: bool) -> Iterator[Chunk]:
        """Close old files whose writer is gone; their last lines are then complete."""
        now = self._options.clock()
        for held in [held for held in self._old if self._is_over(held)]:
            self._old.remove(held)
            yield from self._given_up(held)
        if not missing:
            self._missing_since = None
            return
        if self._missing_since is None:
            self._missing_since = now
        current = self._current
        if current and now > self._missing_since + LINGER_SECONDS and self._is_over(current):
            self._current = None
            yield from self._given_up(current)

    def _given_up(self, held: HeldFile) -> Iterator[Chunk]:
        """Close a file; its last line is complete, unless the file can no longer be found."""
        try:
            held.file.descriptor()
        except (GoneError, OSError):
            self._unsure = True
        else:
            if held.document:
                yield from self._documents.finish_before(held.document)
                yield from held.document.finish()
        held.file.close()

    def _is_over(self, held: HeldFile) -> bool:
        """Return whether a file's writer counts as gone, or the file cannot be kept.

        As long as there is nothing newer, a file that still has a name may be written to: the log
        may be renamed without its writer ever opening another one.
        """
        if self._options.clock() <= held.until:
            return False
        if held.document and self._documents.newest is not held.document:
            return True
        try:
            return held.file.status().st_nlink == 0
        except GoneError:
            return True
        except OSError:
            return False

    def _skip_to(self, start: int) -> None:
        """Count the log as read up to the first line after `start`."""
        try:
            file = OpenFile(self.path, self._options.pool)
        except OSError:
            return  # missing, or reported as a trouble right after this
        try:
            descriptor = file.descriptor()
            end = 0
            for most in (_USUAL_LINE, chunks.LONGEST_LINE):
                end = end or os.pread(descriptor, most, start).find(b"\n") + 1
            if end:
                past = Document.passed(file.identity, descriptor, start + end)
                self._documents.add(past)
        except (OSError, GoneError):
            return
        finally:
            file.close()
