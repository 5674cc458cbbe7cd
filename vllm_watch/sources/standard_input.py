"""Standard input as a source: what a pipe brings, read without waiting."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator

from vllm_watch.sources.follower import BLOCK, LONGEST_LINE, Chunk


class StandardInput:
    """Reads lines from a descriptor as they come; same face as a `Follower`."""

    descriptor: int | None = None
    """Where the pipe is, if it was moved away from 0 (the screen reads keys there)."""

    def __init__(self) -> None:
        """Read the pipe; its descriptor is taken at the first read."""
        self.path = "-"
        self.trouble: str | None = None
        self.ended = False
        self._offset = 0
        self._rest = b""

    def read(self) -> Iterator[Chunk]:
        """Yield the whole lines that are there now."""
        descriptor = self.descriptor if self.descriptor is not None else sys.stdin.fileno()
        while not self.ended:
            ready, _, _ = select.select([descriptor], [], [], 0)
            if not ready:
                return
            data = os.read(descriptor, BLOCK)
            if not data:
                self.ended = True
                self.trouble = "standard input: has ended; what it brought stays"
                yield from self.finish()
                return
            self._offset += len(data)
            end = data.rfind(b"\n") + 1
            if end == 0 and len(self._rest) + len(data) < LONGEST_LINE:
                self._rest += data
                continue
            end = end or len(data)
            whole, self._rest = self._rest + data[:end], data[end:]
            yield Chunk((0, 0), self._offset - len(self._rest) - len(whole), whole)

    def finish(self) -> Iterator[Chunk]:
        """Yield a last line that lacks its newline."""
        if self._rest:
            yield Chunk((0, 0), self._offset - len(self._rest), self._rest)
        self._rest = b""

    def close(self) -> None:
        """Leave the descriptor to whoever opened it."""
