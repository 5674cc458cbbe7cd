"""Objects that stay are left out of garbage collection.

A full collection looks at every object: with a thousand servers it stops the screen for two
seconds, and finds nothing, since what was read stays. So collection begins when all logs have been
read once, and skips all objects that exist by then; the same again when servers have joined.

Each line of an engine replaces some objects, which live until its next line. With thousands of
engines they are most of what a collection looks at, so it comes more rarely the more objects stay.
"""

from __future__ import annotations

import gc

from vllm_watch.core.store import Store

GROWN = 2
"""Growth of the objects left out since the last full collection that causes the next one."""
SHARE = 4
"""Objects left out ÷ new objects after which garbage is collected, if that is rarer than before."""
LATEST = 120.0
"""Seconds after the start at which collection begins at the latest."""


class LongLived:
    """Decides when objects are left out of collection; only in a process of our own."""

    def __init__(self) -> None:
        """Note whether garbage is collected already: then the process is not ours."""
        self._ours = not gc.isenabled()
        self._soonest = gc.get_threshold()[0]
        self._known: tuple[int, bool] | None = None
        self._left_out = 0
        """Objects that were left out at the last full collection; 0 until all has been read."""

    def settle(self, store: Store) -> None:
        """Leave out all present objects, if logs have been read since the last time."""
        known = len(store.servers), store.reading() is None
        if not self._ours or known == self._known:
            return
        self._known = known
        full = not self._left_out or gc.get_freeze_count() > GROWN * self._left_out
        if self._left_out:
            if full:
                gc.unfreeze()
            gc.collect()
        gc.freeze()
        left_out = gc.get_freeze_count()
        gc.set_threshold(max(self._soonest, left_out // SHARE))
        gc.enable()
        if full and store.reading() is None:
            self._left_out = left_out
