"""A document: a sequence of bytes with a beginning, a read position, and an unfinished line.

A document is known by its bytes, not by a name or an inode: names move at a rotation, inodes are
used again, and a copy or an archive holds the same bytes elsewhere. Its fingerprint is its
beginning and the bytes just before the read position. If a file begins with NUL bytes (a hole: it
was truncated, and its writer continued at its old position), the document begins after them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from vllm_watch.sources import chunks
from vllm_watch.sources.chunks import Chunk, LineCutter, Lines

HEAD = 4096
"""Bytes of the beginning kept as a fingerprint."""
TAIL = 64
"""Bytes before the read position that must be unchanged; if not, the file was rewritten."""
SAME = 256
"""First bytes that are equal only in files of the same log: they contain stamps."""

Identity = tuple[int, int]
"""Device and inode."""


class ReplacedError(Exception):
    """The bytes already read of a document are no longer in the file."""


class Document:
    """Bytes of a log in the order in which they were written, and the read position."""

    def __init__(self, identity: Identity, start: int = 0) -> None:
        """Begin with nothing read of the file `identity`, whose bytes begin at `start`."""
        self.identity: Identity | None = identity
        """The file that it was last read from; None if that file holds other bytes now."""
        self.left: Identity | None = None
        """The file that it was read from before, which now holds other bytes."""
        self.start = start
        self.was_log = False
        """It was read from the followed path, not only from a rotated file."""
        self.head = b""
        self.tail = b""
        self._cutter = LineCutter(identity, start)

    @classmethod
    def passed(cls, identity: Identity, descriptor: int, end: int) -> Document:
        """Return the document of an open file as if it had been read up to `end`.

        Raises:
            OSError: it cannot be read.
        """
        document = cls(identity, beginning(descriptor, end))
        start = document.start
        document.head = os.pread(descriptor, min(HEAD, end - start), start)
        size = min(TAIL, end - start)
        document.tail = os.pread(descriptor, size, end - size)
        document._cutter.offset = end
        return document

    @property
    def offset(self) -> int:
        """The read position."""
        return self._cutter.offset

    @property
    def rest(self) -> bytes:
        """The beginning of a line whose end has not been written yet."""
        return self._cutter.rest

    @property
    def recognisable(self) -> bool:
        """Return whether its beginning alone is long enough to recognise a copy."""
        return len(self.head) >= SAME

    def matches(self, descriptor: int) -> bool:
        """Return whether an open file has the fingerprint at both positions.

        Raises:
            OSError: it cannot be read.
        """
        if self.start and os.pread(descriptor, 1, self.start - 1) != b"\0":
            return False  # no hole: equal bytes may be chance
        return (
            os.pread(descriptor, len(self.head), self.start) == self.head
            and os.pread(descriptor, len(self.tail), self.offset - len(self.tail)) == self.tail
        )

    def new_in(self, descriptor: int) -> bytes:
        """Return the bytes of an open file after the read position, at most a block.

        Raises:
            OSError: it cannot be read now; nothing is lost by trying again.
            ReplacedError: the file has other bytes now.
        """
        few = chunks.BLOCK // 4  # other work waits for a log's first bytes; and one call less
        large = self.offset - self.start >= few
        end = chunks.block_end(descriptor, self.offset) if large else self.offset + few
        data = os.pread(descriptor, end - self.offset, self.offset)
        # Checked after the read: if the file was truncated meanwhile, the bytes are dropped.
        if not self.matches(descriptor):
            raise ReplacedError
        return data

    def take(self, data: bytes) -> Iterator[Chunk]:
        """Add the bytes after the read position; yield them up to the last newline."""
        if len(self.head) == self.offset - self.start < HEAD:
            self.head += data[: HEAD - len(self.head)]
        self.tail = (self.tail + data[-TAIL:])[-TAIL:]
        yield from self._cutter.feed(data)

    def pass_over(self, descriptor: int, lines: Lines) -> Chunk | None:
        """Count the next lines as read, without reading them; None if they are not in the file.

        Raises:
            OSError: the file cannot be read now.
        """
        begin, end = self.offset, self.offset + lines.size
        size = len(lines.tail)
        same = not self.rest and os.pread(descriptor, size, end - size) == lines.tail
        if not same or not self.matches(descriptor):
            return None
        self.tail = (self.tail + lines.tail)[-TAIL:]
        self._cutter.offset = end
        return Chunk(self._cutter.identity, begin, b"", lines.size)

    def finish(self) -> Iterator[Chunk]:
        """Yield the last line even if it lacks its newline: nothing more is expected."""
        return self._cutter.finish()

    def inherit(self, other: Document) -> None:
        """Continue the line that another document left open."""
        self._cutter.rest, other._cutter.rest = other._cutter.rest, b""

    def cut_to(self, descriptor: int, size: int) -> bool:
        """If the file is a shorter piece of what was read, continue at its end.

        Later bytes are not kept, so they cannot be compared.

        Raises:
            OSError: it cannot be read.
        """
        length = size - self.start
        if not SAME <= length <= len(self.head) or size >= self.offset:
            return False
        head = os.pread(descriptor, length, self.start)
        if head != self.head[:length]:
            return False
        kept = max(0, size - (self.offset - len(self.rest)))
        self._cutter = LineCutter(self._cutter.identity, size, self.rest[:kept])
        self.head, self.tail = head, head[-TAIL:]
        return True


def beginning(descriptor: int, size: int) -> int:
    """Return where the bytes of an open file of `size` bytes begin: after a hole, if any.

    Raises:
        OSError: it cannot be read.
    """
    at = 0
    while at < size:
        data = os.pread(descriptor, HEAD if at == 0 else chunks.BLOCK, at)
        if left := data.lstrip(b"\0"):
            return at + len(data) - len(left)
        if not data:
            break
        at += len(data)
        # No data after it, or the file system does not support this: read everything.
        with contextlib.suppress(OSError):
            at = max(at, os.lseek(descriptor, at, os.SEEK_DATA))
    return size
