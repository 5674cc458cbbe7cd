"""Reads logs once, to the end, for summaries, checks and reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from vllm_watch.config import Settings
from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.news import FileTrouble, News, bytes_of
from vllm_watch.core.run import Run
from vllm_watch.core.states import ServerState
from vllm_watch.core.store import Server
from vllm_watch.ingest import Ingest, ReadOptions
from vllm_watch.parsing.formats import Formats
from vllm_watch.sources.paths import Found

if TYPE_CHECKING:
    from vllm_watch.health.finding import Finding
    from vllm_watch.health.monitor import Health, Monitor

JUDGED = 64 << 20
"""Bytes read before they are judged: a second process scans a large log meanwhile …"""
LAST = 8 << 20
"""… down to these at the end of such logs, where nothing is done meanwhile."""


@dataclass(slots=True)
class Reading:
    """The store that was read, and how to judge it."""

    monitor: Monitor
    found: Found
    """The result of the search: logs, patterns without a match, unreadable folders."""
    wall: float
    """Epoch seconds of our clock when it was read."""
    troubles: list[str] = field(default_factory=list)
    """One line each about files that could not be read to their end."""

    @property
    def servers(self) -> list[Server]:
        """Every server that was read, in the order found."""
        return list(self.monitor.store.servers.values())

    @property
    def unreadable(self) -> list[str]:
        """Paths of the logs, not of their companions, that could not be read to their end."""
        return [
            server.source
            for server in self.servers
            if any(not companion for companion, _ in server.troubles)
        ]

    def saved(self, server: Server, run: Run | None = None) -> bool:
        """Return whether a log is a saved one: its newest stamp is old. An earlier `run` is."""
        if run is not None and run is not server.run:
            return True
        return server.saved(self.wall, self.monitor.settings.watch.saved_after_seconds)

    def end(self, run: Run) -> float:
        """Return a run's own end, now if it has no stamp."""
        return self.wall if run.newest_stamp is None else run.newest_stamp

    def health(self, server: Server) -> Health:
        """Return state and findings of a server at its log's own end."""
        now, saved = self._judged_at(server, server.run)
        return self.monitor.health(server, now, live=False, saved=saved)

    def state(self, server: Server, run: Run) -> ServerState:
        """Return the state of a run at its own end; an earlier run is over."""
        now, saved = self._judged_at(server, run)
        return self.monitor.state(run, now, live=False, saved=saved)

    def findings(self, server: Server, run: Run) -> tuple[Finding, ...]:
        """Return the findings of a run: each once, worst first, explained ones nested."""
        now, saved = self._judged_at(server, run)
        return self.monitor.findings(server, run, now=now, live=False, saved=saved)

    def _judged_at(self, server: Server, run: Run) -> tuple[float, bool]:
        """Return the moment at which a run is judged, and whether nothing more is written to it.

        The moment is its own end. A start-up is judged now: only the silence after its last line
        shows that it failed, and it may be silent for long while it works.
        """
        end, saved = self.end(run), self.saved(server, run)
        if run is not server.run or run.newest_stamp is None or run.series:
            return end, saved
        if self.monitor.state(run, end, live=False, saved=False).name != "starting":
            return end, saved
        now = max(end, server.clock.own(self.wall))
        lost_after = self.monitor.settings.watch.start_lost_after_hours * 3600.0
        return now, saved and now - end > lost_after


def has_vllm_line(server: Server) -> bool:
    """Return whether a log has any line from vLLM."""
    return any(run.events or run.series or run.first_stamp is not None for run in server.runs)


def read_saved(
    patterns: Sequence[str],
    formats: Formats,
    settings: Settings,
    *,
    passed: Callable[[News], None] | None = None,
    newest_only: bool = False,
    begins: Mapping[str, tuple[int, int]] | None = None,
    wall: Callable[[], float] = time.time,
    meanwhile: Callable[[], object] = lambda: None,
) -> Reading:
    """Read everything in the logs as they are now.

    `passed` is called with all news, for progress and for rows. A path that matches nothing is
    listed in `found.missing` and is not an error. `newest_only` reads only the beginning and the
    newest part of large logs, for a quick answer. With `begins` a log is read from the beginning of
    one of its runs (the run's number and its offset, by path), and news say where runs begin.
    `meanwhile` is called early, once a second process may scan: to import what is needed later.
    """
    options = ReadOptions(
        tz=settings.time.zone(),
        newest_only=newest_only,
        begins=begins or {},
        report_begins=begins is not None,
        now=wall,
    )
    ingest = Ingest(patterns, formats, options)
    found, now = ingest.discover(), wall()
    read = ingest.read_once()
    first = [*islice(read, 1)]
    from vllm_watch.health.monitor import Monitor  # while a second process scans

    reading = Reading(Monitor(settings), found, now)
    meanwhile()
    for news in _judged(reading.monitor, chain(first, read), ingest.size):
        if isinstance(news, FileTrouble) and news.text and news.text not in reading.troubles:
            reading.troubles.append(news.text)
        if passed is not None:
            passed(news)
    return reading


def _judged(monitor: Monitor, read: Iterable[News], left: int) -> Iterator[News]:
    """Apply news of some bytes and pass them on; judge after many bytes, and at the end."""
    unjudged, least = 0, LAST if left >= 4 * JUDGED else JUDGED
    for news in read:
        monitor.apply(news)
        unjudged += bytes_of(news)
        left -= bytes_of(news)
        if unjudged >= max(least, min(left, JUDGED)):
            monitor.judge()
            unjudged = 0
        yield news
    monitor.judge()
