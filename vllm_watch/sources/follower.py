"""One growing file followed: whole lines out, in order, through rotation and truncation."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

BLOCK = 1 << 20
"""Bytes per read: large enough that searching, not calling, takes the time."""

LONGEST_LINE = 8 << 20
"""A line without end is handed on in pieces of this size: memory stays bounded."""


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

    def __init__(self, path: str) -> None:
        """Follow `path`, from its beginning; it need not exist yet."""
        self.path = path
        self.trouble: str | None = None
        """One line about why it cannot be read now, None while it can."""
        self.identity: tuple[int, int] | None = None
        self._descriptor: int | None = None
        self._offset = 0
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
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            self.trouble = f"{self.path}: is not there; it is read when it appears"
            return False
        except OSError as error:
            self.trouble = open_trouble(self.path, error)
            return False
        status = os.fstat(descriptor)
        self._descriptor, self._offset, self._rest = descriptor, 0, b""
        self.identity = (status.st_dev, status.st_ino)
        self.trouble = None
        return True

    def _drain(self) -> Iterator[Chunk]:
        """Yield whole lines up to the end of the open file."""
        descriptor, identity = self._descriptor, self.identity
        if descriptor is None or identity is None:
            return
        while True:
            try:
                data = os.pread(descriptor, BLOCK, self._offset)
            except OSError as error:
                self.trouble = f"{self.path}: cannot be read: {(error.strerror or '').lower()}"
                return
            if not data:
                self.trouble = None
                return
            self._offset += len(data)
            end = data.rfind(b"\n") + 1
            if end == 0 and len(self._rest) + len(data) < LONGEST_LINE:
                self._rest += data
                continue
            end = end or len(data)
            whole, self._rest = self._rest + data[:end], data[end:]
            yield Chunk(identity, self._offset - len(self._rest) - len(whole), whole)

    def _moved(self) -> bool:
        """Tell whether the path now names another file; begin again if it was truncated."""
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            self.trouble = f"{self.path}: was removed; it is read again when it is back"
            return False
        except OSError as error:
            self.trouble = open_trouble(self.path, error)
            return False
        if (status.st_dev, status.st_ino) != self.identity:
            return True
        if status.st_size < self._offset:
            self._offset, self._rest = 0, b""
            return True
        return False


def open_trouble(path: str, error: OSError) -> str:
    """Return one line about a file that cannot be opened, with the mend."""
    reason = (error.strerror or str(error)).lower()
    mend = "allow reading it (chmod u+r)" if isinstance(error, PermissionError) else "check it"
    return f"{path}: {reason}; {mend} and it is read"
