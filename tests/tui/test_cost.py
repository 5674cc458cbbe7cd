"""The cost of a tick: nothing without a change, a line for the clock and one for an age."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from textual.geometry import Region

from tests.logs import FIXTURES, at, log_of
from tests.tui.screens import (
    SETTINGS,
    Wall,
    monitor_from,
    monitor_of,
    replay_app,
    server_of,
    until,
    view_at,
)
from tests.tui.test_app import KILLED, TWO_ENGINES, dashboard, live, running, view
from vllm_watch.config import CostSettings
from vllm_watch.core.dataclass import replace
from vllm_watch.core.news import Block, News
from vllm_watch.core.records import Event, Sample
from vllm_watch.core.run import Run
from vllm_watch.core.store import Server
from vllm_watch.health import alertfindings
from vllm_watch.health.finding import Case
from vllm_watch.health.healthcache import HealthCache
from vllm_watch.health.monitor import Health
from vllm_watch.health.spans import AlertSpan
from vllm_watch.tui import fleetrows, viewmaker
from vllm_watch.tui.charts import ChartSpec, Line
from vllm_watch.tui.eventlines import EventLine, newest_lines
from vllm_watch.tui.messages import NewsRead
from vllm_watch.tui.palette import palette_of
from vllm_watch.tui.requestfacts import cost_facts
from vllm_watch.tui.rows import make_row
from vllm_watch.tui.screenview import Choices
from vllm_watch.tui.serverversions import ServerVersions
from vllm_watch.tui.timeline import STEPS, Timeline
from vllm_watch.tui.viewmaker import ViewMaker
from vllm_watch.tui.widgets import fleet
from vllm_watch.tui.widgets.chartpane import ChartPane
from vllm_watch.tui.widgets.fleet import Fleet
from vllm_watch.tui.widgets.pane import Pane


@contextmanager
def noted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, int]]]:
    """Note which panes send how many lines."""
    sent: list[tuple[str, int]] = []
    refresh = Pane.refresh

    def note(pane: Pane, *regions: Region, **how: bool) -> Pane:
        sent.append((type(pane).__name__, sum(region.height for region in regions)))
        return refresh(pane, *regions, **how)

    with monkeypatch.context() as patch:
        patch.setattr(Pane, "refresh", note)
        yield sent


async def test_a_second_in_which_nothing_happens_sends_the_clock_and_the_ages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers that write nothing: only the top line and two ages are drawn again."""
    for name in ("h100_optimised", "h100_saturated_then_killed"):
        log = log_of(name)
        text = log.read_text(encoding="utf-8").partition(" 08:50:21 ")[0]
        text = text.partition(" 08:54:20 ")[0].rpartition("\n")[0] + "\n"
        (tmp_path / log.name).write_text(text, encoding="utf-8")
    toml = (FIXTURES / "h100_optimised" / "capture.toml").read_bytes()
    (tmp_path / "capture.toml").write_bytes(toml)
    wall = Wall(at("08:54:21"))
    app = live(wall, tmp_path / "*.log")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.screen_stack != [] and bool(dashboard(app).view))
        await until(pilot, lambda: len(view(app).rows) == 2 and not view(app).reading)
        dashboard(app).draw()
        await pilot.pause()
        with noted(monkeypatch) as sent:
            dashboard(app).draw()
            assert sent == []
            wall.now += 0.2
            dashboard(app).draw()
            assert sent == []
            wall.now += 0.8
            dashboard(app).draw()
        assert {name for name, _ in sent} <= {"Glance", "Fleet", "Findings"}
        assert dict(sent)["Glance"] == 1
        assert dict(sent).get("Fleet", 0) <= 2


def windows(span: float | None, moments: Iterable[float]) -> list[tuple[float, float]]:
    """Return the windows drawn at some moments of a server that began at nine."""
    wall = Wall()
    timeline = Timeline(wall)
    timeline.span, timeline.fitted = span, False
    timeline.cover(at("09:00:00"), at("09:00:00"))
    found = []
    for wall.now in moments:
        found.append(timeline.drawn())
    return found


def test_a_window_of_all_there_is_stays_between_two_steps() -> None:
    first, hours = at("09:00:00"), 12 * 3600
    shown = windows(None, (first + hours + second for second in range(600)))
    assert len(set(shown)) == 2  # a step is 2^15 s / 60 = 546 s
    assert {start for start, _ in shown} == {first}
    assert all(end >= first + hours + second for second, (_, end) in enumerate(shown))


def test_a_window_moves_on_in_steps_and_holds_the_moment() -> None:
    ends = set()
    moments = [at("09:00:00") + tenth / 10 for tenth in range(0, 3_000)]
    for moment, (start, end) in zip(moments, windows(300.0, moments), strict=True):
        assert end - start == pytest.approx(300)
        assert moment - 1e-6 <= end <= moment + 300 / STEPS
        ends.add(round(end, 3))
    assert len(ends) == STEPS + 1


def test_the_cost_of_all_there_is_is_worked_out_when_the_window_moves_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The facts about a server are computed every five seconds, with a price as well."""
    lines = tuple(Sample(at("09:00:00") + 60 * n, 0, {"running": 3.0}) for n in range(180))
    monitor = monitor_from([Block("a.log", lines)])
    settings = monitor.settings
    monitor.settings = replace(settings, cost=replace(settings.cost, gpu_hourly=2.0, gpus=1))
    wall = Wall(at("12:00:00"))
    timeline, maker = Timeline(wall), ViewMaker(monitor, UTC, job=None)
    timeline.cover(*monitor.store.reach())
    timeline.span, timeline.fitted = None, False
    asked: list[tuple[float, float]] = []

    def costs(
        run: Run, time: float, window: tuple[float, float], how: CostSettings
    ) -> tuple[str, ...]:
        asked.append(window)
        return cost_facts(run, time, window, how)

    monkeypatch.setattr(viewmaker, "cost_facts", costs)
    for _ in range(15):
        maker.make(timeline, Choices())
        wall.now += 1
    assert len(asked) == 3


def test_a_stamp_changes_when_a_line_came_and_only_then() -> None:
    """Stats lines stand at 08:50:11 and 08:50:21; between them nothing is written."""
    monitor = monitor_of("h100_saturated_then_killed")
    server, versions = server_of(monitor), ServerVersions(monitor)
    before, between, later, after = (
        versions.of(server, at(clock), False)
        for clock in ("08:50:10", "08:50:13", "08:50:20", "08:50:21")
    )
    assert before != between
    assert between == later
    assert later != after
    assert versions.of(server, at("08:50:10"), True) == versions.of(server, at("08:50:21"), True)


def test_the_present_is_judged_again_when_something_came_or_time_went() -> None:
    monitor = monitor_of("h100_saturated_then_killed")
    server, recent = server_of(monitor), HealthCache(monitor)
    now = at("08:51:41")
    first = recent.advance(server, now, saved=False)
    assert recent.advance(server, now + 0.5, saved=False) is first
    assert recent.advance(server, now + 1.0, saved=False) is not first
    second = recent.advance(server, now + 1.0, saved=False)
    server.revision += 1
    assert recent.advance(server, now + 1.0, saved=False) is not second
    assert recent.advance(server, now - 60.0, saved=False) is not second


def test_a_scale_grows_at_once_and_shrinks_late() -> None:
    pane = ChartPane("throughput")
    view = view_at(monitor_of("h100_optimised"), "08:55:00")
    ends: list[float] = []
    for peak in (100.0, 900.0, 700.0, 500.0, 300.0, 310.0):
        line = Line("", [0.0, 10.0], [peak, peak], "primary", "fill", 16.0)
        spec = ChartSpec("", "", 0.0, 10.0, (line,), kind="area")
        ends += pane._tops(spec, view, 60)
    assert ends == [120, 1000, 1000, 1000, 400, 400]


def test_words_and_advice_are_made_for_findings_that_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At 08:51:05 the KV cache has been full for three lines: it is ranked without a word."""
    monitor = monitor_of("h100_saturated_then_killed")
    server, recent = server_of(monitor), HealthCache(monitor)
    worded: list[str] = []
    words_of = alertfindings.span_words

    def counted(case: Case, span: AlertSpan, time: float) -> dict[str, str]:
        worded.append(span.rule.id)
        return words_of(case, span, time)

    monkeypatch.setattr(alertfindings, "span_words", counted)
    health = recent.advance(server, at("08:51:05"), saved=False)
    ranked = [(one.id, one.severity, one.since) for one in health.ranked]
    assert ranked[0] == ("kv-cache-binds", "critical", at("08:50:41"))
    assert worded == []
    assert [(one.id, one.severity, one.since) for one in health.findings] == ranked
    assert len(worded) > 0
    count = len(worded)
    assert health.findings[0].title.startswith("KV cache full")
    assert len(worded) == count, "made once"


def test_a_server_that_has_just_written_is_not_looked_at_until_silence_may_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its line of 08:50:51 came as it was written: it is late, and may stall, 30 s later."""
    lines = [Sample(at("08:50:01") + 10 * n, 0, {"running": 3.0}) for n in range(6)]
    monitor = monitor_from([Block("a.log", tuple(lines))])
    server = server_of(monitor)
    server.last_arrival = at("08:50:51")
    looked: list[float] = []
    judge = monitor.health

    def counted(server: Server, time: float, *, live: bool, saved: bool) -> Health:
        looked.append(time)
        return judge(server, time, live=live, saved=saved)

    monkeypatch.setattr(monitor, "health", counted)
    for second in range(40):
        monitor.recent.advance(server, at("08:50:51") + second, saved=False)
    assert looked[:2] == [at("08:50:51"), at("08:51:21")]
    assert monitor.recent.advance(server, at("08:51:31"), saved=False).state.name == "stalled"


async def test_news_of_one_server_make_one_row_and_draw_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of six servers that wrote just now one writes again."""
    wall = Wall(at("08:54:22"))
    text = log_of("h100_optimised").read_text(encoding="utf-8").partition(" 08:54:30 ")[0]
    text = text.rpartition("\n")[0] + "\n"
    for port in range(8001, 8007):
        (tmp_path / f"vllm_M_port{port}_realtime.log").write_text(text, encoding="utf-8")
    app = live(wall, tmp_path / "*.log")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.screen_stack != [] and bool(dashboard(app).view))
        await until(pilot, lambda: len(view(app).rows) == 6 and not view(app).reading)
        servers = list(app.monitor.store.servers.values())
        for server in servers:
            app.monitor.apply(news_of(server, wall()))
        app.monitor.judge()
        dashboard(app).draw()
        await pilot.pause()
        made: list[str] = []
        monkeypatch.setattr(fleetrows, "make_row", noting(made, make_row))
        drawn: list[str] = []
        monkeypatch.setattr(fleet, "_grounded", noting(drawn, fleet._grounded))
        app.monitor.apply(news_of(servers[3], wall()))
        app.monitor.judge()
        dashboard(app).draw()
        assert made == [servers[3].source]
        assert drawn == [servers[3].source]


def news_of(server: Server, now: float) -> News:
    """Return a line that a server wrote just now."""
    sample = Sample(now, 0, {"running": 3.0, "generation_tps": 500.0 + server.revision})
    return Block(server.source, (sample,), newest_stamp=now, arrived=now, size=1)


def test_events_are_put_in_order_only_when_one_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stats line that raises no alert leaves the pane of events as it is."""
    monitor = monitor_of("h100_optimised", "h100_saturated_then_killed")
    timeline = Timeline(Wall(at("08:54:40")))
    maker = ViewMaker(monitor, UTC, job=None)
    before = maker.make(timeline, Choices()).events
    assert before
    ordered: list[int] = []

    def order(lines: Iterable[Sequence[EventLine]], limit: int) -> tuple[EventLine, ...]:
        ordered.append(limit)
        return newest_lines(lines, limit)

    monkeypatch.setattr(viewmaker, "newest_lines", order)
    server = server_of(monitor)
    monitor.apply(Block(server.source, size=1))
    monitor.judge()
    assert maker.make(timeline, Choices()).events is before
    assert ordered == []
    told = Event("stop", at("08:54:39"), "stopped")
    monitor.apply(Block(server.source, (told,), newest_stamp=at("08:54:39")))
    monitor.judge()
    assert maker.make(timeline, Choices()).events != before
    assert len(ordered) == 1


def noting(sources: list[str], make: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that notes the server or row for which it is called."""

    def noted(*words: Any, **named: Any) -> Any:
        sources.append(next(one.source for one in words if hasattr(one, "source")))
        return make(*words, **named)

    return noted


async def test_what_arrives_is_applied_in_turns_and_keys_come_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "vllm_M_port8001_realtime.log"
    log.write_text("", encoding="utf-8")
    app = live(Wall(at("08:54:22")), log)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.screen_stack != [] and bool(dashboard(app).view))
        await until(pilot, lambda: str(log) in app.monitor.store.servers)
        server = app.monitor.store.servers[str(log)]
        monkeypatch.setattr("vllm_watch.tui.app.TURN_SECONDS", 0.0)
        app._take_in(NewsRead(tuple(news_of(server, at("08:54:22") + n) for n in range(5))))
        assert len(server.run.series[0]) == 1
        await until(pilot, lambda: len(server.run.series[0]) == 5)


@pytest.mark.parametrize("width", [160, 120, 90])
async def test_kept_cells_of_rows_are_those_of_rows_drawn_whole(width: int) -> None:
    """Ages, numbers, states and the engines of a server change; nothing old stays in a row."""
    wall = Wall()
    app = replay_app(KILLED, TWO_ENGINES, start="2026-11-23 08:50:00", wall=wall)
    async with running(app, (width, 40)) as pilot:
        seen = set()
        for step in range(60):
            if step in (10, 35):
                await pilot.press("e")
            wall.now += 0.2  # four seconds of the replay
            dashboard(app).draw()
            await pilot.pause()
            pane = app.screen.query_one(Fleet)
            whole = Fleet(SETTINGS.health)
            lines = whole.lines(view(app), width, pane.size.height, palette_of(pane.app))
            assert pane.text.split("\n")[: len(lines)] == [line.plain for line in lines]
            seen.add(pane.text)
        assert len(seen) > 25
