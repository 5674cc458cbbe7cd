"""The newest time in the logs of all servers, noted with each line."""

from __future__ import annotations

from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm_watch.core.store import Server


class TimeSpan:
    """The first and the newest stamp of all servers, in our clock."""

    def __init__(self) -> None:
        """Start without servers."""
        self._known: dict[str, tuple[float, float]] = {}

    def note(self, server: Server) -> None:
        """Note how far a server with news reaches."""
        first, last = server.runs[0].first_stamp, server.newest_stamp
        if first is not None and last is not None:
            self._known[server.source] = server.clock.ours(first), server.clock.ours(last)

    def span(self) -> tuple[float | None, float | None]:
        """Return the first and the newest stamp; None without any."""
        known = self._known.values()
        if not known:
            return None, None
        return min(first for first, _ in known), max(last for _, last in known)
