"""Versions of servers: whether there is anything new to show, live or at an earlier moment."""

from __future__ import annotations

from bisect import bisect_right

from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm_watch.core.store import Server
    from vllm_watch.health.monitor import Monitor


class ServerVersions:
    """Versions of servers: two equal ones mean that nothing happened between two moments."""

    def __init__(self, monitor: Monitor) -> None:
        """Use the servers of `monitor`."""
        self._monitor = monitor
        self._changes: dict[str, tuple[int, list[float]]] = {}

    def of(self, server: Server, moment: float, live: bool) -> tuple[int, int]:
        """Return a server's version at a moment of our clock; live, its revision is enough."""
        if live:
            return server.revision, -1
        kept = self._changes.get(server.source)
        if kept is None or kept[0] != server.revision:
            kept = self._changes[server.source] = (server.revision, self._times(server))
        return server.revision, bisect_right(kept[1], server.clock.own(moment))

    def _times(self, server: Server) -> list[float]:
        """Return when something happened to a server: samples, events, alerts."""
        times: set[float] = set()
        for run in server.runs:
            for series in run.series.values():
                times.update(series.times)
            times.update(at for at, _ in run.placed() if at is not None)
        for span in self._monitor.spans(server):
            times |= {span.since, span.fired}
            if span.until is not None:
                times.add(span.until)
        return sorted(times)
