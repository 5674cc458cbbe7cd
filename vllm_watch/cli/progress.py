"""Progress of reading, in one line on stderr, for large logs."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator

from vllm_watch.core.hints import TextIO
from vllm_watch.core.news import News, bytes_of
from vllm_watch.sources.paths import Found

QUIET_SECONDS = 0.5
"""Reading that ends sooner shows nothing."""
REDRAW_SECONDS = 0.1
"""Seconds between two updates of the line."""
_MEGABYTE = 1_000_000


class Progress:
    """Counts the bytes of news that go by and draws one line over itself.

    Written here and not with rich, whose import takes longer than reading most logs.
    """

    def __init__(
        self, total: int, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Draw on `stream`; `total` bytes are to be read, 0 if unknown."""
        self._total, self._stream, self._clock = total, stream, clock
        self._done = 0
        self._next = clock() + QUIET_SECONDS
        self._width = 0

    def passed(self, news: News) -> None:
        """Note what was read."""
        self._done += bytes_of(news)
        now = self._clock()
        if now >= self._next:
            self._next = now + REDRAW_SECONDS
            self._draw(self._text())

    def clear(self) -> None:
        """Clear the line, so that the next message begins on an empty one."""
        if self._width:
            self._draw("")
            self._stream.write("\r")
            self._stream.flush()
            self._width = 0

    def _text(self) -> str:
        done = self._done / _MEGABYTE
        if self._total <= 0:
            return f"reading: {done:,.0f} MB"
        # A compressed or growing log yields more bytes than its file has.
        share = min(1.0, self._done / self._total)
        return f"reading: {done:,.0f} of {self._total / _MEGABYTE:,.0f} MB, {share:.0%}"

    def _draw(self, text: str) -> None:
        padding = " " * max(0, self._width - len(text))
        self._stream.write(f"\r{text}{padding}")
        self._stream.flush()
        self._width = len(text)


def total_size(found: Found) -> int:
    """Return the bytes in the files of logs and their companions; unreadable files count 0."""
    total = 0
    for logs in found.logs:
        for path in (logs.source, *logs.twins):
            with contextlib.suppress(OSError):
                total += os.path.getsize(path)
    return total


@contextlib.contextmanager
def reading_shown(found: Found) -> Iterator[Callable[[News], None] | None]:
    """Yield the function to call with all news: it draws progress if stderr is a terminal.

    It is None otherwise: in a file or a pipe, stderr is for errors.
    """
    if not sys.stderr.isatty():
        yield None
        return
    progress = Progress(total_size(found), sys.stderr)
    try:
        yield progress.passed
    finally:
        progress.clear()
