"""One growing file followed: whole lines out, in order, through rotation and truncation."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

BLOCK = 1 << 20
"""Bytes per read: large enough that searching, not calling, takes the time."""

LONGEST_LINE = 8 << 20
"""A line without end is handed on in pieces of this size: memory stays bounded."""

TAIL = 64
"""Bytes before the place reached that must still be there; else the file was begun again."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one file."""

    identity: tuple[int, int]
    """Device and inode of the file that it came from."""
    offset: int
    """Where it begins in that file."""
    data: bytes
    """Whole lines; only the last chunk of a finished file may lack the newline."""


class Follower:
    """Reads what has been appended to a path since the last look."""

    def __init__(self, path: str, start: int = 0) -> None:
        """Follow `path`, from its beginning; it need not exist yet.

        With `start` the file that is there now is read from the first line behind that offset.
        """
        self.path = path
        self._start = start
        self.trouble: str | None = None
        """One line about why it cannot be read now, None while it can."""
        self.identity: tuple[int, int] | None = None
        self._descriptor: int | None = None
        self._offset = 0
        self._tail = b""
        self._rest = b""

    def read(self) -> Iterator[Chunk]:
        """Yield what is new, up to the present end; the old file first after a rotation."""
        if self._descriptor is None and not self._open():
            return
        yield from self._drain()
        if self._moved():
            yield from self._drain()
            yield from self.finish()
            self.close()
            if self._open():
                yield from self._drain()

    def finish(self) -> Iterator[Chunk]:
        """Yield the last line even if it lacks its newline: nothing more is expected."""
        if self._rest and self.identity:
            yield Chunk(self.identity, self._offset - len(self._rest), self._rest)
        self._rest = b""

    def close(self) -> None:
        """Let go of the file; what is not yet handed on of its last line is dropped."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None
        self._rest = b""

    def size(self) -> int:
        """Return the present size in bytes, 0 if it cannot be told."""
        try:
            return os.stat(self.path).st_size
        except OSError:
            return 0

    def _open(self) -> bool:
        try:
            # Looked at before it is opened: opening a pipe would wake its writer and lose the data.
            mode = os.stat(self.path).st_mode
            if not stat.S_ISREG(mode):
                self.trouble = _kind_trouble(self.path, mode)
                return False
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            self.trouble = f"{self.path}: is not there; it is read when it appears"
            return False
        except OSError as error:
            self.trouble = open_trouble(self.path, error)
            return False
        status = os.fstat(descriptor)
        self._descriptor, self._offset, self._tail, self._rest = descriptor, 0, b"", b""
        if self._start:
            self._skip(descriptor)
        self.identity = (status.st_dev, status.st_ino)
        self.trouble = None
        return True

    def _skip(self, descriptor: int) -> None:
        """Begin at the first line behind the wanted start; any other file from its beginning."""
        piece = os.pread(descriptor, LONGEST_LINE, self._start)
        end = piece.find(b"\n") + 1
        if end:
            self._offset = self._start + end
            self._tail = os.pread(descriptor, TAIL, self._offset - TAIL)
        self._start = 0

    def _drain(self) -> Iterator[Chunk]:
        """Yield whole lines up to the end of the open file, from its beginning if truncated."""
        descriptor, identity = self._descriptor, self.identity
        if descriptor is None or identity is None:
            return
        try:
            if self._truncated(descriptor):
                yield from self.finish()
                self._offset, self._tail = 0, b""
            while data := os.pread(descriptor, BLOCK, self._offset):
                yield from self._whole_lines(identity, data)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            self.trouble = f"{self.path}: {reason}; check its file system, it is tried again"
        else:
            self.trouble = None

    def _whole_lines(self, identity: tuple[int, int], data: bytes) -> Iterator[Chunk]:
        """Take in what was read; yield it up to its last newline."""
        self._offset += len(data)
        self._tail = (self._tail + data[-TAIL:])[-TAIL:]
        end = data.rfind(b"\n") + 1
        if end == 0 and len(self._rest) + len(data) < LONGEST_LINE:
            self._rest += data
            return
        end = end or len(data)
        whole, self._rest = self._rest + data[:end], data[end:]
        yield Chunk(identity, self._offset - len(self._rest) - len(whole), whole)

    def _truncated(self, descriptor: int) -> bool:
        """Tell whether what was read last is gone, however large the file has become since."""
        tail = os.pread(descriptor, len(self._tail), self._offset - len(self._tail))
        if tail == self._tail:
            return False
        if len(tail) == len(self._tail) and not tail.strip(b"\0"):
            # Its writer does not append: it goes on where it was, behind a hole.
            self._tail = tail
            return False
        return True

    def _moved(self) -> bool:
        """Tell whether the path now names another file."""
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            self.trouble = f"{self.path}: was removed; it is read again when it is back"
            return False
        except OSError as error:
            self.trouble = open_trouble(self.path, error)
            return False
        return (status.st_dev, status.st_ino) != self.identity


def open_trouble(path: str, error: OSError) -> str:
    """Return one line about a file that cannot be opened, with the mend."""
    reason = (error.strerror or str(error)).lower()
    mend = "allow reading it (chmod u+r)" if isinstance(error, PermissionError) else "check it"
    return f"{path}: {reason}; {mend} and it is read"


def _kind_trouble(path: str, mode: int) -> str:
    """Return one line about a path that is no plain file, with the mend."""
    if stat.S_ISDIR(mode):
        return f"{path}: is a folder; name the logs in it"
    if stat.S_ISFIFO(mode):
        return f"{path}: is a pipe; read it as standard input: - < {path}"
    return f"{path}: is a device, not a file; name a log"
