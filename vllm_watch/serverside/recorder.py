"""`record`: reads the server's page and the GPUs at equal intervals, and writes rows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Event

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import Protocol
from vllm_watch.core.mistakes import why_failed
from vllm_watch.core.naming import name_from_path
from vllm_watch.core.recorded import GpuRow, Recorded, recording_of
from vllm_watch.serverside.enginerows import EngineRows
from vllm_watch.serverside.fetching import FetchError
from vllm_watch.serverside.metricspage import PageError, read_page
from vllm_watch.serverside.recordfile import RecordFile

LONGEST_FETCH = 5.0
"""Seconds that a page may take; less if the interval is shorter."""
_PAGE = "page"
"""Key of a trouble with the page."""


class PageSource(Protocol):
    """The source of a `/metrics` page's text."""

    def page(self) -> str:
        """Return the text of the page, or raise `FetchError`."""


class GpuSource(Protocol):
    """The source of GPU rows."""

    def rows(self, time: float) -> tuple[list[GpuRow], list[str]]:
        """Return rows, and new troubles with GPUs."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks of a recorder; tests replace them."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic
    wait: Callable[[Event, float], bool] = lambda stop, seconds: stop.wait(seconds)
    """Wait until stopped (then True) or so many seconds have passed."""


class Recorder:
    """Writes the recording of one log."""

    def __init__(
        self,
        log: str,
        every: float,
        say: Callable[[str], None],
        *,
        page: PageSource | None,
        url: str,
        gpus: GpuSource | None,
        clocks: Clocks | None = None,
    ) -> None:
        """Record every `every` seconds; report each trouble once with `say`."""
        self._log = log
        self._every = every
        self._say = say
        self._page, self._url = page, url
        self._gpus = gpus
        self._clocks = clocks or Clocks()
        self._engines = EngineRows()
        self._troubles: dict[str, str] = {}
        self._models: set[str] = set()
        self._alive: Callable[[], bool] = lambda: True

    def only_while(self, alive: Callable[[], bool]) -> None:
        """Record only while a condition holds, such as that the server runs."""
        self._alive = alive

    def run(self, stop: Event) -> None:
        """Record until `stop` is set; first wait for the log.

        Raises:
            SecondRecorderError: another recorder writes the recording of this log.
            RecordError: the recording cannot be written.
        """
        if not self._wait_for_log(stop):
            return
        file = RecordFile(self._log)
        self._say(f"records into {recording_of(self._log)} every {self._every:g} s")
        try:
            due = self._clocks.steady()
            while not stop.is_set():
                self._look(file)
                if not self._alive():
                    return
                due = self._next(due)
                if self._clocks.wait(stop, due - self._clocks.steady()):
                    return
        finally:
            file.close()

    def _next(self, due: float) -> float:
        """Return the time of the next row; missed ones are left out."""
        missed = (self._clocks.steady() - due) // self._every
        return due + self._every * (1 + max(0.0, missed))

    def _wait_for_log(self, stop: Event) -> bool:
        """Wait for the log; return whether it exists."""
        said = False
        while not os.path.exists(self._log):
            if not said:
                self._say(f"{self._log}: is not there yet; waiting for it")
                said = True
            if self._page is not None:
                self._fetch()  # whether a server was running before decides how its totals count
            if self._clocks.wait(stop, min(1.0, self._every)):
                return False
        return True

    def _look(self, file: RecordFile) -> None:
        file.rotate()
        now = self._clocks.wall()
        rows: list[Recorded] = []
        if self._page is not None:
            text = self._fetch()
            rows += self._read(text, self._clocks.wall()) if text is not None else []
        if self._gpus is not None:
            gpus, troubles = self._gpus.rows(now)
            rows += gpus
            for trouble in troubles:
                self._say(trouble)
        try:
            for row in rows:
                file.write(row)
        except OSError as error:
            reason = why_failed(error)
            self._trouble("file", f"{file.path}: {reason}; rows are lost until that is fixed")
        else:
            if rows:
                self._trouble("file", None, "rows are written again")

    def _fetch(self) -> str | None:
        assert self._page is not None
        try:
            return self._page.page()
        except FetchError as error:
            if error.absent:
                self._engines.absent()
            self._trouble(_PAGE, f"{self._url}: {error}; trying again every {self._every:g} s")
            return None

    def _read(self, text: str, now: float) -> list[Recorded]:
        try:
            page = read_page(text)
        except PageError as error:
            self._trouble(_PAGE, f"{self._url}: {error}; trying again every {self._every:g} s")
            return []
        self._trouble(_PAGE, None, f"{self._url}: answers")
        if page.models != self._models:
            self._models = page.models
            self._compare_models()
        return list(self._engines.rows(page, now))

    def _compare_models(self) -> None:
        """Report if the page seems to be another server's: its model is not the log's."""
        known = name_from_path(self._log).model
        if known and self._models and not any(_alike(known, name) for name in self._models):
            names = ", ".join(sorted(self._models))
            self._say(
                f"{self._url}: is the page of {names}, the log's name says {known}: "
                "check --metrics unless that is its served name"
            )

    def _trouble(self, kind: str, text: str | None, over: str = "") -> None:
        """Report a problem once when it begins, and once when it ends."""
        if text is not None and self._troubles.get(kind) != text:
            self._troubles[kind] = text
            self._say(text)
        elif text is None and self._troubles.pop(kind, None) is not None:
            self._say(over)


def _alike(known: str, served: str) -> bool:
    """Return whether two names may be the same model's: one ends with the other."""
    one, other = (name.replace("/", "_").strip("_").lower() for name in (known, served))
    return one.endswith(other) or other.endswith(one)
