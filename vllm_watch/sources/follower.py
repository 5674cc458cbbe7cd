"""One log followed: whole lines out, in order, whatever happens to its files.

The file that the path names now is read on. When the path names another one, the old file is read
to its end first, then what was made and rotated away unseen (`rotated.py`), then the new one; the
old descriptor stays open for a while, because a writer goes on in the old file until it reopens.
A truncated file begins again, after the rest of its copy, if it was copied away.

What nobody can see: bytes that were written and thrown away between two looks without a copy; and
a file that was truncated and holds, when we look again, the same bytes at its beginning and before
the place reached as before. A file that was cut shorter, but not to nothing, goes on at its new
end if what is left of it can be compared (256 to 4096 bytes); else it is read again: then lines
are doubled, but none is lost.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from vllm_watch.sources.chunks import Chunk
from vllm_watch.sources.compressed import ArchiveError
from vllm_watch.sources.descriptors import DescriptorPool
from vllm_watch.sources.openfile import GoneError, Identity, OpenFile
from vllm_watch.sources.rotated import Past, Unread

LINGER_SECONDS = 60.0
"""How long an old file must be quiet before nothing more is expected of its writer."""
SETTLED_SECONDS = 2.0
"""How long a file must look the same before one `stat` is enough to pass it over."""
TRIES = 5
"""Changes of the file within one look before the rest is left to the next look."""


@dataclass(frozen=True, slots=True)
class FollowOptions:
    """How files are followed, and what tests put in the place of the machine."""

    pool: DescriptorPool = field(default_factory=DescriptorPool)
    """The descriptors of all files together."""
    clock: Callable[[], float] = time.monotonic
    """Seconds that only grow."""
    now: Callable[[], float] = time.time
    """The wall clock: since when there is trouble."""
    reopens: Callable[[str], bool] = lambda _: False
    """Whether only opening a file again tells its true size: NFS."""
    rotated: bool = False
    """Begin with the rotated files that are there already."""


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

        That a `companion` is gone is no trouble. With `start` the file that is there now is read
        from the first line behind that offset.
        """
        self.path = path
        self._start = start
        self.trouble: str | None = None
        """One line about why it cannot be read now, None while it can."""
        self.trouble_since: float | None = None
        """Wall clock at which that trouble began."""
        self._options = options or FollowOptions()
        self._companion = companion
        self._file: OpenFile | None = None
        self._old: OpenFile | None = None
        """The one before it, for as long as its writer may go on in it."""
        self._gone: OpenFile | None = None
        """A file that was closed to save descriptors and was not found again so far."""
        self._old_until = 0.0
        self._gone_until: float | None = None
        self._past = Past(path, self._options.pool, self._options.clock)
        self._begun = False
        self._problem: str | None = None
        self._signature: tuple[int, ...] = ()
        self._settled_at = 0.0
        self._unsure_until: float | None = None

    @property
    def identity(self) -> Identity | None:
        """Device and inode of the file that is read now."""
        return self._file.identity if self._file else None

    def read(self) -> Iterator[Chunk]:
        """Yield what is new, up to the present end; the old file first after a rotation."""
        if not self._begun:
            self._begun = True
            if not self._options.rotated:
                self._past.note_all()
        self._problem = None
        try:
            try:
                yield from self._look()
            except GoneError:
                self._miss()
                yield from self._look()
        except GoneError:
            self._signature = ()
        except OSError as error:
            self._fail(error)
            self._signature = ()
            if error.errno == errno.ESTALE and self._file:
                self._file.suspend()
        self._tell(self._problem)

    def _tell(self, problem: str | None) -> None:
        """Show what is wrong after a look, and since when."""
        if problem != self.trouble:
            self.trouble = problem
            self.trouble_since = self._options.now() if problem else None

    def _fail(self, error: OSError) -> None:
        """Keep what went wrong, unless more is known already."""
        if self._problem is None and not (self._companion and isinstance(error, FileNotFoundError)):
            self._problem = read_trouble(self.path, error)

    def finish(self) -> Iterator[Chunk]:
        """Yield the last line even if it lacks its newline: nothing more is expected."""
        for file in (self._gone, self._old, self._file):
            if file:
                yield from file.finish()

    def close(self) -> None:
        """Let go of the files; what is not yet handed on of a last line is dropped."""
        for file in (self._old, self._file):
            if file:
                file.close()
        self._gone = self._old = self._file = None
        self._begun = False
        self._signature = ()
        self._past = Past(self.path, self._options.pool, self._options.clock)

    def size(self) -> int:
        """Return the present size in bytes, 0 if it cannot be told."""
        try:
            return os.stat(self.path).st_size
        except OSError:
            return 0

    def _look(self) -> Iterator[Chunk]:
        status = self._status()
        if self._quiet(status):
            return
        if self._old:
            yield from self._drain_old()
        if self._file:
            at_home = status is not None and self.identity == (status.st_dev, status.st_ino)
            if at_home and self._file.place.offset == 0:
                # Nothing that was read can tell of a truncation: a copy beside it does.
                yield from self._read_newer(self._unread())
            before = self._file.place.offset
            yield from self._drain(self._file)
            if self._file.place.offset != before:
                self._gone_until = None  # its writer goes on in it, under whatever name
        if status is None:
            yield from self._without_file()
            return
        self._gone_until = None
        if self.identity != (status.st_dev, status.st_ino):
            yield from self._change_over()
        elif self._unsure_until is not None:
            yield from self._read_newer(self._unread())

    def _status(self) -> os.stat_result | None:
        """Return what the path names now, None if that is no file that can be read."""
        reopens = self._options.reopens(self.path)
        try:
            # Looked at before it is opened: opening a pipe would wake its writer and lose the data.
            status = os.stat(self.path)
            if not stat.S_ISREG(status.st_mode):
                self._problem = _kind_trouble(self.path, status.st_mode)
                return None
            return self._reopened() if reopens else status
        except FileNotFoundError:
            if not self._companion:
                again = "was removed; it is read again when it is back"
                never = "is not there; it is read when it appears"
                self._problem = f"{self.path}: {again if self._file else never}"
        except OSError as error:
            self._problem = open_trouble(self.path, error)
        return None

    def _reopened(self) -> os.stat_result:
        """Open the path again: on NFS only that asks the server; an old file is drained later."""
        descriptor = self._options.pool.open(self.path)
        status = os.fstat(descriptor)
        if self._file and self._file.identity == (status.st_dev, status.st_ino):
            self._file.adopt(descriptor)
        else:
            os.close(descriptor)
        return status

    def _quiet(self, status: os.stat_result | None) -> bool:
        """Tell whether nothing happened for so long that there is nothing to look for."""
        unsettled = self._old is not None or self._unsure_until is not None
        if status is None or unsettled or self.trouble:
            self._signature = ()
            return False
        now = self._options.clock()
        signature = (
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )
        if signature != self._signature:
            self._signature, self._settled_at = signature, now + SETTLED_SECONDS
            return False
        return now > self._settled_at

    def _drain(self, file: OpenFile) -> Iterator[Chunk]:
        """Yield what is new in a file; after a truncation what its copy holds, then all of it."""
        yield from file.drain()
        for _ in range(TRIES):
            if not file.replaced and file.lost is None:
                return
            held = [one for one in (self._old, file) if one]
            unread = self._past.unread(held, file.lost or file.place, file.rest, before=file)
            if any(one.goes_on_with(file.rest) for one in unread):
                file.take_rest()  # its copy goes on with the line that was begun
            elif file.replaced:
                yield from file.finish()
            if file.replaced:
                file.restart()
            file.lost = None
            yield from self._read_newer(unread)
            yield from file.drain()

    def _drain_old(self) -> Iterator[Chunk]:
        """Yield what a writer still puts into the file that was renamed."""
        old, now = self._old, self._options.clock()
        if old is None:
            return
        file = self._file
        written = file is not None and bool(file.place.offset or file.status().st_size)
        before = old.place.offset
        try:
            if old.identity == self.identity:
                raise GoneError(old.path)  # its inode is the new file's
            yield from self._drain(old)
        except GoneError:
            self._old, self._unsure_until = None, now + LINGER_SECONDS
            yield from old.finish()
            self._set_down(old)
            return
        if old.place.offset != before:
            self._old_until = now + LINGER_SECONDS
        if written:
            # Whoever wrote it writes elsewhere now: half a line stays half a line.
            yield from old.finish()
            if now >= self._old_until:
                self._set_down(old)
                self._old = None

    def _change_over(self) -> Iterator[Chunk]:
        """Read the old file to its end, then what came between, then the new one."""
        for _ in range(TRIES):
            fresh = self._open()
            if fresh is None:
                return
            if fresh.identity == self.identity:
                fresh.close()
                return
            between: list[Unread] = []
            try:
                between = self._unread(fresh)
                status = os.stat(self.path)
                if fresh.identity == (status.st_dev, status.st_ino):
                    break
            except OSError:
                _close(fresh, *between)
                raise
            _close(fresh, *between)
        else:
            self._problem = f"{self.path}: changes faster than it can be opened; it is tried again"
            return
        try:
            yield from self._hand_over(fresh, between)
        finally:
            if self._file is not fresh:  # a disk failed on the way: all of it is tried again
                _close(*(file for file in (fresh, *between) if file is not self._old))
        yield from self._drain(fresh)

    def _hand_over(self, fresh: OpenFile, between: list[Unread]) -> Iterator[Chunk]:
        """Put the present file aside; its last line is whole if another file has data already."""
        written = fresh.status().st_size > 0
        self._past.recall(fresh)
        before = self._file
        if before:
            yield from self._drain(before)
            if _is_continued(before, fresh):
                fresh.resume(before.place, before.rest)
                before.close()
                self._file = before = None
        if self._gone and fresh.goes_on_with(self._gone.rest):
            self._gone.take_rest()
        yield from self._set_aside(between)
        self._file = fresh
        if written and self._old:
            yield from self._old.finish()

    def _set_aside(self, between: list[Unread]) -> Iterator[Chunk]:
        """Read what came after the present file; the last one stays open for its writer."""
        if self._gone:
            gone, self._gone = self._gone, None
            if not any(file.goes_on_with(gone.rest) for file in between):
                yield from gone.finish()
        files = [file for file in (self._old, self._file, *between) if file]
        self._old = self._file = None
        if between:
            files.sort(key=self._past.place_of)
        yield from self._read_all(files, last_lingers=True)
        self._old_until = self._options.clock() + LINGER_SECONDS

    def _read_newer(self, files: list[Unread]) -> Iterator[Chunk]:
        """Yield copies of what the present file was: the file before it has got its last line."""
        old, place = self._old, self._past.place_of
        if old and any(place(file) > place(old) and _holds_data(file) for file in files):
            yield from old.finish()
        # As long as the present file is empty, the writer may still be in the one before it.
        file = self._file
        lingers = old is None and file is not None and not file.status().st_size
        yield from self._read_all(files, last_lingers=lingers)
        self._old_until = self._options.clock() + LINGER_SECONDS

    def _read_all(self, files: list[Unread], *, last_lingers: bool = False) -> Iterator[Chunk]:
        """Yield all of some rotated files, oldest first."""
        left = list(files)
        try:
            while left:
                try:
                    yield from left[0].drain()
                except ArchiveError as error:
                    self._problem = f"{left[0].path}: {error}"
                file = left.pop(0)
                if last_lingers and not left and isinstance(file, OpenFile):
                    self._old = file
                    file.moved = True
                else:
                    yield from file.finish()
                    self._set_down(file)
        finally:
            for file in left:  # one could not be read on: it is found again where it was left
                if isinstance(file, OpenFile) and file.place.offset:
                    self._past.remember(file.place, file.rest)
                file.close()
            if left:
                self._unsure_until = self._options.clock() + LINGER_SECONDS

    def _unread(
        self, fresh: OpenFile | None = None, *, before: OpenFile | None = None
    ) -> list[Unread]:
        held = [file for file in (self._old, self._file, fresh) if file]
        lost, rest = (self._gone.place, self._gone.rest) if self._gone else (None, b"")
        unread = self._past.unread(held, lost, rest, before=before)
        now = self._options.clock()
        if not self._past.unsure:
            self._unsure_until = None
        elif self._unsure_until is None or fresh:
            self._unsure_until = now + LINGER_SECONDS
        elif now > self._unsure_until:
            self._unsure_until = None
        return unread

    def _without_file(self) -> Iterator[Chunk]:
        """See to a path that names nothing that can be read: look for what was rotated away."""
        now = self._options.clock()
        first = self._gone_until is None
        if first:
            self._gone_until = now + LINGER_SECONDS
        if between := self._unread():
            yield from self._set_aside(between)
        if self._file and self._gone_until is not None and now > self._gone_until:
            # It is given up, its last line as whole as it will ever be.
            yield from self._file.finish()
            self._set_down(self._file)
            self._file = None

    def _miss(self) -> None:
        """Note that a closed file is nowhere: it may come back, as an archive perhaps."""
        if self._file:
            self._past.remember(self._file.place, self._file.rest)
            self._file.close()
        self._gone, self._file, self._signature = self._file, None, ()

    def _set_down(self, file: Unread) -> None:
        self._past.remember(file.place)
        file.close()

    def _open(self) -> OpenFile | None:
        start, self._start = self._start, 0
        try:
            file = OpenFile(self.path, self._options.pool, elsewhere=self._past.names)
            if start:
                file.skip(start)
            return file
        except FileNotFoundError:
            return None  # between two names: the next look finds it
        except OSError as error:
            self._problem = open_trouble(self.path, error)
            return None


def _holds_data(file: Unread) -> bool:
    return not isinstance(file, OpenFile) or file.status().st_size > 0


def _close(*files: Unread) -> None:
    for file in files:
        file.close()


def _is_continued(before: OpenFile, fresh: OpenFile) -> bool:
    """Tell whether a file was replaced by a copy of itself (`rsync`, `sed -i`), perhaps longer."""
    place = before.place
    return before.status().st_nlink == 0 and place.telling and place.fits(fresh.descriptor())


def open_trouble(path: str, error: OSError) -> str:
    """Return one line about a file that cannot be opened, with the mend."""
    reason = (error.strerror or str(error)).lower()
    if isinstance(error, PermissionError):
        return f"{path}: {reason}; allow reading it (chmod u+r) and it is read"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{path}: {reason}; raise the limit (ulimit -n), it is tried again"
    return f"{path}: {reason}; check it and it is read"


def read_trouble(path: str, error: OSError) -> str:
    """Return one line about a file that cannot be read on, with the mend."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return open_trouble(path, error)
    reason = (error.strerror or str(error)).lower()
    return f"{path}: {reason}; check its file system, it is tried again"


def _kind_trouble(path: str, mode: int) -> str:
    """Return one line about a path that is no plain file, with the mend."""
    if stat.S_ISDIR(mode):
        return f"{path}: is a folder; name the logs in it"
    if stat.S_ISFIFO(mode):
        return f"{path}: is a pipe; read it as standard input: - < {path}"
    return f"{path}: is a device, not a file; name a log"
