"""The real screen over a simulated fleet, without a terminal (`benchmarks/memory.py --screen`)."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable

from benchmarks.memory import Simulation, resident
from vllm_watch.__main__ import SELDOM
from vllm_watch.cli.common import formats
from vllm_watch.config import Settings
from vllm_watch.core.news import PathSearch
from vllm_watch.health.monitor import Monitor
from vllm_watch.ingest import Ingest
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.screens.dashboard import Dashboard

SIZE = (160, 50)
REFRESH = 0.03
"""Seconds within which Textual refreshes the screen, with some to spare."""


class Watched(VllmWatch):
    """The app; the simulation reads for it."""

    def _read(self) -> None:  # type: ignore[override]  # no worker
        self._framed.set()


class OnScreen(Simulation):
    """A fleet, and the app that watches it."""

    app: Watched

    def make_monitor(self, settings: Settings) -> Monitor:
        """Make the app, which has a monitor of its own."""
        gc.set_threshold(SELDOM)
        gc.disable()  # as `cli/screen.py` does: the app decides when collection begins
        self.app = Watched(Ingest([], formats()), settings, wall=self.wall)
        return self.app.monitor

    def watch_all(self, told: Callable[[int], None]) -> None:
        """Go on to the end; tell each full hour."""
        asyncio.run(self._watch_all(told))

    async def _watch_all(self, told: Callable[[int], None]) -> None:
        async with self.app.run_test(size=SIZE):
            for hour in self.run():
                await asyncio.sleep(REFRESH)  # Textual draws what changed
                if hour is not None:
                    told(hour)

    def resident(self) -> int:
        """Return the bytes that this process holds now, with the garbage of the program."""
        return resident()

    def draw(self, span: float | None) -> float:
        """Draw the dashboard; return its processor time without Textual's own."""
        began = time.process_time()
        self.app.timeline.span = span
        assert isinstance(self.app.screen, Dashboard)
        self.app.screen.draw()
        return time.process_time() - began

    def _read(self) -> None:
        """Pass what was written on to the app, as its reading thread does."""
        search = PathSearch(self.wall(), len(self._readers), (), ())
        self.app._arrived += [batch for reader in self._readers for batch in reader.read()]
        self.app._arrived.append(search)
        self.app._apply()
