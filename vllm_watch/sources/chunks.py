"""The output of every source: whole lines with their position."""

from __future__ import annotations

from collections.abc import Iterator

from vllm_watch.core.dataclass import dataclass

BLOCK = 2 << 20
"""Bytes per read: large enough that most of the time goes into searching."""

LONGEST_LINE = 8 << 20
"""A line without an end is passed on in pieces of this size, which limits memory."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one file."""

    identity: tuple[int, int]
    """Device and inode of the file that it came from."""
    offset: int
    """Where the piece begins in the file."""
    data: bytes
    """Whole lines; only the last chunk of a finished file may lack the newline."""


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
        whole = b"".join((self.rest, memoryview(data)[:end]))
        self.rest = data[end:]
        yield Chunk(self.identity, self.offset - len(self.rest) - len(whole), whole)

    def finish(self) -> Iterator[Chunk]:
        """Yield the last line even if it lacks its newline: nothing more is expected."""
        rest, self.rest = self.rest, b""
        if rest:
            yield Chunk(self.identity, self.offset - len(rest), rest)
