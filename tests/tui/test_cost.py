"""What a tick costs: nothing where nothing changed, a line for the clock and one for an age."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from textual.geometry import Region

from tests.logs import FIXTURES, at, log_of
from tests.tui.screens import Wall, monitor_of, until, view_at
from tests.tui.test_app import dashboard, live, view
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor
from vllm_watch.health.recent import RecentHealth
from vllm_watch.tui.charts import ChartSpec, Line
from vllm_watch.tui.pictures import STEPS, stepped
from vllm_watch.tui.stamps import Stamps
from vllm_watch.tui.widgets.chartpane import ChartPane
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
    """Two servers that write nothing: of what is drawn only the glance and two ages change."""
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


def test_a_window_moves_on_in_steps_and_holds_the_moment() -> None:
    ends = set()
    for tenth in range(0, 3_000):
        moment = at("09:00:00") + tenth / 10
        start, end = stepped((moment - 300, moment))
        assert end - start == pytest.approx(300)
        assert moment - 1e-6 <= end <= moment + 300 / STEPS
        ends.add(round(end, 3))
    assert len(ends) == STEPS + 1


def server_of(monitor: Monitor) -> Server:
    return next(iter(monitor.store.servers.values()))


def test_a_stamp_changes_when_a_line_came_and_only_then() -> None:
    """Stats lines stand at 08:50:11 and 08:50:21; between them nothing is written."""
    monitor = monitor_of("h100_saturated_then_killed")
    server, stamps = server_of(monitor), Stamps(monitor)
    before, between, later, after = (
        stamps.of(server, at(clock), False)
        for clock in ("08:50:10", "08:50:13", "08:50:20", "08:50:21")
    )
    assert before != between
    assert between == later
    assert later != after
    assert stamps.of(server, at("08:50:10"), True) == stamps.of(server, at("08:50:21"), True)


def test_the_present_is_judged_again_when_something_came_or_time_went() -> None:
    monitor = monitor_of("h100_saturated_then_killed")
    server, recent = server_of(monitor), RecentHealth(monitor)
    now = at("08:51:41")
    first = recent.health(server, now, saved=False)
    assert recent.health(server, now + 0.5, saved=False) is first
    assert recent.health(server, now + 1.0, saved=False) is not first
    second = recent.health(server, now + 1.0, saved=False)
    server.revision += 1
    assert recent.health(server, now + 1.0, saved=False) is not second
    assert recent.health(server, now - 60.0, saved=False) is not second


def test_a_scale_grows_at_once_and_shrinks_late() -> None:
    pane = ChartPane("throughput")
    view = view_at(monitor_of("h100_optimised"), "08:55:00")
    ends: list[float] = []
    for peak in (100.0, 900.0, 700.0, 500.0, 300.0, 310.0):
        line = Line("", [0.0, 10.0], [peak, peak], "primary", "fill", 16.0)
        spec = ChartSpec("", "", 0.0, 10.0, (line,), kind="area")
        ends += pane._tops(spec, view, 60)
    assert ends == [120, 1000, 1000, 1000, 400, 400]


def test_in_a_large_fleet_findings_are_kept_while_the_same_alerts_fire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At 08:50:51 the KV cache is full and goes on to be; at 08:50:21 it is not yet."""
    monitor = monitor_of("h100_saturated_then_killed")
    server, recent = server_of(monitor), RecentHealth(monitor)
    first = recent.health(server, at("08:50:51"), saved=False)
    server.revision += 1
    assert recent.health(server, at("08:50:53"), saved=False) is not first, "it is alone"
    monkeypatch.setattr("vllm_watch.health.recent.FINDINGS_A_SECOND", 0.05)
    kept = recent.health(server, at("08:50:53"), saved=False)
    server.revision += 1
    assert recent.health(server, at("08:50:55"), saved=False) is kept
    server.revision += 1
    dead = recent.health(server, at("08:51:50"), saved=False)
    assert dead.state.name == "dead", "another state is seen at once"
