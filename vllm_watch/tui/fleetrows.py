"""The rows of all servers, reused without news, and counts over them."""

from __future__ import annotations

import math
from collections.abc import Collection
from operator import attrgetter

from vllm_watch.actions.silences import Key
from vllm_watch.core.dataclass import replace
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor
from vllm_watch.tui.problems import Entry, entries_of
from vllm_watch.tui.rows import Row, make_row
from vllm_watch.tui.stamps import Stamps
from vllm_watch.tui.timeline import Timeline


class KeptRow(NamedTuple):
    """A server's cached row, and the values to count."""

    stamp: object
    """The input it was made from."""
    until: float
    """Until when it holds without news, in the log's clock."""
    row: Row
    shape: str
    rate: float | None
    entries: tuple[Entry, ...]


class FleetRows:
    """Makes the rows of all servers; rows without news are reused."""

    def __init__(self, monitor: Monitor, stamps: Stamps) -> None:
        """Show the servers of `monitor`."""
        self._monitor = monitor
        self._stamps = stamps
        self._kept: dict[str, KeptRow] = {}
        self._sources: tuple[str, ...] = ()
        self.named = 1
        """Grows when servers are added or renamed."""

    def knows(self, source: str) -> bool:
        """Tell whether a server has a row."""
        return source in self._kept

    def at(self, timeline: Timeline, silences: Collection[Key] = ()) -> list[KeptRow]:
        """Return the rows of servers at the moment shown, in the order in which they were found."""
        moment, live, everyone = timeline.moment(), timeline.following, timeline.mode == "live"
        shown = []
        for source, server in self._monitor.store.servers.items():
            if not everyone and not _begun(server, moment):
                continue
            kept = self._kept.get(source)
            time = server.clock.own(moment)
            known = server.revision if live else self._stamps.of(server, moment, live)
            stamp = (known, live, server.clock)
            if kept is None or kept.stamp != stamp or not kept.row.moment <= time < kept.until:
                kept = self._kept[source] = self._made(server, timeline, stamp, kept)
            shown.append(kept)
        sources = tuple(one.row.source for one in shown)
        if sources != self._sources:
            self._sources = sources
            self.named += 1
        if silences:
            quiet = {source for source, _ in silences}
            shown = [_silenced(one, silences) if one.row.source in quiet else one for one in shown]
        return shown

    def _made(
        self, server: Server, timeline: Timeline, stamp: object, kept: KeptRow | None
    ) -> KeptRow:
        monitor, moment, live = self._monitor, timeline.moment(), timeline.following
        saved = live and server.saved(timeline.now(), monitor.settings.watch.saved_after_seconds)
        row = make_row(monitor, server, moment, live=live, saved=saved)
        if kept is None or _names(row) != _names(kept.row):
            self.named += 1
        elif kept.stamp == stamp and row.same(kept.row):
            row = replace(row, serial=kept.row.serial)
        until = monitor.recent.until(server) if live else -math.inf
        return _counted(stamp, until, row)


_names = attrgetter("name", "model", "port")


def _begun(server: Server, moment: float) -> bool:
    first = server.runs[0].first_stamp
    return first is None or server.clock.ours(first) <= moment


def _counted(stamp: object, until: float, row: Row) -> KeptRow:
    return KeptRow(stamp, until, row, row.shape, row.values.generation_tps, entries_of(row))


def _silenced(kept: KeptRow, silences: Collection[Key]) -> KeptRow:
    row = kept.row
    quiet = frozenset(noted.id for noted in row.noted if (row.source, noted.id) in silences)
    return _counted(kept.stamp, kept.until, replace(row, silenced=quiet)) if quiet else kept
