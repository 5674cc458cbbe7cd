"""Standard input as a source."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator

from vllm_watch.core.mistakes import why_failed
from vllm_watch.sources.chunks import BLOCK, Chunk, LineCutter

STEP = 0.2
"""Seconds of silence after which waiting is interrupted to ask whether to stop."""


class StandardInput:
    """Reads lines from a descriptor; same interface as a `Follower`."""

    descriptor: int | None = None
    """The pipe's descriptor, if it was moved away from 0 (the screen reads keys there)."""

    def __init__(self, *, wait: bool = False, stopped: Callable[[], bool] = lambda: False) -> None:
        """Read the pipe, whose descriptor is taken at the first read.

        With `wait` one read continues to the pipe's end, or until `stopped` returns that the rest
        is not wanted; without, it reads what is there now.
        """
        self.path = "-"
        self._wait = wait
        self._stopped = stopped
        self.trouble: str | None = None
        self.trouble_since: float | None = None
        self.ended = False
        self._cutter = LineCutter((0, 0))

    def read(self) -> Iterator[Chunk]:
        """Yield the whole lines that are there now, or all of them."""
        while not self.ended:
            try:
                descriptor = self._open()
                while not select.select([descriptor], [], [], STEP if self._wait else 0)[0]:
                    if not self._wait or self._stopped():
                        return
                data = os.read(descriptor, BLOCK)
            except OSError as error:
                self.ended = True
                self.trouble = f"standard input: {why_failed(error)}; pipe a log into it"
                data = b""
            if not data:
                if not self.ended and not self._wait:
                    self.trouble = "standard input: has ended; what was read stays"
                    self.trouble_since = time.time()
                self.ended = True
                yield from self.finish()
                return
            yield from self._cutter.feed(data)

    def _open(self) -> int:
        if self.descriptor is not None:
            return self.descriptor
        # The parent process may have closed it.
        if sys.stdin is None:
            raise OSError("is closed")
        return sys.stdin.fileno()

    def finish(self) -> Iterator[Chunk]:
        """Yield a last line that lacks its newline."""
        return self._cutter.finish()

    def close(self) -> None:
        """Leave the descriptor open: its opener closes it."""
