"""Runs commands and posts in separate threads, so that they never block the screen."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from vllm_watch.actions.payload import Alert
from vllm_watch.config.sections import AlertSettings
from vllm_watch.core.dataclass import dataclass

MOST_WAITING = 100
"""Most runs that wait for a thread; further ones are skipped, which is reported."""
EXIT_SECONDS = 3.0
"""Seconds allowed for runs when the program ends."""

Job = Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run."""

    action: str
    """`command` or `webhook`."""
    trouble: str | None
    """Why it failed, in one line; None if it did not."""


class Runner:
    """A queue of runs and the few threads that take them from it."""

    def __init__(self, settings: AlertSettings, report: Callable[[Outcome], object]) -> None:
        """Run the actions that `settings` name; `report` is called from the threads."""
        self._settings = settings
        self._report = report
        self._jobs: queue.Queue[tuple[str, Job] | None] = queue.Queue()
        self._threads: list[threading.Thread] = []
        self._cancel = threading.Event()
        self._closed = False

    def tell(self, alert: Alert) -> None:
        """Run the command and the post of an alert soon; returns immediately."""
        settings, cancel = self._settings, self._cancel
        seconds, address = settings.timeout_seconds, settings.webhook
        if settings.command:
            from vllm_watch.actions.command import run_command

            self._add("command", lambda: run_command(settings.command, alert, seconds, cancel))
        if address:
            from vllm_watch.actions.webhook import post  # imports ssl and http: 40 ms

            self._add("webhook", lambda: post(address, alert, seconds, cancel))

    def close(self, seconds: float = EXIT_SECONDS) -> None:
        """Allow `seconds` for running and waiting ones, then kill them."""
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._cancel.set()
        for thread in self._threads:
            thread.join(0.5)

    def _add(self, action: str, job: Job) -> None:
        if self._closed:
            return
        if self._jobs.qsize() >= MOST_WAITING:
            text = f"{MOST_WAITING} alerts are waiting to be sent; the newest is dropped"
            self._report(Outcome(action, text))
            return
        self._jobs.put((action, job))
        if len(self._threads) < self._settings.at_once:
            thread = threading.Thread(target=self._work, name="alert", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (entry := self._jobs.get()) is not None:
            if self._cancel.is_set():
                return
            action, job = entry
            try:
                trouble = job()
            except Exception as error:  # noqa: BLE001 # an error in a thread would go unnoticed
                trouble = f"failed: {error!r}"
            self._report(Outcome(action, trouble))
