"""Which news is drawn soon, and how soon: that of servers on the screen; the rest waits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from vllm_watch.health.monitor import Monitor
from vllm_watch.tui.rows import Row

SOON = 0.06
"""Seconds until news reach the screen; later news are drawn with them."""
RESTS = 4
"""Pause before the next drawing, as a multiple of the last one's time, for keys and reading."""
EACH_SERVER = 0.00025
"""Seconds per server for collecting news: with a thousand servers, 100 a second write."""


class Urgency:
    """Decides which news is drawn soon, and how soon."""

    def __init__(self, monitor: Monitor, knows: Callable[[str], bool]) -> None:
        """Take news of `monitor`; `knows` returns whether a server has a row."""
        self._monitor = monitor
        self._knows = knows
        self._drawn: object = None
        self.took = 0.0
        """Duration of the last drawing in seconds."""

    @property
    def looked(self) -> object:
        """The result of the last search of the paths, without its time."""
        looked = self._monitor.store.looked
        return None if looked is None else looked.found

    def drawn(self, took: float) -> None:
        """Note a drawing and its duration in seconds."""
        self._drawn, self.took = self.looked, took

    def concern(self, sources: Collection[str], shown: Iterable[Row | None]) -> bool:
        """Tell whether one of these servers is among the rows shown, or has no row yet."""
        if self.looked != self._drawn:
            return True
        places = {row.source for row in shown if row is not None}
        return any(source in places or not self._knows(source) for source in sources)

    @property
    def wait(self) -> float:
        """Seconds until the next drawing."""
        return max(SOON, RESTS * self.took, EACH_SERVER * len(self._monitor.store.servers))
