from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.message import Message
from textual.pilot import Pilot

from tests.logs import FIXTURES, at, formats, log_of
from tests.tui.screens import SETTINGS, Wall, all_read, drawn, replay_app, until
from vllm_watch.core.news import LogFound, News, Past, PathSearch
from vllm_watch.ingest import Ingest, ReadOptions
from vllm_watch.sources.wakeups import StopEvent
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.feed import run_feed
from vllm_watch.tui.messages import NewsRead
from vllm_watch.tui.palette import DAY_THEME, roles_of
from vllm_watch.tui.screens.dashboard import Dashboard
from vllm_watch.tui.screens.help import HelpScreen
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.fleet import Fleet
from vllm_watch.tui.widgets.glance import Glance
from vllm_watch.tui.widgets.hero import Hero
from vllm_watch.tui.widgets.keyline import KeyLine
from vllm_watch.tui.widgets.pane import Pane
from vllm_watch.tui.widgets.verdictline import VerdictLine

KILLED, OPTIMISED = log_of("h100_saturated_then_killed"), log_of("h100_optimised")
TWO_ENGINES = log_of("cpu_two_engines")


@asynccontextmanager
async def running(app: VllmWatch, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Pilot[int]]:
    """Run a replay until all is read and drawn."""
    async with app.run_test(size=size, notifications=True) as pilot:
        await all_read(pilot)
        yield pilot


def dashboard(app: VllmWatch) -> Dashboard:
    screen = app.screen
    assert isinstance(screen, Dashboard)
    return screen


def view(app: VllmWatch) -> ScreenView:
    seen = dashboard(app).query_one(Fleet).view
    assert seen is not None
    return seen


def shown(app: VllmWatch, pane: type[Any]) -> str:
    return str(app.screen.query_one(pane).text)


def replay(start: str = "08:51:20", wall: Wall | None = None, *paths: Path) -> VllmWatch:
    return replay_app(*(paths or (KILLED, OPTIMISED)), start=f"2026-11-23 {start}", wall=wall)


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_these_keys_leave(key: str) -> None:
    app = replay()
    async with running(app) as pilot:
        await pilot.press(key)
        await pilot.pause()
    assert app.return_code == 0
    assert not app.is_running


async def test_ctrl_c_leaves_from_the_filter_and_from_the_help() -> None:
    for opening in ("slash", "question_mark"):
        app = replay()
        async with running(app) as pilot:
            await pilot.press(opening)
            await pilot.press("ctrl+c")
            await pilot.pause()
        assert not app.is_running


async def test_a_replay_begins_where_it_was_asked_to() -> None:
    app = replay("08:51:05")
    async with running(app):
        assert app.timeline.moment() == at("08:51:05")
        assert "KV cache full" in shown(app, VerdictLine)
        assert "REPLAY ×20 ━" in shown(app, Glance)
        assert " 08:51:05 UTC" in shown(app, Glance)
        assert [row.short for row in view(app).rows] == [":8003"]


async def test_time_passes_only_with_the_clock() -> None:
    wall = Wall()
    app = replay("08:51:05", wall)
    async with running(app) as pilot:
        wall.now += 1.0
        dashboard(app).draw()
        await pilot.pause()
        assert view(app).moment == at("08:51:25")


async def test_help_shows_every_key_and_closes() -> None:
    app = replay()
    async with running(app) as pilot:
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        keys = {words: key for key, words in app.screen._keys}
        # Each key says what it does, in the words of the settings.
        assert (keys["Go to the previous alert"], keys["Go to the next alert"]) == ("[", "]")
        assert keys["Repeat a replay at its end, or stop there"] == "o"
        assert keys["Quit"] == "q ctrl+c"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Dashboard))


async def test_space_pauses_and_continues() -> None:
    wall = Wall()
    app = replay("08:51:05", wall)
    async with running(app) as pilot:
        await pilot.press("space")
        wall.now += 5
        await pilot.pause()
        assert app.timeline.moment() == at("08:51:05")
        assert "REPLAY PAUSED" in shown(app, Glance)
        await pilot.press("space")
        wall.now += 1
        assert app.timeline.moment() == at("08:51:25")


async def test_arrows_move_and_home_and_end_are_the_ends() -> None:
    app = replay("08:51:20")
    async with running(app) as pilot:
        start, end = app.timeline.window()
        assert end - start == 150
        await pilot.press("left")
        assert app.timeline.moment() == at("08:50:50")
        await pilot.press("right")
        assert app.timeline.moment() == at("08:51:20")
        await pilot.press("home")
        assert app.timeline.moment() == at("08:49:13")
        await pilot.press("end")
        await pilot.pause()
        assert app.timeline.at_end
        assert "REPLAY END" in shown(app, Glance)


async def test_plus_and_minus_zoom() -> None:
    """Samples begin at 08:50:01, so the charts show two minutes until somebody chooses."""

    def width() -> float:
        start, end = view(app).drawings.span
        return end - start

    app = replay("08:51:20")
    async with running(app) as pilot:
        widths = [width()]
        for key in ("minus", "minus", "plus", "plus", "plus"):
            await pilot.press(key)
            widths.append(width())
        assert widths == [120, 300, 900, 300, 120, 60]
        start, end = view(app).drawings.window
        assert end - start == 60


async def test_brackets_jump_between_alerts() -> None:
    app = replay("08:50:00")
    async with running(app) as pilot:
        await pilot.press("end")
        stops = []
        for _ in range(4):
            await pilot.press("left_square_bracket")
            stops.append(app.timeline.moment())
        assert at("08:51:01") in stops
        assert stops == sorted(stops, reverse=True)
        await pilot.press("home", "right_square_bracket")
        assert at("08:50:31") <= app.timeline.moment() <= at("08:51:01")


async def test_speed_keys_work_in_a_replay_and_are_hidden_live() -> None:
    app = replay()
    async with running(app) as pilot:
        assert "speed" in shown(app, KeyLine)
        await pilot.press("greater_than_sign")
        assert app.timeline.speed == 50
        await pilot.press("less_than_sign", "less_than_sign")
        assert app.timeline.speed == 10


async def test_tab_turns_the_pages_of_charts() -> None:
    app = replay()
    async with running(app, (80, 24)) as pilot:

        def charts() -> list[str]:
            panes = app.screen.query("ChartPane")
            return [str(pane.id) for pane in panes if pane.display]

        assert charts() == ["chart-throughput", "chart-kv"]
        assert len(app.screen.query("ChartPane")) == 2, "others are made when they are shown"
        await pilot.press("tab")
        assert charts() == ["chart-requests", "chart-pace"]
        await pilot.press("shift+tab")
        assert charts() == ["chart-throughput", "chart-kv"]


async def test_the_filter_hides_and_escape_shows_all() -> None:
    app = replay("08:57:00")
    async with running(app) as pilot:
        assert len(view(app).rows) == 2
        await pilot.press("slash", *"8001")
        assert [row.port for row in view(app).rows] == [":8001"]
        assert view(app).hidden == 1
        await pilot.press("enter")
        assert isinstance(app.focused, Fleet)
        await pilot.press("escape")
        assert len(view(app).rows) == 2
        await pilot.press("slash", *"zzz")
        assert not view(app).rows
        assert "no server matches “zzz”" in shown(app, Fleet)


async def test_arrows_and_clicks_select() -> None:
    app = replay("08:57:00")
    async with running(app) as pilot:
        first = view(app).rows[0].source
        await pilot.press("up")
        assert view(app).selected == 0
        await pilot.press("down")
        assert view(app).selected == 1
        await pilot.press("down", "j")
        assert view(app).selected == 1
        await pilot.press("k")
        assert view(app).selected == 0
        await pilot.click(Fleet, offset=(10, 2))
        await until(pilot, lambda: view(app).selected == 1)
        row = view(app).selected_row
        assert row is not None
        assert row.source != first


async def test_e_opens_the_engines_and_closes_them() -> None:
    app = replay("09:24:25", None, TWO_ENGINES)
    async with running(app) as pilot:
        await pilot.press("e")
        assert [row.engine for row in view(app).rows] == [None, 0, 1]
        await pilot.press("down", "down")
        assert "Throughput eng 001" in app.screen.query_one("#chart-throughput", Pane).text
        await pilot.press("e")
        assert [row.engine for row in view(app).rows] == [None]


@pytest.mark.parametrize(
    "size", [(1, 1), (10, 3), (20, 5), (40, 10), (80, 12), (80, 24), (120, 40), (250, 70)]
)
async def test_every_size_is_drawn(size: tuple[int, int]) -> None:
    app = replay("08:57:00")
    async with running(app, size) as pilot:
        for width, height in ((80, 24), size):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
        for pane in app.screen.query("Pane"):
            assert pane.region.right <= size[0]


async def test_a_theme_can_be_chosen() -> None:
    app = replay()
    async with running(app) as pilot:
        for theme in ("vllm-watch-day", "ansi-dark", "textual-light"):
            if theme in app.available_themes:
                app.theme = theme
                await pilot.pause()
        assert "KV cache full" in shown(app, VerdictLine)
        app.theme = "vllm-watch-day"
        red = roles_of(DAY_THEME)["critical"].lower()

        def inks() -> set[str]:
            segments = app.screen.query_one(VerdictLine).render_line(0)
            styles = (segment.style for segment in segments)
            return {style.color.name for style in styles if style and style.color}

        await until(pilot, lambda: red in inks())


# --- live ---------------------------------------------------------------------------------------


def live(wall: Wall, *paths: Path) -> VllmWatch:
    options = ReadOptions(live=True, poll_seconds=0.02, events=False, now=wall)
    return VllmWatch(Ingest([str(path) for path in paths], formats(), options), SETTINGS, wall=wall)


async def test_a_growing_file_appears_unprompted(tmp_path: Path) -> None:
    log = tmp_path / "vllm_Random-Qwen3-1.7B_port8003_realtime.log"
    text = KILLED.read_text(encoding="utf-8")
    head, _, tail = text.partition("(APIServer pid=1211) INFO 11-23 08:50:11")
    wall = Wall(at("08:50:02"))
    app = live(wall, tmp_path / "*.log")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: drawn(app))
        await until(pilot, lambda: "waiting for" in shown(app, Fleet))
        log.write_text(head, encoding="utf-8")
        (tmp_path / "capture.toml").write_bytes(
            (FIXTURES / "h100_optimised" / "capture.toml").read_bytes()
        )
        await until(pilot, lambda: "RUNNING" in shown(app, Hero))
        assert "LIVE" in shown(app, Glance)
        assert "speed" not in shown(app, KeyLine)
        wall.now = at("08:50:11")
        with log.open("a", encoding="utf-8") as file:
            file.write("(APIServer pid=1211) INFO 11-23 08:50:11" + tail.partition("\n")[0] + "\n")
        await until(pilot, lambda: view(app).rows[0].values.running == 39)
        assert view(app).rows[0].state.name == "busy"
        await pilot.press("space")
        assert "PAUSED" in shown(app, Glance)
        await pilot.press("end")
        assert "LIVE" in shown(app, Glance)
        await pilot.press("q")
    assert not app.is_running


class Broken(Ingest):
    """An ingest that reads one file and then fails."""

    def read_once(self, stop: StopEvent | None = None) -> Iterator[News]:
        yield from super().read_once(stop)
        raise RuntimeError("[/var/x] the disk is gone [red]")

    def follow(self, stop: object, **_: object) -> Iterator[News | PathSearch]:
        yield from super().read_once()
        raise RuntimeError("[/var/x] the disk is gone [red]")


@pytest.mark.parametrize("speed", [True, False])
async def test_a_reading_thread_that_fails_is_a_notification_and_no_crash(speed: bool) -> None:
    ingest = Broken([str(KILLED)], formats())
    app = VllmWatch(ingest, SETTINGS, replay=speed, wall=Wall())
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: any(True for _ in app._notifications))
        (notice,) = app._notifications
        assert "the disk is gone" in notice.message
        assert notice.severity == "error"
        assert not notice.markup
        assert app.is_running
        assert isinstance(app.screen, Dashboard)


def test_what_was_read_before_a_failure_reaches_the_screen() -> None:
    posted: list[Message] = []

    def post(message: Message) -> bool:
        posted.append(message)
        return True

    broken, stop, framed = Broken([str(KILLED)], formats()), threading.Event(), threading.Event()
    with pytest.raises(RuntimeError):
        run_feed(broken, post, lambda: 0, stop, live=False, framed=framed, common_start=False)
    read_batches = [
        item for message in posted if isinstance(message, NewsRead) for item in message.items
    ]
    assert len(read_batches) == len(list(Ingest([str(KILLED)], formats()).read_once()))


class Staged(Ingest):
    """An ingest with the past of a large log behind the first look."""

    def follow(
        self, stop: StopEvent, *, waits: Callable[[], object] = lambda: None
    ) -> Iterator[News | PathSearch]:
        yield PathSearch(0.0, 1, (), ())
        yield Past(LogFound("a.log"), 1, 2)
        assert isinstance(stop, threading.Event)
        stop.set()


def test_the_past_of_a_large_log_is_read_after_the_first_frame() -> None:
    posted: list[Message] = []
    looked, framed = threading.Event(), threading.Event()

    def post(message: Message) -> bool:
        posted.append(message)
        looked.set()
        return True

    ingest, stop = Staged([str(KILLED)], formats()), threading.Event()
    arguments = (ingest, post, lambda: 0, stop)
    options = {"live": True, "framed": framed, "common_start": False}
    reading = threading.Thread(target=run_feed, args=arguments, kwargs=options)
    reading.start()
    assert looked.wait(30)
    (first,) = posted
    assert isinstance(first, NewsRead)
    assert [type(item) for item in first.items] == [PathSearch]
    framed.set()
    reading.join(30)
    assert [type(item) for m in posted if isinstance(m, NewsRead) for item in m.items] == [
        PathSearch,
        Past,
    ]
