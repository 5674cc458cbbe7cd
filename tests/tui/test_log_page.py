"""The log page: the lines before the moment, search, errors alone, back to a line's moment."""

from __future__ import annotations

from tests.logs import at, log_of
from tests.tui.screens import replay_app, until
from tests.tui.test_app import dashboard, running
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.screens.dashboard import Dashboard
from vllm_watch.tui.screens.log import LogLines, LogScreen

KILLED = log_of("h100_saturated_then_killed")


def lines(app: VllmWatch) -> LogLines:
    return app.screen.query_one(LogLines)


def opened(app: VllmWatch) -> bool:
    return isinstance(app.screen, LogScreen) and len(lines(app).lines) > 1


def chosen(app: VllmWatch) -> str:
    line = lines(app).chosen
    assert line is not None
    return line.text


async def test_it_shows_what_the_log_said_up_to_the_end_of_the_server() -> None:
    app = replay_app(KILLED, start="2026-11-23 08:59:00")
    async with running(app) as pilot:
        await pilot.press("l")
        await until(pilot, lambda: opened(app))
        texts = [line.text for line in lines(app).lines]
        assert any("08:51:41 [loggers.py:310] Engine 000" in text for text in texts)
        assert any("EngineDeadError" in text for text in texts)
        await pilot.press("e")
        assert {line.kind for line in lines(app).lines} == {"error"}
        assert "AsyncLLM output_handler failed." in chosen(app)
        await pilot.press("e", "escape")
        assert isinstance(app.screen, Dashboard)


async def test_a_search_goes_round_and_enter_goes_to_the_time_of_a_line() -> None:
    app = replay_app(KILLED, start="2026-11-23 08:51:35")
    async with running(app) as pilot:
        await pilot.press("space", "l")
        await until(pilot, lambda: opened(app))
        await pilot.press("slash", *"prompt throughput", "enter")
        first = lines(app).at
        assert "08:50:01" in chosen(app), "after the last line comes the first"
        await pilot.press("n", "n")
        assert "08:50:21" in chosen(app)
        await pilot.press("N", "N")
        assert lines(app).at == first
        await pilot.press("n", "n", "enter")
        await until(pilot, lambda: isinstance(app.screen, Dashboard))
        await until(pilot, lambda: app.timeline.moment() == at("08:50:21"))


async def test_it_opens_at_the_cursor_and_moves_on_in_stretches() -> None:
    app = replay_app(KILLED, start="2026-11-23 08:51:35")
    async with running(app) as pilot:
        app.timeline.cursor = at("08:50:15")
        dashboard(app).draw()
        await pilot.press("l")
        await until(pilot, lambda: opened(app))
        assert not any("08:50:21" in line.text for line in lines(app).lines)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: any("08:51:41" in line.text for line in lines(app).lines))
        await pilot.press("left", "right", "home", "end", "pageup", "slash", "escape", "escape")
        assert isinstance(app.screen, Dashboard)
