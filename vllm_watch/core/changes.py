"""Which servers have changed, and the time that all logs cover."""

from __future__ import annotations

from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm_watch.core.store import Server


class Changes:
    """The servers in the order of their newest change."""

    def __init__(self) -> None:
        self._servers: dict[str, Server] = {}
        """The one that changed last is the last."""

    def note(self, server: Server) -> None:
        """Note that a server has changed just now."""
        self._servers.pop(server.source, None)
        self._servers[server.source] = server

    def since(self, revision: int) -> list[Server]:
        """Return the servers that changed after a revision of the store, the newest first."""
        found = []
        for server in reversed(self._servers.values()):
            if server.revision <= revision:
                break
            found.append(server)
        return found


class TimeSpan:
    """The first and the newest stamp of all servers, in our clock."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, float]] = {}
        self._span: tuple[float, float] | None = None
        """The cached span, None after the server at one of its ends has changed."""

    def note(self, server: Server) -> None:
        """Extend the span by the stamps of a server with news."""
        first, last = server.runs[0].first_stamp, server.newest_stamp
        if first is None or last is None:
            return
        first, last = server.clock.ours(first), server.clock.ours(last)
        before = self._known.get(server.source)
        self._known[server.source] = first, last
        if self._span is None:
            return
        start, end = self._span
        if before is not None and (before[0] == start < first or before[1] == end > last):
            self._span = None
        else:
            self._span = min(start, first), max(end, last)

    def span(self) -> tuple[float | None, float | None]:
        """Return the first and the newest stamp; None without any."""
        if self._span is None and self._known:
            firsts, lasts = zip(*self._known.values(), strict=True)
            self._span = min(firsts), max(lasts)
        return self._span or (None, None)
