"""Which servers must be checked now, although nothing was written."""

from __future__ import annotations

import math
from heapq import heappop, heappush

_ROUNDING = 0.001
"""Seconds by which a server is due early: sums of clocks are rounded."""


class Due:
    """When each server must be checked even if nothing is written."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._order: list[tuple[float, str]] = []
        """A heap, the soonest first; entries that `_until` lacks are outdated."""

    def put(self, source: str, until: float) -> None:
        """Set when a server must be checked, in our clock; ∞: only if it has news."""
        self._until[source] = until
        if until < math.inf:
            heappush(self._order, (until, source))

    def take(self, moment: float) -> set[str]:
        """Return the servers that are due and forget their times: the caller sets new ones."""
        found = set()
        while self._order and self._order[0][0] <= moment + _ROUNDING:
            until, source = heappop(self._order)
            if until == self._until[source]:
                found.add(source)
        return found
