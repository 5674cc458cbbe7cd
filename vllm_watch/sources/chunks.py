"""The output of every source: whole lines with their position."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import NamedTuple, TypeAlias

BLOCK = 4 << 20
"""Bytes per read: large enough that most of the time goes into searching."""

LONGEST_LINE = 8 << 20
"""A line without an end is passed on in pieces of this size, which limits memory."""


NEAR = 4096
"""Bytes at the end of a block in which its last line end is searched before the block is read."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one file."""

    identity: tuple[int, int]
    """Device and inode of the file that it came from."""
    offset: int
    """Where the piece begins in the file."""
    data: bytes
    """Whole lines; only the last chunk of a finished file may lack the newline."""
    elsewhere: int = 0
    """Bytes of whole lines that another process has read; then `data` is empty."""

    @property
    def end(self) -> int:
        """Where the piece ends in the file."""
        return self.offset + (self.elsewhere or len(self.data))


class Lines(NamedTuple):
    """Whole lines that another process has read."""

    size: int
    """Their bytes."""
    tail: bytes
    """The last of them."""


Elsewhere: TypeAlias = Callable[["tuple[int, int]", int], "Lines | None"]
"""Returns what another process has read of a file from an offset on, None if it need be read."""


class LineCutter:
    """Turns bytes, cut anywhere, into chunks of whole lines."""

    def __init__(self, identity: tuple[int, int], offset: int = 0, rest: bytes = b"") -> None:
        """Continue at `offset`, after `rest`: the beginning of a line that has no end yet."""
        self.identity = identity
        self.offset = offset
        self.rest = rest

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Add the bytes read; yield them up to the last newline."""
        self.offset += len(data)
        end = data.rfind(b"\n") + 1
        if end == 0 and len(self.rest) + len(data) < LONGEST_LINE:
            self.rest += data
            return
        end = end or len(data)
        whole = b"".join((self.rest, memoryview(data)[:end])) if self.rest or data[end:] else data
        self.rest = data[end:]
        yield Chunk(self.identity, self.offset - len(self.rest) - len(whole), whole)

    def finish(self) -> Iterator[Chunk]:
        """Yield the last line even if it lacks its newline: nothing more is expected."""
        rest, self.rest = self.rest, b""
        if rest:
            yield Chunk(self.identity, self.offset - len(rest), rest)


def block_of(offset: int) -> int:
    """Return the number of the block with which reading from `offset` on ends."""
    return (offset + min(NEAR, BLOCK // 2)) // BLOCK


def block_end(descriptor: int, offset: int) -> int:
    """Return up to where a block is to be read from `offset` on.

    It ends with the last line that ends before a multiple of `BLOCK`, so that the lines need not be
    copied; if that line end is not near the multiple, or not in the file, at the multiple.

    Raises:
        OSError: the file cannot be read.
    """
    near = min(NEAR, BLOCK // 2)
    end = (block_of(offset) + 1) * BLOCK
    last = os.pread(descriptor, near, end - near)
    return end - near + last.rfind(b"\n") + 1 if len(last) == near and b"\n" in last else end
