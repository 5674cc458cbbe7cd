"""Sends alerts to the terminal, to commands and to webhooks. The event loop owns it."""

from __future__ import annotations

import os
from collections.abc import Callable

from vllm_watch.actions.payload import Alert
from vllm_watch.actions.runner import EXIT_SECONDS, Outcome, Runner
from vllm_watch.actions.silences import Silences
from vllm_watch.actions.terminal import notification
from vllm_watch.actions.watch import AlertWatch
from vllm_watch.health.monitor import Monitor

LOOK_SECONDS = 1.0
"""Seconds between two checks of all servers for alerts that begin or end."""


class Alerting:
    """Reports alerts while a screen watches live, also while it shows an earlier moment."""

    def __init__(
        self,
        monitor: Monitor,
        silences: Silences,
        *,
        wall: Callable[[], float],
        write: Callable[[str], object],
        ring: Callable[[], object],
        report: Callable[[Outcome], object],
    ) -> None:
        """Report what `monitor` finds.

        Args:
            monitor: the servers, their findings, and the settings.
            silences: findings that the user has silenced.
            wall: the clock.
            write: writes escape sequences to the terminal.
            ring: rings its bell.
            report: gets every run of a command and every post, from their threads.
        """
        self._settings = monitor.settings.alerts
        self._silences = silences
        self._wall = wall
        self._write = write
        self._ring = ring
        self._watch = AlertWatch(monitor)
        self._runner = Runner(self._settings, report)
        self._troubles: dict[str, str] = {}

    @property
    def troubles(self) -> tuple[str, ...]:
        """Lines about actions whose newest run failed."""
        return tuple(f"[alerts] {action}: {text}" for action, text in self._troubles.items())

    def caught_up(self) -> None:
        """Note that all logs have been read to their ends."""
        self._watch.caught_up(self._wall())

    def look(self) -> None:
        """Report the changes since the last check."""
        alerts = self._watch.look(self._wall(), self._silences.left())
        if self._silences.waits:
            self._silences.end(self._watch.lasting())
        if self._settings.bell and any(alert.status == "firing" for alert in alerts):
            self._ring()
        for alert in alerts:
            self._notify(alert)
            self._runner.tell(alert)

    def note(self, outcome: Outcome) -> None:
        """Remember that a run failed, until one of its kind succeeds."""
        if outcome.trouble:
            self._troubles[outcome.action] = outcome.trouble
        else:
            self._troubles.pop(outcome.action, None)

    def close(self, seconds: float = EXIT_SECONDS) -> None:
        """Give running actions a short time to end, then end them."""
        self._runner.close(seconds)

    def _notify(self, alert: Alert) -> None:
        text = notification(self._settings.notify, alert.text, tmux=bool(os.environ.get("TMUX")))
        if text:
            self._write(text)
