"""Which news is drawn soon, and how soon: that of servers on the screen; the rest waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from functools import partial

from textual.timer import Timer

from vllm_watch.health.monitor import Monitor
from vllm_watch.tui.rows import Row

SOON = 0.03
"""Seconds until news reaches the screen; what arrives meanwhile is drawn with it."""
RESTS = 4
"""Pause after a drawing, as a multiple of its time, for keys and reading."""
EACH_SERVER = 0.02
"""News of rows that are not selected is collected for so many seconds per server."""
LONGEST = 0.5
"""If that would be so many seconds or more, it is drawn with the clock, each second.

Drawing a table of fifty servers once for each row of it took a third of the processor time.
"""


class DelayedCall:
    """One call at a later time; of two times, the earlier one counts."""

    def __init__(self, set_timer: Callable[[float, Callable[[], object]], Timer]) -> None:
        """Have timers made by `set_timer`."""
        self._set_timer = set_timer
        self._timer: Timer | None = None
        self._due = 0.0

    def within(self, seconds: float, call: Callable[[], object]) -> None:
        """Call at the latest in so many seconds."""
        due = time.monotonic() + seconds
        if self._timer is None or due < self._due:
            self.clear()
            self._due, self._timer = due, self._set_timer(seconds, partial(self._come, call))

    def clear(self) -> None:
        """Call no more: it has just happened, or happens sooner."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = None

    def _come(self, call: Callable[[], object]) -> None:
        self._timer = None
        call()


class Urgency:
    """Decides how soon news is drawn."""

    def __init__(self, monitor: Monitor, knows: Callable[[str], bool]) -> None:
        """Take news of `monitor`; `knows` returns whether a server has a row."""
        self._monitor = monitor
        self._knows = knows
        self._drawn: object = None
        self.rested = 0.0
        """The moment up to which drawing pauses, in the monotonic clock."""

    @property
    def search(self) -> object:
        """The result of the last search of the paths, without its time."""
        search = self._monitor.store.search
        return None if search is None else search.found

    def drawn(self, took: float) -> None:
        """Note a drawing and its duration in seconds."""
        self._drawn, self.rested = self.search, time.monotonic() + RESTS * took

    @property
    def soon(self) -> float:
        """Seconds until urgent news is drawn."""
        return max(SOON, self.rested - time.monotonic())

    def wait(
        self, sources: Collection[str], selected: Row | None, shown: Iterable[Row | None]
    ) -> float | None:
        """Return the seconds until news of these servers is drawn, None: with the next second.

        News of the selected server is most urgent, and that of a server without a row.
        """
        is_new = self.search != self._drawn or not all(map(self._knows, sources))
        if is_new or (selected is not None and selected.source in sources):
            return self.soon
        if not any(row is not None and row.source in sources for row in shown):
            return None
        later = max(self.soon, EACH_SERVER * len(self._monitor.store.servers))
        return later if later < LONGEST else None
