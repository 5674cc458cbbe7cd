"""The health of servers as of now, judged again where something changed or enough time went."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from vllm_watch.core.store import Server
    from vllm_watch.health.monitor import Health, Monitor

SHORTEST = 0.9
"""Seconds for which the health of a server that writes nothing is not looked at again."""
SERVERS_A_SECOND = 100
"""Quiet servers looked at in a second: of more, each is looked at less often."""
FINDINGS_A_SECOND = 25
"""Servers whose findings are worked out in a second where the same alerts fire as before."""


class _Kept(NamedTuple):
    revision: int
    saved: bool
    time: float
    judged: float
    """When its findings were worked out."""
    firing: frozenset[object]
    """The alerts that fired then."""
    health: Health


class RecentHealth:
    """Remembers the health of each server; what time alone changes is seen a little later.

    Silence becomes a stall after tens of seconds: a fleet of a thousand can wait ten for it. An
    alert that begins or ends is seen at once; the figures in the words of one that goes on may be
    some seconds old in a large fleet.
    """

    def __init__(self, monitor: Monitor) -> None:
        """Judge by `monitor`."""
        self._monitor = monitor
        self._kept: dict[str, _Kept] = {}

    def patience(self) -> float:
        """Return the seconds after which a quiet server is looked at again."""
        return max(SHORTEST, len(self._monitor.store.servers) / SERVERS_A_SECOND)

    def health(self, server: Server, now: float, *, saved: bool) -> Health:
        """Return the health of a server at the present `now`, in its log's own clock."""
        kept = self._kept.get(server.source)
        if (
            kept is not None
            and (kept.revision, kept.saved) == (server.revision, saved)
            and 0 <= now - kept.time < self.patience()
        ):
            return kept.health
        firing = self._firing(server)
        judged = now
        health = self._known(server, now, saved, kept, firing)
        if health is None or kept is None:
            health = self._monitor.health(server, now, live=True, saved=saved)
        else:
            judged = kept.judged
        self._kept[server.source] = _Kept(server.revision, saved, now, judged, firing, health)
        return health

    def _firing(self, server: Server) -> frozenset[object]:
        """Return what tells the alerts of a server that are not over from others."""
        return frozenset(
            (span.rule.id, span.engine, span.since)
            for span in self._monitor.spans(server)
            if span.until is None
        )

    def _known(
        self,
        server: Server,
        now: float,
        saved: bool,
        kept: _Kept | None,
        firing: frozenset[object],
    ) -> Health | None:
        """Return the health of before where nothing but figures can have changed, else None."""
        late = len(self._monitor.store.servers) / FINDINGS_A_SECOND
        if kept is None or late <= SHORTEST or not 0 <= now - kept.judged < late:
            return None
        if kept.saved != saved or kept.firing != firing:
            return None
        state = self._monitor.state(server.run_at(now), now, live=True, saved=saved)
        return kept.health if state == kept.health.state else None
