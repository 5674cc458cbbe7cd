"""How soon news is drawn: that of the selected server at once, that of a fleet with the clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.logs import at
from tests.tui.screens import Wall, until
from tests.tui.test_app import dashboard, live
from vllm_watch.core.news import Block
from vllm_watch.core.records import Sample
from vllm_watch.tui import urgency
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.widgets import fleet


@asynccontextmanager
async def empty_fleet(folder: Path) -> AsyncIterator[tuple[VllmWatch, Wall, Pilot[int]]]:
    """Run a live screen of a folder without logs until it has drawn."""
    wall = Wall(at("08:54:22"))
    app = live(wall, folder / "*.log")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen_stack != [] and bool(dashboard(app).view))
        yield app, wall, pilot


def write(app: VllmWatch, source: str, now: float, rate: float) -> None:
    """Let a server write a stats line."""
    sample = Sample(now, 0, {"running": 3.0, "generation_tps": rate})
    app.monitor.apply(Block(source, (sample,), newest_stamp=now, arrived=now, size=1))
    app.monitor.judge()


async def test_news_of_servers_that_are_not_on_the_screen_wait_for_the_next_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table has room for a few of twelve servers; a search that finds nothing new draws none."""
    async with empty_fleet(tmp_path) as (app, wall, pilot):
        lines = [f"vllm_M_port{8001 + n}_realtime.log" for n in range(12)]
        for source in lines:
            write(app, source, wall(), 500.0)
        dashboard(app).draw()
        await pilot.pause()
        shown = {row.source for row in app.screen.query_one(fleet.Fleet).shown}
        assert 0 < len(shown) < 12
        asked: list[float] = []
        monkeypatch.setattr(dashboard(app)._soon, "within", lambda wait, _: asked.append(wait))
        dashboard(app)._urgency.rested = 0.0
        hidden = next(source for source in lines if source not in shown)
        dashboard(app).news({hidden})
        dashboard(app).news(())
        assert asked == []
        view = dashboard(app).view
        assert view is not None
        assert view.selected_row is not None
        chosen = view.selected_row.source
        dashboard(app).news({hidden, next(iter(shown - {chosen}))})
        assert len(asked) == 1
        assert asked[0] >= 12 * urgency.EACH_SERVER, "with others"
        dashboard(app).news({chosen})
        dashboard(app).news({"vllm_M_port9999_realtime.log"})
        assert asked[1:] == [dashboard(app)._urgency.soon] * 2, "the selected one; one without row"
        monkeypatch.setattr(urgency, "EACH_SERVER", 0.1)
        dashboard(app).news({hidden, next(iter(shown - {chosen}))})
        assert len(asked) == 3, "of a large fleet, with the clock"


async def test_the_screen_of_a_fleet_is_drawn_once_a_second_however_many_servers_write(
    tmp_path: Path,
) -> None:
    """News alone draws nothing at a tick; with another second on the clock they are shown."""
    async with empty_fleet(tmp_path) as (app, wall, _):
        board, source = dashboard(app), "vllm_M_port8001_realtime.log"

        def shown() -> float | None:
            assert board.view is not None
            return board.view.rows[0].values.generation_tps

        write(app, source, wall(), 500.0)
        board.draw()
        assert shown() == 500.0
        wall.now += 0.2
        write(app, source, wall(), 600.0)
        board._tick()
        assert shown() == 500.0
        wall.now += 1.0
        board._tick()
        assert shown() == 600.0


def test_of_two_calls_to_come_the_sooner_one_counts() -> None:
    made: list[tuple[float, Callable[[], object]]] = []
    called: list[str] = []

    class Made:
        def __init__(self, number: int) -> None:
            self.number = number

        def stop(self) -> None:
            called.append(f"stopped {self.number}")

    def set_timer(seconds: float, call: Callable[[], object]) -> Any:
        made.append((seconds, call))
        return Made(len(made))

    soon = urgency.DelayedCall(set_timer)
    soon.within(5.0, lambda: called.append("later"))
    soon.within(9.0, lambda: called.append("latest"))
    soon.within(1.0, lambda: called.append("sooner"))
    assert [seconds for seconds, _ in made] == [5.0, 1.0]
    assert called == ["stopped 1"]
    made[1][1]()
    soon.within(9.0, lambda: called.append("next"))
    assert called == ["stopped 1", "sooner"]
    assert made[2][0] == 9.0
    soon.clear()
    assert called[-1] == "stopped 3"
