"""The newest time in the logs of all servers, updated with each line."""

from __future__ import annotations

import math
from collections.abc import Collection

from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm_watch.core.store import Server

_FEW_SECONDS = 1.0
"""Differences between clocks below this are ignored."""
Known = tuple[object, float]
"""A server's oldest run and the skew of its clock, as last seen."""


class TimeSpan:
    """The first and the newest stamp of all servers, in our clock."""

    def __init__(self) -> None:
        """Start without servers."""
        self._span = (math.inf, -math.inf)
        self._known: dict[str, Known] = {}
        self._anew = False

    def note(self, server: Server, *, moved: bool = False) -> None:
        """Update with news of a server; `moved`: its times have shifted."""
        known, now = self._known.get(server.source), (server.runs[0], server.clock.skew)
        if known is not None:
            other_clock = abs(known[1] - now[1]) > _FEW_SECONDS
            self._anew |= moved or known[0] is not now[0] or other_clock
        if known is None or known[0] is not now[0] or known[1] != now[1]:
            self._known[server.source] = now
        self._widen(server)

    def of(self, servers: Collection[Server]) -> tuple[float | None, float | None]:
        """Return the first and the newest stamp of `servers`; None without any."""
        if self._anew:
            self._anew, self._span = False, (math.inf, -math.inf)
            for server in servers:
                self._widen(server)
        first, last = self._span
        return (first, last) if first < math.inf else (None, None)

    def _widen(self, server: Server) -> None:
        first, last = server.runs[0].first_stamp, server.newest_stamp
        if first is not None and last is not None:
            before, after = self._span
            ours = server.clock.ours
            self._span = min(before, ours(first)), max(after, ours(last))
