"""Large logs: the newest part is shown immediately, the rest is read in the background.

Such a log has two readers. One follows the newest part, which the screen shows. The other one reads
the whole log from its beginning, slice by slice, into a server that is not shown. When it has
reached the end, it replaces the first, and follows the log. The two parts are never joined, so no
line can be lost or doubled between them; the newest part is read twice.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.news import News
from vllm_watch.ingest.filereader import FileReader, size_of

LARGE = 24 << 20
"""From this size in bytes on, a log is read newest part first: reading it takes about a second."""

SKIPPING = 3 << 20
"""From this size in bytes on, a quick answer reads only a log's beginning and newest part."""

SLICE_SECONDS = 0.15
"""Seconds that the past is read before new lines are read again."""


def is_large(path: str, *, skipping: bool = False) -> bool:
    """Return whether a log is large enough to be read in two parts; a compressed one never is.

    `skipping`: return whether it is large enough to leave out the part between them.
    """
    limit = SKIPPING if skipping else LARGE
    return not path.endswith((".gz", ".zst")) and size_of(path) > limit


@dataclass(slots=True)
class _PastReader:
    """One log whose past is being read."""

    reader: FileReader
    news: Iterator[News]
    modified: float


class Backlog:
    """The pasts still to be read: the most recently written log first, companions last."""

    def __init__(self) -> None:
        self._pasts: list[_PastReader] = []

    def __contains__(self, path: str) -> bool:
        return any(past.reader.path == path for past in self._pasts)

    def __bool__(self) -> bool:
        return bool(self._pasts)

    def add(self, reader: FileReader) -> None:
        """Queue a log to be read from its beginning."""
        try:
            modified = os.stat(reader.path).st_mtime
        except OSError:
            modified = 0.0
        self._pasts.append(_PastReader(reader, reader.read(), modified))
        self._pasts.sort(key=lambda past: (past.reader.twin, -past.modified))

    def read(self) -> Iterator[News | FileReader]:
        """Yield news for one slice of time, and each reader that reached its log's end."""
        until = time.monotonic() + SLICE_SECONDS
        late = False
        while self._pasts and not late:
            late = time.monotonic() >= until
            past = self._pasts[0]
            news = next(past.news, None)
            if news is None:
                self._pasts.pop(0)
                yield past.reader
            else:
                yield past.reader.staged(news)

    def close(self) -> None:
        """Close all files."""
        for past in self._pasts:
            past.reader.close()
        self._pasts.clear()
