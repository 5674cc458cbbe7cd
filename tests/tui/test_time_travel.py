"""Through time with keys and the mouse: cursor, ribbons, replay bar, spans, typed times, steps."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.logs import at, log_of
from tests.tui.screens import Wall, until
from tests.tui.test_app import replay, running, shown, view
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.charts.panel import plot_place
from vllm_watch.tui.messages import time_at
from vllm_watch.tui.widgets.columns import columns_for, ribbon_place
from vllm_watch.tui.widgets.eventlist import EventList
from vllm_watch.tui.widgets.fleet import Fleet
from vllm_watch.tui.widgets.glance import Glance, replay_bar_cells
from vllm_watch.tui.widgets.hero import Hero
from vllm_watch.tui.widgets.pane import Pane

KILLED = log_of("h100_saturated_then_killed")


def chart(app: VllmWatch, name: str = "kv") -> str:
    return app.screen.query_one(f"#chart-{name}", Pane).text


async def point(pilot: Pilot[int], selector: str, time: float, row: int = 3) -> tuple[int, int]:
    """Return the cell of a chart at a moment."""
    pane = pilot.app.screen.query_one(selector, Pane)
    assert pane.view is not None
    start, end = pane.view.drawings.span
    left, columns = plot_place(pane.size.width)
    return left + int((time - start) / (end - start) * columns), row


def test_a_cell_is_the_moment_in_its_middle() -> None:
    assert time_at(10, (10, 4), (0.0, 40.0)) == 5.0
    assert time_at(13, (10, 4), (0.0, 40.0)) == 35.0
    assert time_at(9, (10, 4), (0.0, 40.0)) is None
    assert time_at(14, (10, 4), (0.0, 40.0)) is None


async def test_the_cursor_reads_every_chart_off_and_escape_takes_it_away() -> None:
    """At 08:50:41 the capture has 337 waiting and a KV cache of 98.8 %."""
    app = replay("08:51:35")
    async with running(app) as pilot:
        await pilot.press(*["shift+left"] * 4)
        cursor = app.timeline.cursor
        assert cursor is not None
        start, end = app.timeline.window()
        assert cursor == pytest.approx(at("08:51:35") - 4 / 60 * (end - start))
        app.timeline.cursor = at("08:50:41")
        app.screen.draw()  # type: ignore[attr-defined]
        assert "08:50:41  99 %" in chart(app)
        assert "waiting 337" in chart(app, "requests")
        assert "│" in shown(app, Hero).split("\n")[-1]
        await pilot.press("escape")
        assert app.timeline.cursor is None
        assert "08:50:41" not in chart(app)


async def test_the_pointer_over_a_chart_is_the_cursor_and_a_click_goes_there() -> None:
    app = replay("08:51:35")
    async with running(app) as pilot:
        await pilot.hover("#chart-kv", offset=await point(pilot, "#chart-kv", at("08:50:41")))
        cursor = app.timeline.cursor
        assert cursor is not None
        assert abs(cursor - at("08:50:41")) < 3
        await pilot.press("space")
        await pilot.click("#chart-kv", offset=await point(pilot, "#chart-kv", at("08:51:01")))
        assert abs(app.timeline.moment() - at("08:51:01")) < 3


async def test_a_span_that_is_marked_fills_the_charts() -> None:
    app = replay("08:51:35")
    async with running(app) as pilot:
        begin = await point(pilot, "#chart-kv", at("08:50:31"))
        end = await point(pilot, "#chart-kv", at("08:51:11"))
        await pilot.mouse_down("#chart-kv", offset=begin)
        await pilot.mouse_up("#chart-kv", offset=end)
        await until(pilot, lambda: app.timeline.fitted is False)
        start, stop = app.timeline.window()
        assert abs(start - at("08:50:31")) < 4
        assert abs(stop - at("08:51:11")) < 4
        assert app.timeline.paused, "a replay would run out of it"
        await until(pilot, lambda: "SPAN" in shown(app, EventList))
        await pilot.press("escape")
        await until(pilot, lambda: "SPAN" not in shown(app, EventList))
        assert app.timeline.fitted


async def test_a_click_on_a_ribbon_chooses_server_and_moment() -> None:
    app = replay("08:55:00")
    async with running(app) as pilot:
        fleet = app.screen.query_one(Fleet)
        left, cells = ribbon_place(columns_for(fleet.size.width, view(app).rows))
        start, end = view(app).drawings.window
        column = left + int((at("08:51:01") - start) / (end - start) * cells)
        row = next(i for i, one in enumerate(view(app).rows) if one.port == ":8001")
        await pilot.press("space")
        await pilot.click(Fleet, offset=(column, 1 + row))
        assert abs(app.timeline.moment() - at("08:51:01")) < (end - start) / cells


async def test_a_click_on_the_replay_bar_goes_to_its_place() -> None:
    app = replay("08:50:30", Wall(), KILLED)
    async with running(app) as pilot:
        glance = app.screen.query_one(Glance)
        line = shown(app, Glance)
        begin = line.index("━")
        cells = replay_bar_cells(glance.size.width)
        assert line.count("━") == cells
        await pilot.click(Glance, offset=(begin + cells // 2, 0))
        first, last = app.timeline.first, app.timeline.end
        assert first is not None
        assert last is not None
        half = first + (last - first) * (cells // 2 + 0.5) / cells
        assert app.timeline.moment() == pytest.approx(half)


@pytest.mark.parametrize(
    ("typed", "clock"),
    [("08:50:30", "08:50:30"), ("-1m", "08:50:20"), ("30s", "08:50:50"),
     ("2026-11-23 08:50:05", "08:50:05"), ("+60s", "08:50:13")],
)  # fmt: skip
async def test_g_goes_to_a_typed_time(typed: str, clock: str) -> None:
    app = replay("08:51:20", Wall(), KILLED)
    async with running(app) as pilot:
        await pilot.press("g", *typed)
        await pilot.press("enter")
        await until(pilot, lambda: app.timeline.moment() == at(clock))


async def test_what_is_no_time_is_said_and_can_be_left() -> None:
    app = replay("08:51:20")
    async with running(app) as pilot:
        assert not app.screen.query(Input), "fields are made when they are asked for"
        await pilot.press("g", *"noon", "enter")
        await until(pilot, lambda: len(app._notifications) > 0)
        assert any("is not a time" in notice.message for notice in app._notifications)
        assert app.timeline.moment() == at("08:51:20")
        await pilot.press("escape")
        assert not app.screen.query_one("#goto").display
        await pilot.press("g")
        assert app.screen.query_one("#goto", Input).value == ""
        assert [field.id for field in app.screen.query(Input)] == ["goto"]


async def test_steps_by_stats_lines_events_and_runs() -> None:
    """Stats lines stand each 10 s at …1 s; the server starts at 08:49:13 and dies at 08:51:43."""
    app = replay("08:51:15", Wall(), KILLED)
    async with running(app) as pilot:
        await pilot.press("full_stop")
        assert (app.timeline.moment(), app.timeline.paused) == (at("08:51:21"), True)
        await pilot.press("comma", "comma")
        assert app.timeline.moment() == at("08:51:01")
        await pilot.press("left_parenthesis")
        assert app.timeline.moment() == at("08:49:13")
        await pilot.press(*["right_curly_bracket"] * 40)
        assert app.timeline.moment() == at("08:51:43")


async def test_the_speeds_reach_from_half_to_a_thousand() -> None:
    app = replay("08:51:15")
    async with running(app) as pilot:
        await pilot.press(*["greater_than_sign"] * 9)
        assert "REPLAY ×1000" in shown(app, Glance)
        await pilot.press(*["less_than_sign"] * 12)
        assert "REPLAY ×0.5" in shown(app, Glance)
