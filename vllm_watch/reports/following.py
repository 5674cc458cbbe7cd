"""Follows logs without a screen, and judges them at each look at the files."""

from __future__ import annotations

from collections.abc import Iterable

from vllm_watch.config import Settings
from vllm_watch.core.news import News, PathSearch
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor
from vllm_watch.parsing.formats import Formats
from vllm_watch.reports.filetimes import apply_file_times
from vllm_watch.reports.reading import Reading
from vllm_watch.reports.snapshot import ServerSnapshot, snapshot_of
from vllm_watch.sources.paths import Found, LogSet


class FollowedServers:
    """Applies the items of following; only one thread at a time may use it."""

    def __init__(self, settings: Settings, formats: Formats) -> None:
        """Begin without servers."""
        self._monitor = Monitor(settings, bounded=True)
        self._formats = formats
        self._saved: dict[str, bool] = {}
        """By source, whether a log was a saved one when it was found."""
        self.missing: tuple[str, ...] = ()
        """Paths that match nothing yet."""
        self.caught_up = False
        """True once everything that existed at the beginning has been read."""

    def feed(self, item: News | PathSearch, logs: Iterable[LogSet], wall: float) -> Server | None:
        """Apply an item read at `wall`; `logs` are the files of the servers found so far.

        Returns the server of the news, None for a search of the paths.
        """
        if not isinstance(item, PathSearch):
            return self._monitor.apply(item)
        self._monitor.judge()
        self._monitor.searched(item)
        self.missing = item.missing
        self.caught_up = self.caught_up or item.caught_up
        files = {entry.source: (entry.source, *entry.twins) for entry in logs}
        for server in self.servers:
            if server.source not in self._saved:
                paths = files.get(server.path, (server.path,))
                after = self._monitor.settings.watch.saved_after_seconds
                saved = apply_file_times(server, paths, self._formats, wall, after)
                self._saved[server.source] = saved
        return None

    @property
    def servers(self) -> list[Server]:
        """Every server seen so far, in the order found."""
        return list(self._monitor.store.servers.values())

    def now(self, wall: float) -> list[ServerSnapshot]:
        """Return every server as it is at `wall`."""
        return [
            snapshot_of(
                self._monitor,
                server,
                wall,
                saved=self._saved.get(server.source, False) and server.last_arrival is None,
                trouble=server.trouble or "",
            )
            for server in self.servers
        ]

    def reading(self, wall: float) -> Reading:
        """Return what has been read so far, for summaries as of `wall`."""
        return Reading(self._monitor, Found((), self.missing), wall)
