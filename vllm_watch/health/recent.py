"""The present health of servers, judged again after news or when silence matters."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from vllm_watch.core.store import Server
    from vllm_watch.health.monitor import Health, Monitor

SHORTEST = 0.9
"""Seconds for which the health of a server that writes nothing is not looked at again."""
SERVERS_A_SECOND = 100
"""Quiet servers looked at in a second: of more, each is looked at less often."""


class _Kept(NamedTuple):
    revision: int
    saved: bool
    time: float
    until: float
    """When it is looked at again although nothing came."""
    health: Health


class RecentHealth:
    """Remembers the health of each server; what time alone changes is seen a little later.

    Silence becomes a stall after tens of seconds: a server that has just written is not looked at
    before, and a fleet of a thousand silent ones can wait ten for it.
    """

    def __init__(self, monitor: Monitor) -> None:
        """Judge by `monitor`."""
        self._monitor = monitor
        self._kept: dict[str, _Kept] = {}

    def health(self, server: Server, now: float, *, saved: bool) -> Health:
        """Return the health of a server at the present `now`, in its log's own clock."""
        kept = self._kept.get(server.source)
        if (
            kept is not None
            and (kept.revision, kept.saved) == (server.revision, saved)
            and kept.time <= now < kept.until
        ):
            return kept.health
        health = self._monitor.health(server, now, live=True, saved=saved)
        patience = max(SHORTEST, len(self._monitor.store.servers) / SERVERS_A_SECOND)
        until = max(now + patience, self._monitor.steady_until(server, health, now))
        self._kept[server.source] = _Kept(server.revision, saved, now, until, health)
        return health

    def until(self, server: Server) -> float:
        """Return up to when the health given last holds if nothing comes, in the log's clock."""
        return self._kept[server.source].until
