"""Views and apps of real captures at a chosen moment, for the tests of the screen."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from datetime import UTC
from pathlib import Path
from typing import Any

from textual.pilot import Pilot, WaitForScreenTimeout

from tests.logs import at, judged, log_of, read
from vllm_watch.config import ReplaySettings, Settings, TimeSettings
from vllm_watch.core.news import News
from vllm_watch.core.store import Server
from vllm_watch.core.timetexts import parse_time
from vllm_watch.health.jobs import Targets
from vllm_watch.health.monitor import Monitor
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.eventlines import EventLine, newest_lines, server_lines
from vllm_watch.tui.screens.dashboard import Dashboard
from vllm_watch.tui.screenview import Choices, ScreenView
from vllm_watch.tui.timeline import Timeline
from vllm_watch.tui.viewmaker import ViewMaker
from vllm_watch.tui.widgets.fleet import Fleet

NOON = at("12:00:00")
"""The wall clock of tests."""

SETTINGS = Settings(time=TimeSettings(display_tz="UTC"), replay=ReplaySettings(speed=20.0))

MOST_TURNS = 2_000
"""Most turns of the event loop to wait; then it fails: it never waits for time."""


class Wall:
    """A wall clock that advances only on request."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def monitor_of(*captures: str) -> Monitor:
    """Return a monitor that has read whole captures."""
    return monitor_from(read(*(log_of(name) for name in captures)).read_once())


def monitor_from(batches: Iterable[News]) -> Monitor:
    """Return a monitor that has applied `batches`."""
    return judged(batches, SETTINGS)


def server_of(monitor: Monitor) -> Server:
    """Return the first server of a monitor."""
    return next(iter(monitor.store.servers.values()))


def event_lines(monitor: Monitor, until: float, limit: int) -> tuple[EventLine, ...]:
    """Return the newest `limit` events of all servers up to `until`, the newest first."""
    servers = monitor.store.servers.values()
    return newest_lines((server_lines(monitor, server, until, limit) for server in servers), limit)


def view_at(monitor: Monitor, clock: str, choices: Choices | None = None) -> ScreenView:
    """Return the view of a replay at a time of the captures' day."""
    timeline = Timeline(Wall(), speed=20.0)
    timeline.cover(*monitor.store.reach())
    timeline.begin(at(clock))
    return ViewMaker(monitor, UTC, job=None).make(timeline, choices or Choices())


def replay_app(
    *paths: Path | str, start: str, wall: Wall | None = None, targets: Targets | None = None
) -> VllmWatch:
    """Return an app that replays logs and is at `start`, with a fixed wall clock."""
    return VllmWatch(
        read(*paths),
        SETTINGS,
        replay=True,
        start=parse_time(start),
        wall=wall or Wall(),
        targets=targets,
    )


async def until(pilot: Pilot[Any], true: Callable[[], bool]) -> None:
    """Let the event loop turn until a condition holds: the only way tests wait for the screen."""
    for _ in range(MOST_TURNS):
        if true():
            return
        with contextlib.suppress(WaitForScreenTimeout):  # a turn may take long on a busy machine
            await pilot.pause(0.02)
    raise AssertionError("it did not come about")


def drawn(app: VllmWatch) -> bool:
    """Return whether the dashboard has its panes and has drawn a view."""
    return any(fleet.view is not None for fleet in app.screen.query(Fleet))


async def all_read(pilot: Pilot[Any]) -> None:
    """Wait until everything is read and drawn, then draw the view of the fixed clock."""
    app = pilot.app
    assert isinstance(app, VllmWatch)
    await app.workers.wait_for_complete()
    await until(pilot, lambda: app.timeline.ready and drawn(app))
    screen = app.screen
    assert isinstance(screen, Dashboard)
    screen.draw()
    await pilot.pause()
