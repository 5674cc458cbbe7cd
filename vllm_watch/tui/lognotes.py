"""Notes about paths and logs themselves: unreadable files, unknown lines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo

from vllm_watch.core.figures import counted
from vllm_watch.core.states import NO_LINE
from vllm_watch.core.store import Server
from vllm_watch.core.timetexts import since_words
from vllm_watch.health.monitor import Monitor
from vllm_watch.reports.text import stats_not_read

_LINES = 20
"""A log without a line from vLLM is reported after so many lines."""


class LogNotes:
    """Makes the notes; servers without news and without a note are not checked again."""

    def __init__(self, monitor: Monitor, tz: tzinfo) -> None:
        """Report on the servers of `monitor`, with times in the zone `tz`."""
        self._monitor = monitor
        self._tz = tz
        self._seen = -1
        """The store's revision when servers were checked."""
        self._noted: set[str] = set()
        """Sources of servers that had a note."""

    def notes(self) -> tuple[str, ...]:
        """Return the notes as of the last search of the paths."""
        monitor = self._monitor
        search, servers = monitor.store.search, monitor.store.servers
        notes = [*monitor.notes]
        now = search.time if search else 0.0
        if search:
            each = zip(search.troubles, search.troubles_since, strict=True)
            notes += [text + since_words(since, now, self._tz) for text, since in each]
        if search and servers:
            notes += [
                f"{path}: is not there yet; it is read when it appears" for path in search.missing
            ]
        look_at = {server.source for server in monitor.store.changes.since(self._seen)}
        self._seen = monitor.store.revision
        found = {
            source: texts
            for source in look_at | self._noted
            if (texts := list(notes_of(servers[source], now, self._tz)))
        }
        self._noted = set(found)
        if found:
            notes += [text for source in servers for text in found.get(source, ())]
        return tuple(notes)


def notes_of(server: Server, now: float, tz: tzinfo) -> Iterator[str]:
    """Yield the notes on a server's log at `now`, when the paths were searched."""
    if server.trouble:
        since = server.trouble_since
        yield server.trouble + since_words(since, now or since or 0.0, tz)
    if server.stats_like:
        yield f"{server.source}: {stats_not_read(server.stats_like)}"
    if server.damaged:
        verb = "was" if server.damaged == 1 else "were"
        yield f"{server.source}: {counted(server.damaged, 'stats line')} {verb} cut off"
    if server.run.doubled:
        yield (
            f"{server.source}: {server.run.doubled} API servers write lines for one engine; "
            "each counts only its own requests"
        )
    if server.lines > _LINES and not server.records:
        yield f"{server.source}: {NO_LINE} in {server.lines:,} lines; is it a vLLM log?"
