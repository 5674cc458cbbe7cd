"""One chart on the whole screen: keys, engines, figures, findings in time."""

from __future__ import annotations

import pytest

from tests.logs import at, log_of
from tests.tui.screens import monitor_of, replay_app, until, view_at
from tests.tui.test_app import dashboard, running
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.chartdetails import engines_spec, figure_rows, findings_in
from vllm_watch.tui.screens.chart import ChartScreen
from vllm_watch.tui.screens.dashboard import Dashboard
from vllm_watch.tui.widgets.bigchart import BigChart

KILLED = log_of("h100_saturated_then_killed")
TWO_ENGINES = log_of("cpu_two_engines")


def text(app: VllmWatch) -> str:
    return "\n".join(chart.text for chart in app.screen.query(BigChart))


async def test_z_shows_a_chart_tab_the_next_and_the_cursor_reads_off_values() -> None:
    app = replay_app(KILLED, start="2026-11-23 08:51:35")
    async with running(app, (120, 40)) as pilot:
        await pilot.press("space", "z")
        await until(pilot, lambda: "Throughput" in text(app))
        assert "KV cache full: 100 %, 355 wait" in text(app), "below the time axis"
        assert "generation" in text(app)
        await pilot.press("tab")
        await until(pilot, lambda: "╭─ KV cache" in text(app))
        assert "at cursor" not in text(app)
        await pilot.press("shift+left")
        await until(pilot, lambda: "at cursor" in text(app))
        await pilot.press("end")
        assert app.timeline.moment() == app.timeline.end, "each time key of the dashboard works"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Dashboard))
        assert app.timeline.cursor is not None


async def test_engines_are_drawn_apart_or_below_their_sum() -> None:
    app = replay_app(TWO_ENGINES, start="2026-11-23 09:24:25")
    async with running(app, (120, 40)) as pilot:
        await pilot.press("space", "z")
        await until(pilot, lambda: "Throughput" in text(app))
        assert "Each engine" not in text(app)
        await pilot.press("m")
        await until(pilot, lambda: "╭─ Each engine: generation" in text(app))
        assert "╭─ Throughput" in text(app)
        await pilot.press("m")
        await until(pilot, lambda: "╭─ Throughput" not in text(app))


async def test_a_click_on_a_title_opens_that_chart() -> None:
    app = replay_app(KILLED, start="2026-11-23 08:51:35")
    async with running(app, (120, 40)) as pilot:
        await pilot.press("space")
        await pilot.click("#chart-requests", offset=(5, 0))
        await until(pilot, lambda: isinstance(app.screen, ChartScreen) and "Requests" in text(app))


async def test_a_chart_can_be_hidden() -> None:
    app = replay_app(KILLED, start="2026-11-23 08:51:35")
    async with running(app, (120, 40)) as pilot:
        titles = [command.title for command in dashboard(app).commands()]
        assert {"Chart: KV cache", "Show or hide: GPU power"} <= set(titles)
        assert "Chart: GPU power" not in titles
        dashboard(app).toggle_chart("kv")
        await until(pilot, lambda: not app.screen.query_one("#chart-kv").display)
        assert app.screen.query_one("#chart-prefix").display, "the next one has its room"


def test_figures_are_those_of_the_window() -> None:
    """08:50:41 to 08:51:41 of the capture: 98.8, 100, 100, 100, 99.8, 99.1, 99.4 %."""
    view = view_at(monitor_of("h100_saturated_then_killed"), "08:51:42")
    spec = view.drawings.chart("kv")
    assert spec is not None
    head, row = figure_rows(spec)
    assert head == ("", "last", "min", "mean", "max")
    assert row[0] == "KV cache"
    assert row[4] == "100"


def test_findings_end_with_the_server_and_begin_with_their_evidence() -> None:
    view = view_at(monitor_of("h100_saturated_then_killed"), "08:52:30")
    scope = view.drawings.scope()
    assert scope is not None
    found = {told.title.partition(":")[0]: told for told in findings_in(view, scope)}
    full = found["KV cache full"]
    assert full.since == at("08:50:41")
    assert full.until == pytest.approx(at("08:51:43"), abs=3)


def test_one_engine_is_not_drawn_apart() -> None:
    scope = view_at(monitor_of("h100_saturated_then_killed"), "08:51:35").drawings.scope()
    assert scope is not None
    assert engines_spec(scope, "kv", None) is None
