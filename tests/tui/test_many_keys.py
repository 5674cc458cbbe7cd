"""Keys pressed faster than the screen can follow: only the requested screen closes, without errors."""

from __future__ import annotations

import asyncio
import random

import pytest
from textual import events

from tests.logs import log_of
from tests.tui.screens import all_read, replay_app, until
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.screens.dashboard import Dashboard
from vllm_watch.tui.widgets.fleet import Fleet

KEYS = (
    *("escape", "enter", "down", "up", "pagedown", "pageup", "home", "end", "tab", "space"),
    *("t", "n", "f", "e", "s", "question_mark", "ctrl+p", "plus", "z", "m", "2", "backspace"),
)


def post(app: VllmWatch, *keys: str) -> None:
    """Put keys into the app's queue without waiting for their effects."""
    for key in keys:
        app.post_message(events.Key(key, key if len(key) == 1 else None))


@pytest.mark.parametrize("opens", ["question_mark", "n", "enter", "f enter", "t", "ctrl+p"])
async def test_escape_closes_what_is_open_and_nothing_else(opens: str) -> None:
    app = replay_app(log_of("h100_saturated_then_killed"), start="2026-11-23 08:52:00")
    async with app.run_test(size=(80, 24)) as pilot:
        await all_read(pilot)
        await pilot.press(*opens.split())
        await until(pilot, lambda: not isinstance(app.screen, Dashboard))
        above = app.screen
        # The screen itself is told to close three times, as keys in its queue do. The keys are
        # still on their way when the app closes: they must not end it with an error.
        for _ in range(3):
            above.dismiss(None)
        post(app, "escape", "escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, Dashboard))


async def test_pages_of_a_list_that_is_not_laid_out_yet() -> None:
    app = replay_app(log_of("h100_optimised"), start="2026-11-23 08:55:00")
    async with app.run_test(size=(80, 24)) as pilot:
        await all_read(pilot)
        for typed in ("n", "zz", "vl", "x"):
            post(app, "t")
            await until(pilot, lambda: not isinstance(app.screen, Dashboard))
            post(app, *typed, "pagedown", "pageup", *typed, "pagedown", "pageup", "escape")
            await until(pilot, lambda: isinstance(app.screen, Dashboard))


async def test_keys_that_come_before_the_panes_do_nothing() -> None:
    app = replay_app(log_of("h100_optimised"), start="2026-11-23 08:55:00")
    async with app.run_test(size=(80, 24)) as pilot:
        early = app._dashboard()
        assert not list(early.query(Fleet))
        for key in ("findings", "filter", "go_to", "clear_filter", "page", "log", "cursor"):
            assert early.check_action(key, ()) is False
        early.draw()
        await until(pilot, lambda: dashboard_of(app).check_action("findings", ()) is True)


async def test_a_screen_that_closes_draws_nothing_new() -> None:
    """Textual mounts nothing any more then; charts that were not shown yet stay out."""
    app = replay_app(log_of("h100_optimised"), start="2026-11-23 08:55:00")
    async with app.run_test(size=(40, 10)) as pilot:
        await all_read(pilot)
        screen = dashboard_of(app)
        charts = screen.query_one("#charts")
        known = len(charts.children)
        charts._closing = True
        await pilot.resize_terminal(200, 50)
        await pilot.pause()
        assert len(charts.children) == known
        charts._closing = False


def dashboard_of(app: VllmWatch) -> Dashboard:
    assert isinstance(app.screen, Dashboard)
    return app.screen


async def test_random_keys_end_nothing() -> None:
    dice = random.Random(0)
    app = replay_app(log_of("h100_optimised"), start="2026-11-23 08:55:00")
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(8):
            post(app, *(dice.choice(KEYS) for _ in range(15)))
            taken = asyncio.Event()
            app.call_later(taken.set)
            await until(pilot, taken.is_set)
        assert app.is_running
