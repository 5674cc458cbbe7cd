"""A second process removes the usual access lines of a large log, ahead of the reader.

It reads the same bytes in the same pieces and removes the same lines as the reader's own sieve. So
the result does not depend on whether there was such a process, how far it came, or whether it died.
Each of the two holds every piece to the log's fingerprints (`sources/document.py`); a piece of
another place or size is not taken. It reads and never maps the file: a truncation ends it quietly.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import struct
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from vllm_watch.parsing.formats import Formats
from vllm_watch.sources.chunks import Chunk
from vllm_watch.sources.document import Document, ReplacedError, beginning

if TYPE_CHECKING:
    from vllm_watch.parsing.sieve import Sifted

HELPED = 256 << 20
"""Bytes of a log from which on a second process helps: at 96 MiB an export took a sixth longer."""
OWN_PIECES = 4
"""The reader sifts only every fourth piece itself: it also reads the rest of all pieces."""
MOST_LEFT = 4
"""A piece of which more than one byte in so many is left is not passed on: nothing is gained."""
VAIN_PIECES = 16
"""After so many such pieces in a row the process ends."""
PIPE = 1 << 20
"""Most bytes waiting in the pipe, which limits how far the process may be ahead."""
_HEAD = struct.Struct("<7q")
"""Device, inode, offset and size of a piece; newlines in it; bytes of its remaining lines, and of
the rest of the message."""


class Ahead:
    """A process that sifts a log, and its results."""

    def __init__(self, path: str, formats: Formats) -> None:
        """Start it.

        Raises:
            OSError: there can be no further process.
        """
        read, write = os.pipe()
        try:
            self._child = os.fork()
        except OSError:
            os.close(read)
            os.close(write)
            raise
        if self._child == 0:
            os.close(read)
            _be_child(path, formats, write)
        os.close(write)
        self._pipe: BinaryIO | None = os.fdopen(read, "rb")
        self._pieces = 0
        self._waiting: tuple[tuple[int, ...], int, bytes, bytes] | None = None

    def take(self, chunk: Chunk) -> Sifted | None:
        """Return a piece without its usual lines, None if not available."""
        self._pieces += 1
        if self._pieces % OWN_PIECES == 0:
            return None
        place = (*chunk.identity, chunk.offset, len(chunk.data))
        while self._pipe is not None:
            if self._waiting is None:
                self._waiting = self._read()
                continue
            found = self._waiting
            if found[0] != place and found[0][2] > chunk.offset:
                return None
            self._waiting = None
            if found[0] == place:
                return _sifted(*found[1:])
        return None

    def close(self) -> None:
        """End the process."""
        if self._child:
            if self._pipe is not None:
                self._pipe.close()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._child, 0)
        self._pipe, self._child = None, 0

    def _read(self) -> tuple[tuple[int, ...], int, bytes, bytes] | None:
        """Return the next message; None if no more can come."""
        assert self._pipe is not None
        head = self._pipe.read(_HEAD.size)
        if len(head) == _HEAD.size:
            *place, lines, left, more = _HEAD.unpack(head)
            rest, table = self._pipe.read(left), self._pipe.read(more)
            if len(rest) == left and len(table) == more:
                return tuple(place), lines, rest, table
        self._pipe.close()
        self._pipe = None
        return None


@contextlib.contextmanager
def ahead_of(path: str, formats: Formats, *, helped: bool) -> Iterator[Ahead | None]:
    """Start a process that sifts a log, None if it does not pay or cannot be started."""
    ahead = None
    if helped and _is_worth_it(path):
        with contextlib.suppress(OSError):
            ahead = Ahead(path, formats)
    try:
        yield ahead
    finally:
        if ahead is not None:
            ahead.close()


def _is_worth_it(path: str) -> bool:
    """Return whether a log is large and plain, and a processor is free."""
    if sys.platform != "linux" or threading.active_count() > 1:
        return False
    try:
        status = os.stat(path)
    except OSError:
        return False
    plain = stat.S_ISREG(status.st_mode) and not path.endswith((".gz", ".zst"))
    return plain and status.st_size >= HELPED and _is_idle()


def _is_idle() -> bool:
    """Return whether a second process would find a free processor.

    The log is then read twice, which takes a third more processor time: on a busy machine that only
    costs.
    """
    processors = len(os.sched_getaffinity(0))
    try:
        return processors > 1 and os.getloadavg()[0] < processors + 0.5
    except OSError:
        return False


def _be_child(path: str, formats: Formats, write: int) -> None:
    """Sift a log in a separate process, and end it; nothing of the parent's is touched."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nothing, descriptor)
        with os.fdopen(write, "wb", buffering=0) as pipe:
            _sift(path, formats, pipe)
    finally:
        os._exit(0)


def _sift(path: str, formats: Formats, pipe: BinaryIO) -> None:
    from vllm_watch.parsing.blocks import sieve_of

    with contextlib.suppress(ImportError, OSError, ValueError):
        import fcntl

        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE)
    sieve, vain = sieve_of(formats), 0
    for number, chunk in enumerate(_chunks(path), 1):
        if number % OWN_PIECES == 0:
            continue
        sifted = sieve.sift(chunk.data)
        if sifted is None or len(sifted.rest) * MOST_LEFT > len(chunk.data):
            vain += 1
            if vain > VAIN_PIECES:
                return
            continue
        vain = 0
        gaps = b"".join(column.astype("<q").tobytes() for column in sifted.gaps)
        forms = json.dumps(
            [[*answer, example.decode("latin-1")] for answer, example in sifted.forms]
        )
        table = struct.pack("<q", len(sifted.gaps.lines)) + gaps + forms.encode()
        place = (*chunk.identity, chunk.offset, len(chunk.data))
        head = _HEAD.pack(*place, sifted.lines, len(sifted.rest), len(table))
        message = memoryview(b"".join((head, sifted.rest, table)))
        while message:
            message = message[pipe.write(message) or 0 :]


def _chunks(path: str) -> Iterator[Chunk]:
    """Yield the pieces of a log as its follower does, as long as its file is unchanged."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    status = os.fstat(descriptor)
    identity = (status.st_dev, status.st_ino)
    document = Document(identity, beginning(descriptor, status.st_size))
    with contextlib.suppress(ReplacedError):
        while data := document.new_in(descriptor):
            yield from document.take(data)


def _sifted(lines: int, rest: bytes, table: bytes) -> Sifted:
    import numpy as np

    from vllm_watch.parsing.access import Answer
    from vllm_watch.parsing.sieve import Gaps, Sifted, Usual

    (count,) = struct.unpack_from("<q", table)
    gaps = Gaps(*np.frombuffer(table, "<q", 3 * count, 8).reshape(3, count))
    forms = [
        Usual(Answer(what, status, route), example.encode("latin-1"))
        for what, status, route, example in json.loads(table[8 + 24 * count :])
    ]
    return Sifted(rest, gaps, lines, forms)
