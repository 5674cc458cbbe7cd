"""One file, however it is called now: read on from where we were, known by its bytes.

A file is told from another by device and inode, and by two fingerprints of what was read: its
beginning, and the bytes just before the place reached. Inodes are used again, and a file that was
truncated and grew keeps its own; its bytes do not lie.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vllm_watch.sources import chunks
from vllm_watch.sources.chunks import Chunk, LineCutter
from vllm_watch.sources.descriptors import DescriptorPool

HEAD = 4096
"""Bytes of a file's beginning that are kept to know it again."""
TAIL = 64
"""Bytes before the place reached that must still be there; else the file was begun again."""
SAME = 256
"""Bytes of beginning from which on two files that begin alike are one: they hold stamps."""

Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """How far a file was read, and what it looked like there."""

    identity: Identity
    offset: int | None
    """Bytes read; None: all of it, whatever it holds (it was there before us)."""
    head: bytes
    tail: bytes = b""

    @property
    def telling(self) -> bool:
        """Tell whether the beginning is long enough to know a copy by it alone."""
        return len(self.head) >= SAME and bool(self.head.strip(b"\0"))

    def begins(self, head: bytes) -> bool:
        """Tell whether a file that begins with `head` may be this one, or its copy."""
        return bool(self.head.strip(b"\0") or self.tail.strip(b"\0")) and head.startswith(self.head)

    def fits(self, descriptor: int) -> bool:
        """Tell whether the open file holds at both places what was read there."""
        if not self.begins(os.pread(descriptor, len(self.head), 0)):
            return False
        if self.offset is None:
            return True
        start = self.offset - len(self.tail)
        return os.pread(descriptor, len(self.tail), start) == self.tail


class GoneError(Exception):
    """A file that was closed for a while is nowhere to be found any more."""


class OpenFile:
    """Reads a plain file on; its descriptor may be taken away and is opened again."""

    def __init__(
        self,
        path: str,
        pool: DescriptorPool,
        *,
        elsewhere: Callable[[], list[str]] = list,
    ) -> None:
        """Open `path`; `elsewhere` lists the names under which it may be found later.

        Raises:
            OSError: it cannot be opened.
        """
        self.path = path
        self.replaced = False
        """What was read is not there any more: the file was begun again."""
        self.moved = False
        """It is known not to be at its path any more."""
        self.lost: Place | None = None
        """Where we were when a hole took the place of what was read: until its copy was sought."""
        self._pool = pool
        self._elsewhere = elsewhere
        self._descriptor: int | None = pool.open(path)
        status = os.fstat(self._descriptor)
        self.identity: Identity = (status.st_dev, status.st_ino)
        self._cutter = LineCutter(self.identity)
        self._head = b""
        self._tail = b""
        pool.held(self)

    @property
    def place(self) -> Place:
        """How far it was read."""
        return Place(self.identity, self._cutter.offset, self._head, self._tail)

    @property
    def rest(self) -> bytes:
        """The beginning of a line whose end has not been written yet."""
        return self._cutter.rest

    def goes_on_with(self, rest: bytes) -> bool:
        """Tell whether this is where a line goes on that began elsewhere."""
        return bool(rest) and self.rest == rest

    def resume(self, place: Place, rest: bytes = b"") -> None:
        """Go on behind what was read of this file before, or of the one it is a copy of."""
        self._cutter = LineCutter(self.identity, place.offset or 0, rest)
        self._head, self._tail = place.head, place.tail

    def skip(self, start: int) -> None:
        """Begin at the first line behind `start`, as if all before it had been read.

        Raises:
            OSError: it cannot be read now.
            GoneError: it is not there any more.
        """
        descriptor = self.descriptor()
        end = os.pread(descriptor, chunks.LONGEST_LINE, start).find(b"\n") + 1
        if end:
            offset = start + end
            head, tail = os.pread(descriptor, HEAD, 0), os.pread(descriptor, TAIL, offset - TAIL)
            self.resume(Place(self.identity, offset, head[:offset], tail))

    def drain(self) -> Iterator[Chunk]:
        """Yield whole lines up to the present end; stops with `replaced` set if it was begun again.

        Raises:
            OSError: it cannot be read now; nothing is lost by trying again.
            GoneError: it had been closed to save descriptors and is not there any more.
        """
        self.replaced = False
        while self.lost is None:
            descriptor = self.descriptor()
            data = os.pread(descriptor, chunks.BLOCK, self._cutter.offset)
            # Looked at after the read: what was read before a truncation is handed on, what was
            # read across one never is.
            if not self._unchanged(descriptor):
                self.replaced = not (self._hole(descriptor) or self._shortened(descriptor))
                return
            if not data:
                return
            if len(self._head) == self._cutter.offset < HEAD:
                self._head += data[: HEAD - len(self._head)]
            self._tail = (self._tail + data[-TAIL:])[-TAIL:]
            yield from self._cutter.feed(data)

    def take_rest(self) -> None:
        """Forget the line that was begun: it goes on elsewhere."""
        self._cutter.rest = b""

    def finish(self) -> Iterator[Chunk]:
        """Yield the last line even if it lacks its newline: nothing more is expected."""
        return self._cutter.finish()

    def restart(self) -> None:
        """Begin at the beginning."""
        self._cutter = LineCutter(self.identity)
        self._head = self._tail = b""
        self.replaced = False

    def beginning(self) -> bytes:
        """Return the first bytes as they are now, whether they have been read or not."""
        return os.pread(self.descriptor(), HEAD, 0)

    def status(self) -> os.stat_result:
        """Return what the system says of the open file."""
        return os.fstat(self.descriptor())

    def descriptor(self) -> int:
        """Return the descriptor, opened again if it had to be closed.

        Raises:
            GoneError: the file is neither at its path nor under a rotated name.
        """
        if self._descriptor is None:
            self._descriptor = self._found_again()
        self._pool.held(self)
        return self._descriptor

    def adopt(self, descriptor: int) -> None:
        """Read through another descriptor of the same file from here on."""
        self.close()
        self._descriptor = descriptor
        self._pool.held(self)

    def suspend(self) -> None:
        """Close the descriptor; the file is opened again when it is read."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def close(self) -> None:
        """Let go of the file."""
        self.suspend()
        self._pool.released(self)

    def _found_again(self) -> int:
        at_home = [] if self.moved else [self.path]
        # A file of which nothing was read is not known by its bytes: another one may have its
        # inode by now, and is found like any file that was rotated away unseen.
        for path in at_home + (self._elsewhere() if self._head else []):
            try:
                descriptor = self._pool.open(path)
            except FileNotFoundError:
                continue
            status = os.fstat(descriptor)
            # Other bytes at its own path mean that it was truncated, which is seen when it is read;
            # elsewhere, that its inode was given to another file.
            if (status.st_dev, status.st_ino) == self.identity and (
                path in at_home or self.place.fits(descriptor)
            ):
                return descriptor
            os.close(descriptor)
        raise GoneError(self.path)

    def _unchanged(self, descriptor: int) -> bool:
        """Tell whether what was read still stands where it stood."""
        head = os.pread(descriptor, len(self._head), 0)
        tail = os.pread(descriptor, len(self._tail), self._cutter.offset - len(self._tail))
        return head == self._head and tail == self._tail

    def _hole(self, descriptor: int) -> bool:
        """Go on where we are if all before it is a hole now: its writer does not append."""
        place = self.place
        head = os.pread(descriptor, len(self._head), 0)
        tail = os.pread(descriptor, len(self._tail), self._cutter.offset - len(self._tail))
        if len(tail) < len(self._tail) or head.strip(b"\0") or tail.strip(b"\0"):
            return False
        self._head, self._tail, self.lost = head, tail, place
        return True

    def _shortened(self, descriptor: int) -> bool:
        """Go on at the end if the file is a shorter piece of what was read; else return False."""
        size = os.fstat(descriptor).st_size
        cutter = self._cutter
        # Of what stood behind the beginning nothing is kept to compare it with.
        if not SAME <= size < cutter.offset or size > len(self._head):
            return False
        head = os.pread(descriptor, size, 0)
        if head != self._head[:size] or not head.strip(b"\0"):
            return False
        kept = max(0, size - (cutter.offset - len(cutter.rest)))
        self._cutter = LineCutter(self.identity, size, cutter.rest[:kept])
        self._head, self._tail = head, head[-TAIL:]
        return True
