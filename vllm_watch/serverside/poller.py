"""Reads a metrics page in a separate thread: the rows of a recording, in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from vllm_watch.core.recorded import EngineRow
from vllm_watch.serverside.enginerows import EngineRows
from vllm_watch.serverside.fetching import FetchError
from vllm_watch.serverside.metricspage import PageError, read_page
from vllm_watch.serverside.recorder import PageSource


class Poller:
    """Fetches a page at equal intervals until it is stopped."""

    def __init__(
        self,
        url: str,
        page: PageSource,
        every: float,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Fetch `page`, which is at `url`, every `every` seconds."""
        self.url = url
        self._page = page
        self._every = every
        self._wall = wall
        self._engines = EngineRows()
        self._lock = threading.Lock()
        self._rows: list[EngineRow] = []
        self._trouble = ""

    def start(self) -> Callable[[], None]:
        """Begin, and return a function that stops it."""
        stop = threading.Event()

        def run() -> None:
            while not stop.is_set():
                self.look()
                stop.wait(self._every)

        threading.Thread(target=run, daemon=True).start()
        return stop.set

    def look(self) -> None:
        """Fetch once."""
        trouble, rows = "", []
        try:
            rows = self._engines.rows(read_page(self._page.page()), self._wall())
        except FetchError as error:
            trouble = f"{self.url}: {error}"
            if error.absent:
                self._engines.absent()
        except PageError as error:
            trouble = f"{self.url}: {error}"
        with self._lock:
            self._rows += rows
            self._trouble = trouble

    def take(self) -> tuple[tuple[EngineRow, ...], str]:
        """Return the new rows, and why the page cannot be read now; "" if it can."""
        with self._lock:
            rows, self._rows = self._rows, []
            return tuple(rows), self._trouble
