"""Checks all servers and returns the alerts to send. Owned by the event loop."""

from __future__ import annotations

import math
from collections.abc import Collection, Set

from vllm_watch.actions.payload import Alert
from vllm_watch.actions.silences import SilenceKey
from vllm_watch.actions.transitions import Transition, Transitions
from vllm_watch.core.dataclass import replace
from vllm_watch.core.due import Due
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Health, Monitor


class AlertWatch:
    """The present alerts of all servers, whatever moment the screen shows."""

    def __init__(self, monitor: Monitor) -> None:
        """Watch the servers of `monitor`, by its settings."""
        self._monitor = monitor
        self._servers: dict[str, Transitions] = {}
        self._looked = (-math.inf, 0)
        """The moment of the last look, and the store's revision at it."""
        self._due = Due()
        """When servers can change without news."""
        self._silenced: Set[SilenceKey] = frozenset()
        """What was silenced at the last look."""
        self._from: float | None = None

    def caught_up(self, now: float) -> None:
        """Note that all existing lines have been read: alerts that already fire are not reported.

        For a log that joins later, too, only later alerts are reported.
        """
        joined = [
            server
            for server in self._monitor.store.servers.values()
            if server.source not in self._servers
        ]
        for server in joined:
            settings = self._monitor.settings.alerts
            alerts = self._servers[server.source] = Transitions(settings, self._monitor.hides)
            watched_from = now if self._from is None else self._from
            alerts.begin(self._health(server, now), watched_from=watched_from)
            self._due.put(server.source, now)
        if self._from is None:
            self._from = now

    def look(self, now: float, silenced: Collection[SilenceKey]) -> list[Alert]:
        """Return the alerts to send at `now`, in this machine's clock."""
        found = []
        for source in self._concerned(now, frozenset(silenced)):
            alerts, server = self._servers[source], self._monitor.store.servers[source]
            health = self._health(server, now)
            quiet = {name for place, name in silenced if place == source} if silenced else set()
            found += [
                _alert(server, health, transition, now)
                for transition in alerts.update(health, now, quiet)
            ]
            until = server.clock.ours(self._monitor.recent.until(server))
            holds = now if server.last_arrival is None else min(until, alerts.next(quiet))
            self._due.put(source, holds)
        return found

    def _concerned(self, now: float, silenced: Set[SilenceKey]) -> list[str]:
        """Return the servers to look at, in the order in which they were found.

        A server is left out while neither its health nor its reported alerts can have changed.
        """
        store, (before, revision) = self._monitor.store, self._looked
        self._looked = now, store.revision
        changed = {source for source, _ in silenced ^ self._silenced}
        self._silenced = silenced
        if now < before:
            return list(self._servers)
        news = {server.source for server in store.changes.since(revision)}
        some = changed | news | self._due.take(now)
        return [source for source in self._servers if source in some]

    def lasting(self) -> set[SilenceKey]:
        """Return all alerts that have not ended."""
        return {(source, one) for source, of in self._servers.items() for one in of.lasting}

    def _health(self, server: Server, now: float) -> Health:
        """Return a server's health as the live screen shows it, with times in our clock."""
        saved = server.saved(now, self._monitor.settings.watch.saved_after_seconds)
        health = self._monitor.recent.advance(server, server.clock.own(now), saved=saved)
        skew = server.clock.skew
        if not skew:
            return health
        return replace(health, ranked=tuple(found.moved(skew) for found in health.ranked))


def _alert(server: Server, health: Health, transition: Transition, now: float) -> Alert:
    finding = transition.finding
    return Alert(
        transition.status,
        finding.id,
        finding.severity,
        finding.title,
        finding.detail,
        finding.remedy,
        finding.flags,
        finding.guide,
        server.name,
        server.known.model,
        server.known.port,
        finding.engine,
        health.state.name,
        server.source,
        finding.since,
        now,
        transition.repeated,
    )
