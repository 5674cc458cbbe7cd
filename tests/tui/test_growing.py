"""A terminal that grows: charts that get room for the first time are drawn."""

from __future__ import annotations

import pytest

from tests.logs import log_of
from tests.tui.screens import all_read, replay_app, until
from vllm_watch.tui.screens.dashboard import Dashboard
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.chartpane import ChartPane
from vllm_watch.tui.widgets.pane import Pane


async def test_charts_are_laid_out_only_when_they_are_mounted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A terminal that grows shows its first charts late: laid out before, they stayed empty."""
    early: list[str] = []

    class Watched(Dashboard):
        def _refresh_layout(self, *args: object, **more: object) -> None:
            if arranging and not self._assembling:
                panes = self.query(ChartPane)
                early.extend(str(pane.id) for pane in panes if pane.display and not pane.is_mounted)
            super()._refresh_layout(*args, **more)  # type: ignore[arg-type]

        def _arrange(self, view: ScreenView) -> None:
            arranging.append(True)
            super()._arrange(view)
            arranging.clear()

    arranging: list[bool] = []
    monkeypatch.setattr("vllm_watch.tui.app.Dashboard", Watched)
    app = replay_app(log_of("h100_saturated_then_killed"), start="2026-11-23 08:51:20")
    async with app.run_test(size=(40, 10)) as pilot:
        await all_read(pilot)
        assert not app.screen.query(ChartPane)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "KV cache" in app.screen.query_one("#chart-kv", Pane).text)
        await pilot.resize_terminal(200, 50)
        await until(pilot, lambda: any("HTTP" in one.text for one in app.screen.query(ChartPane)))
    assert not early
