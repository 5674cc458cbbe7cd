"""The present health of servers, judged again after news or a long silence."""

from __future__ import annotations

from vllm_watch.core.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from vllm_watch.core.store import Server
    from vllm_watch.health.monitor import Health, Monitor

SHORTEST = 0.9
"""Seconds for which the health of a server that writes nothing is reused."""
SERVERS_A_SECOND = 100
"""Quiet servers judged per second; with more servers, each is judged less often."""


class _Kept(NamedTuple):
    revision: int
    saved: bool
    time: float
    until: float
    """Time of the next judgement if nothing arrives."""
    health: Health


class HealthCache:
    """Caches the health of each server; changes by time alone are seen slightly later.

    Silence becomes a stall after tens of seconds, so a server that has just written is not judged
    again before that. A fleet of a thousand silent servers can wait ten seconds.
    """

    def __init__(self, monitor: Monitor) -> None:
        """Judge by `monitor`."""
        self._monitor = monitor
        self._kept: dict[str, _Kept] = {}

    def advance(self, server: Server, now: float, *, saved: bool) -> Health:
        """Move a server to the present `now`, in its log's own clock; return its health then."""
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
        """Return until when the last health holds without news, in the log's clock."""
        return self._kept[server.source].until
