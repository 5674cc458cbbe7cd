"""A second process scans some sections of a large log, ahead of the reader.

Both read the same file. The other process claims sections ahead of the reader, and the reader scans
what is left between them; `LEAD` keeps them so far apart that neither waits. For each section the
other process guesses, from the lines before it, the state of a scanner there
(`parsing/scannerstate.py`), and passes on what it read with that guess. The reader compares the
guess with its own state, and uses what was read only if both are equal. So the result is the same
without such a process, or if it dies: a section that does not come in time is read by the reader
alone, like all after it. Of the other lines the reader reads only the last bytes, and compares them
and the log's fingerprint (`sources/document.py`), so it notices a truncation; then it ends the
other process. It reads and never maps the file.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import mmap
import os
import pickle
import select
import signal
import sys
import time
from collections.abc import Iterator

from vllm_watch.core.hints import TYPE_CHECKING, NoReturn, TypeAlias
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.scan import Scan
from vllm_watch.parsing.scanner import Scanner
from vllm_watch.parsing.scannerstate import (
    Scanned,
    guess_state,
    scan_ahead,
    scanner_ahead,
    state_after,
    take_over,
)
from vllm_watch.parsing.streams import Streams
from vllm_watch.parsing.timestamps import StampClock, first_and_newest
from vllm_watch.sources import chunks
from vllm_watch.sources.chunks import Chunk, LineCutter, Lines
from vllm_watch.sources.document import TAIL

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SECTION = 4
"""Blocks that the other process claims together."""
LEAD = 2 * SECTION
"""Fewest blocks between the reader and a section when the section is claimed.

A slow reader finds one section after the other; a fast reader comes near to the sections, and then
scans up to every second section itself.
"""
PIPE = 1 << 20
"""Bytes of results that may wait for the reader; then the other process waits."""
BEFORE = 256 * 1024
"""Bytes before a section from which the state at its beginning is guessed."""
MOST_VAIN = 2
"""Sections in a row without use for the reader, after which the process ends."""
PATIENCE = 1.0, 10.0
"""Limits of the seconds that the reader waits: as many as have passed since the last section."""

Section: TypeAlias = "dict[int, tuple[Lines, Scanned]]"
"""What was read of a section: by the offset of each chunk."""


class _Results(io.FileIO):
    """The reading end of a pipe with a deadline."""

    until = 0.0
    """Wait for bytes until this time of the monotonic clock."""

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Fill a buffer with what has come.

        Raises:
            TimeoutError: nothing has come in time.
        """
        coming = select.poll()
        coming.register(self, select.POLLIN)
        if not coming.poll(max(0.0, self.until - time.monotonic()) * 1e3):
            raise TimeoutError
        return super().readinto(buffer)


class Claims:
    """Memory that both share: the reader's block, and the blocks that the other process claimed."""

    def __init__(self, blocks: int) -> None:
        """Begin with the reader at the first of some blocks, and nothing claimed."""
        self.blocks = blocks
        self._claimed = mmap.mmap(-1, blocks + 1)
        self._reader = memoryview(mmap.mmap(-1, 8)).cast("q")

    def claim(self) -> range:
        """Claim the next section ahead of the reader; it is empty at the log's end."""
        begin = max(self._reader[0] + LEAD, self._claimed.rfind(b"\1") + 1)
        section = range(begin, max(begin, min(begin + SECTION, self.blocks)))
        self._claimed[section.start : section.stop] = b"\1" * len(section)
        return section

    def is_claimed(self, block: int) -> bool:
        """Note that the reader comes to a block; return whether it belongs to the other process."""
        self._reader[0] = block
        return block < self.blocks and self._claimed[block] == 1


class SecondProcess:
    """A process that scans sections of a log, and its results."""

    def __init__(self, path: str, first: Chunk, scanner: Scanner) -> None:
        """Start it with `scanner`, which has read nothing; `first` is the beginning of the log.

        Raises:
            OSError: there can be no further process.
        """
        self._board = Claims(os.stat(path).st_size // chunks.BLOCK)
        read, write = os.pipe()
        try:
            self._child = os.fork()
        except OSError:
            os.close(read)
            os.close(write)
            raise
        if self._child == 0:
            os.close(read)
            _be_child(path, first, self._board, scanner, write)
        os.close(write)
        self._results = _Results(read)
        self._pipe: io.BufferedReader | None = io.BufferedReader(self._results)
        self._received = time.monotonic()
        """When the newest section was received, or did not come in time."""
        self._place = first.identity, first.offset + len(first.data)
        """File and offset of the next chunk."""
        self._stop = 0
        """The block after the newest section that was received."""
        self._section: Section = {}
        self._vain = 0

    def next(self, identity: tuple[int, int], offset: int, scanner: Scanner) -> Lines | None:
        """Return the next lines if they need not be read: `take` returns their content."""
        block = chunks.block_of(offset)
        if self._pipe is None or self._place != (identity, offset):
            return None
        if not self._board.is_claimed(block):
            return None
        if self._stop <= block:
            self._receive(block)
        lines, scanned = self._section.get(offset, (None, None))
        return None if scanned is None or state_after(scanner, scanned) is None else lines

    def take(self, chunk: Chunk, scanner: Scanner) -> Scan | None:
        """Return the next chunk as `scanner` would read it, None if `scanner` must read it."""
        if self._pipe is None or self._place != (chunk.identity, chunk.offset):
            self.close()
            return None
        self._place = chunk.identity, chunk.end
        block = (chunk.end - 1) // chunks.BLOCK
        if not self._board.is_claimed(block):
            return None
        if self._stop <= block:
            self._receive(block)
        lines, scanned = self._section.pop(chunk.offset, (None, None))
        same = lines is not None and lines.size == chunk.end - chunk.offset
        scan = take_over(scanner, scanned) if scanned is not None and same else None
        if scan is None:
            self._section = {}
        else:
            self._vain = 0
        return scan

    def _receive(self, block: int) -> None:
        """Wait for the section with a block; end the process if it is of no use, or is stopped."""
        self._section = {}
        self._vain += 1
        now, (least, most) = time.monotonic(), PATIENCE
        self._results.until = now + min(max(least, now - self._received), most)
        try:
            if self._vain > MOST_VAIN or self._pipe is None:
                raise EOFError
            while self._stop <= block:
                self._stop, self._section = pickle.load(self._pipe)
        except (EOFError, OSError, pickle.UnpicklingError):
            self.close()
        self._received = time.monotonic()

    def close(self) -> None:
        """End the process."""
        if self._pipe is None:
            return
        self._pipe.close()
        self._pipe, self._section = None, {}
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._child, 0)


def second_process_of(
    path: str, first: Chunk, formats: Formats, clock: StampClock
) -> SecondProcess | None:
    """Start a process that scans a log, None if it would not pay or cannot be started.

    numpy is loaded before, so that only one process does it. A process with threads is not copied:
    a lock that one of them holds would stay locked.
    """
    with contextlib.suppress(OSError):
        if first.offset == 0 and sys.platform == "linux" and _has_room():
            scanner = scanner_ahead(formats, clock)
            if _is_single():
                return SecondProcess(path, first, scanner)
    return None


def _has_room() -> bool:
    """Return whether a second process would get a fair part of a processor.

    The load is that of the last minute, so it also counts our own earlier commands. How long two
    processes take beside other busy ones: `docs/decisions/0021-sections-in-two-processes.md`.
    """
    processors = len(os.sched_getaffinity(0))
    return processors > 1 and os.getloadavg()[0] < 2 * processors


def _is_single() -> bool:
    """Return whether this process has one thread."""
    return len(os.listdir("/proc/self/task")) == 1


def _be_child(path: str, first: Chunk, board: Claims, scanner: Scanner, write: int) -> NoReturn:
    """Scan a log in a separate process and exit; nothing of the parent's is changed."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
        with contextlib.suppress(OSError):
            fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE)
        with os.fdopen(write, "wb") as pipe:
            for section in _sections(path, first, board, scanner):
                pickle.dump(section, pipe, pickle.HIGHEST_PROTOCOL)
                pipe.flush()
    finally:
        os._exit(0)


def _sections(
    path: str, first: Chunk, board: Claims, scanner: Scanner
) -> Iterator[tuple[int, Section]]:
    """Yield what is read of each section, with the block at which the section stops."""
    stamp, _ = first_and_newest(first.data, b"")
    if stamp is not None:
        scanner.clock.resolve(stamp)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    status, streams = os.fstat(descriptor), Streams(scanner.formats.unwrapper)
    if (status.st_dev, status.st_ino) != first.identity:
        return
    while blocks := board.claim():
        pieces = _chunks(descriptor, first.identity, blocks)
        before = next(pieces, None)
        section: Section = {}
        if before is not None and guess_state(scanner, before.data[before.data.find(b"\n") + 1 :]):
            for chunk in pieces:
                data = chunk.data
                if any(lines is not data for _, lines in streams.read(data)):
                    return  # the reader has to remove names, or other loggers' prefixes
                scanned = scan_ahead(scanner, data)
                section[chunk.offset] = Lines(len(data), data[-TAIL:]), scanned
        yield blocks.stop, section


def _chunks(descriptor: int, identity: tuple[int, int], blocks: range) -> Iterator[Chunk]:
    """Yield the bytes before some blocks, then their chunks as the file's follower does.

    They end before a line that is longer than a block.
    """
    end = blocks.start * chunks.BLOCK
    cutter = LineCutter(identity, end - min(BEFORE, chunks.BLOCK))
    for _ in range(1 + len(blocks)):
        size = end - cutter.offset
        data = os.pread(descriptor, size, cutter.offset)
        if len(data) < size or b"\n" not in data:
            return
        yield from cutter.feed(data)
        end = chunks.block_end(descriptor, cutter.offset)
