"""The servers in the order of their newest change: who has news since a revision."""

from __future__ import annotations

from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm_watch.core.store import Server


class Changes:
    """Finds the servers with news without passing over all others."""

    def __init__(self) -> None:
        """Start without servers."""
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
