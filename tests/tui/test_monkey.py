"""Any key, click and size at any time: seeded, and nothing may raise."""

from __future__ import annotations

import os
import random

import pytest
from textual import events
from textual.geometry import Size
from textual.pilot import Pilot

from tests.logs import log_of
from tests.tui.screens import Wall, replay_app
from tests.tui.test_app import running
from vllm_watch.tui.screens.dashboard import Dashboard

KEYS = (
    *"?fxnglotscezy/,.<>+-[]{}()kj0815:m",
    "space", "left", "right", "up", "down", "home", "end", "pageup", "pagedown", "tab",
    "shift+tab", "shift+left", "shift+right", "enter", "escape", "backspace", "delete",
    "ctrl+p", "f1", "ctrl+a", "ü", "日",
)  # fmt: skip
SIZES = ((120, 40), (80, 24), (40, 10), (200, 50), (20, 5), (80, 12), (3, 2), (100, 32))
PRESSES = int(os.environ.get("MONKEY", "100"))
"""Keys, clicks and sizes of one run; MONKEY in the environment does more."""


async def act(pilot: Pilot[int], chance: random.Random, wall: Wall) -> str:
    """Do one thing and say what it was."""
    what = chance.random()
    width, height = pilot.app.size
    if what < 0.8:
        key = str(chance.choice(KEYS))
        await pilot.press(key)
        return key
    if what < 0.9:
        place = chance.randrange(max(1, width)), chance.randrange(max(1, height))
        kind = chance.choice([events.MouseMove, events.MouseDown, events.MouseUp])
        await pilot._post_mouse_events([kind], None, offset=place, button=1)
        return f"{kind.__name__} at {place}"
    if what < 0.95:
        wall.now += chance.choice([0.1, 1.0, 20.0])
        return "time goes"
    size = chance.choice(SIZES)
    await pilot.resize_terminal(*size)
    return f"size {size}"


@pytest.mark.timeout(0)
@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_raises_whatever_is_pressed(seed: int) -> None:
    chance, wall, done = random.Random(seed), Wall(), []
    app = replay_app(
        log_of("h100_saturated_then_killed"),
        log_of("cpu_two_engines"),
        start="2026-11-23 08:51:20",
        wall=wall,
    )
    async with running(app) as pilot:
        for _ in range(PRESSES):
            done.append(await act(pilot, chance, wall))
            assert app.is_running, done[-10:]
            assert app._exception is None, done[-10:]
        for _ in range(6):
            await pilot.press("escape")
        await pilot.resize_terminal(120, 40)
        assert isinstance(app.screen, Dashboard) or len(app.screen_stack) > 1
        assert app.size == Size(120, 40)
