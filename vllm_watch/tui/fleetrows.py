"""The rows of all servers, reused without news, and counts over them."""

from __future__ import annotations

import math
from collections.abc import Collection
from operator import attrgetter

from vllm_watch.actions.silences import SilenceKey
from vllm_watch.core.dataclass import replace
from vllm_watch.core.due import Due
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor
from vllm_watch.tui.rows import Row, make_row
from vllm_watch.tui.serverfindings import Entry, entries_of
from vllm_watch.tui.serverversions import ServerVersions
from vllm_watch.tui.timeline import Timeline


class KeptRow(NamedTuple):
    """A server's cached row, and the values to count."""

    version: object
    """The input from which the row was made."""
    until: float
    """Until when the row is valid without news, in the log's clock."""
    row: Row
    shape: str
    rate: float | None
    entries: tuple[Entry, ...]


class FleetRows:
    """Makes the rows of all servers; rows without news are reused.

    While the screen follows the present, only servers with news or with an expired row are checked:
    of a thousand, a hundred write in a second.
    """

    def __init__(self, monitor: Monitor, versions: ServerVersions) -> None:
        """Show the servers of `monitor`."""
        self._monitor = monitor
        self._versions = versions
        self._kept: dict[str, KeptRow] = {}
        self._sources: tuple[str, ...] = ()
        self._shown: list[KeptRow] = []
        self._places: dict[str, int] = {}
        """Where the row of each server is among those shown."""
        self._followed = -math.inf
        """The present up to which rows were updated, −∞ if they are those of another moment."""
        self._revision = 0
        """The store's revision at that moment."""
        self._due = Due()
        self.names_revision = 1
        """Grows when servers are added or renamed."""

    def knows(self, source: str) -> bool:
        """Tell whether a server has a row."""
        return source in self._kept

    def at(self, timeline: Timeline, silences: Collection[SilenceKey] = ()) -> list[KeptRow]:
        """Return the rows of servers at the moment shown, in the order in which they were found."""
        moment, servers = timeline.moment(), self._monitor.store.servers
        follows = timeline.following and moment >= self._followed > -math.inf
        if follows and len(servers) == len(self._shown):
            for server in self._changed(moment):
                place = self._places[server.source]
                self._shown[place] = self._row(server, timeline)
        else:
            self._look_at_all(timeline)
        self._revision = self._monitor.store.revision
        self._followed = moment if timeline.following else -math.inf
        shown = self._shown.copy()
        if silences:
            quiet = {source for source, _ in silences}
            shown = [_silenced(one, silences) if one.row.source in quiet else one for one in shown]
        return shown

    def _look_at_all(self, timeline: Timeline) -> None:
        """Make the row of every server, unless its cached row is still valid."""
        moment, everyone = timeline.moment(), timeline.mode == "live"
        self._shown, self._due = [], Due()
        for server in self._monitor.store.servers.values():
            if everyone or _begun(server, moment):
                self._shown.append(self._row(server, timeline))
        sources = tuple(one.row.source for one in self._shown)
        if sources != self._sources:
            self._sources = sources
            self._places = {source: place for place, source in enumerate(sources)}
            self.names_revision += 1

    def _changed(self, moment: float) -> list[Server]:
        """Return the servers with news, and those whose row has expired."""
        store = self._monitor.store
        news = {server.source for server in store.changes.since(self._revision)}
        return [store.servers[source] for source in news | self._due.take(moment)]

    def _row(self, server: Server, timeline: Timeline) -> KeptRow:
        """Return the row of a server, made again if its cached row is no longer valid."""
        moment, live = timeline.moment(), timeline.following
        kept = self._kept.get(server.source)
        time = server.clock.own(moment)
        known = server.revision if live else self._versions.of(server, moment, live)
        version = (known, live, server.clock)
        if kept is None or kept.version != version or not kept.row.moment <= time < kept.until:
            kept = self._kept[server.source] = self._made(server, timeline, version, kept)
        if live:
            self._due.put(server.source, server.clock.ours(kept.until))
        return kept

    def _made(
        self, server: Server, timeline: Timeline, version: object, kept: KeptRow | None
    ) -> KeptRow:
        monitor, moment, live = self._monitor, timeline.moment(), timeline.following
        watch, now = monitor.settings.watch, timeline.now()
        saved = (live or timeline.at_end) and server.saved(now, watch.saved_after_seconds)
        # Shown at their ends, logs have no silence: old ones are judged as in a summary.
        lost_after = watch.start_lost_after_hours * 3600.0
        watched = live and not (timeline.saved_end is not None and server.saved(now, lost_after))
        row = make_row(monitor, server, moment, live=watched, saved=saved)
        if kept is None or _names(row) != _names(kept.row):
            self.names_revision += 1
        elif kept.version == version and row.same(kept.row):
            row = replace(row, serial=kept.row.serial)
        never = math.inf if live else -math.inf
        until = monitor.recent.until(server) if watched else never
        return _counted(version, until, row)


_names = attrgetter("name", "model", "port")


def _begun(server: Server, moment: float) -> bool:
    first = server.runs[0].first_stamp
    return first is None or server.clock.ours(first) <= moment


def _counted(version: object, until: float, row: Row) -> KeptRow:
    return KeptRow(version, until, row, row.shape, row.values.generation_tps, entries_of(row))


def _silenced(kept: KeptRow, silences: Collection[SilenceKey]) -> KeptRow:
    row = kept.row
    quiet = frozenset(ranked.id for ranked in row.ranked if (row.source, ranked.id) in silences)
    return _counted(kept.version, kept.until, replace(row, silenced=quiet)) if quiet else kept
