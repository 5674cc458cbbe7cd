"""Messages about a server that has ended: why it died, or its last lines."""

from __future__ import annotations

import os

from vllm_watch.cli.common import formats
from vllm_watch.config import Settings
from vllm_watch.serverside.process import is_full

_LAST_LINES = 5
"""Lines of the server's errors that are shown when its log mentions no reason."""
_LAST_BYTES = 16_384
"""Bytes at the end of a log that are searched for them."""
_LONGEST = 300
"""Characters of such a line that are shown."""


class LogEnd:
    """The end of a server's two logs, which may have been there before it."""

    def __init__(self, log: str, settings: Settings, began: float) -> None:
        """Note how long the logs are before a server is started (at `began`)."""
        self._log, self._settings, self._began = log, settings, began
        self._paths = (log.removesuffix(".log") + ".err", log)
        self._sizes = {path: _size(path) for path in self._paths}

    def reason(self) -> list[str]:
        """Return why it died, from its log; nothing if the log has no death."""
        from vllm_watch.reports.reading import read_saved

        reading = read_saved([self._log], formats(), self._settings, newest_only=True)
        for server in reading.servers:
            state = reading.state(server, server.run)
            newest = server.run.newest_stamp
            if state.name == "dead" and state.why:
                fresh = newest is None or newest >= self._began - 1.0
                if fresh or state.since is None:
                    return [state.why]
        return []

    def last_words(self) -> list[str]:
        """Return the last lines of its errors, else of its log; first that the disk is full."""
        folder = os.path.dirname(self._log) or "."
        full = [f"{folder}: no space left: its last lines are lost"] if is_full(folder) else []
        words = (_last_lines(path, self._sizes[path]) for path in self._paths)
        return full + next(filter(None, words), [])


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _last_lines(path: str, begin: int) -> list[str]:
    """Return the last lines of a file after offset `begin` that are not empty."""
    try:
        with open(path, "rb") as file:
            file.seek(max(begin, os.path.getsize(path) - _LAST_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    last = [line for line in lines if line.strip()][-_LAST_LINES:]
    return [line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…" for line in last]
