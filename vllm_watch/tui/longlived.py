"""Objects that stay are left out of garbage collection.

A full collection looks at every object: with a thousand servers it stops the screen for two
seconds, and finds nothing, since what was read stays. So collection begins when all logs have been
read once, and skips all objects that exist by then; the same again when servers have joined.
"""

from __future__ import annotations

import gc

from vllm_watch.core.store import Store

LATEST = 120.0
"""Seconds after the start at which collection begins at the latest."""


class LongLived:
    """Decides when objects are left out of collection; only in a process of our own."""

    def __init__(self) -> None:
        """Note whether garbage is collected already: then the process is not ours."""
        self._ours = not gc.isenabled()
        self._known: tuple[int, bool] | None = None

    def settle(self, store: Store) -> None:
        """Leave out all present objects, if logs have been read since the last time."""
        known = len(store.servers), store.reading() is None
        if self._ours and known != self._known:
            self._known = known
            gc.freeze()
            gc.enable()
