from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.actions.alerts import program
from tests.logs import at, formats, log_of
from tests.tui.screens import SETTINGS, Wall, replay_app, server_of, until
from tests.tui.test_app import dashboard, running, shown
from vllm_watch.config.sections import AlertSettings
from vllm_watch.ingest import Ingest, ReadOptions
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.screens.silence import SilenceScreen
from vllm_watch.tui.widgets.findings import Findings
from vllm_watch.tui.widgets.glance import Glance
from vllm_watch.tui.widgets.verdictline import VerdictLine

KILLED = log_of("h100_saturated_then_killed")
APPEND = """
path = os.path.join(os.path.dirname(__file__), "told.jsonl")
with open(path, "a") as file:
    file.write(json.dumps(json.load(sys.stdin)) + "\\n")
"""


class Terminal:
    """The output to the terminal, and how often its bell rang."""

    def __init__(self, app: VllmWatch, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written: list[str] = []
        self.rung = 0
        monkeypatch.setattr(app.alerting, "_write", self.written.append)
        monkeypatch.setattr(app.alerting, "_ring", self.ring)

    def ring(self) -> None:
        self.rung += 1


def place_of(stamp: bytes) -> int:
    """Return where the first line of the killed server's log with a stamp begins."""
    whole = KILLED.read_bytes()
    return whole.rindex(b"\n", 0, whole.index(stamp)) + 1


def before_it_fills(folder: Path) -> tuple[Path, Wall]:
    """Write the log of the killed server until it fills up; return it, and the clock then."""
    log = folder / "vllm_m_port8003_realtime.log"
    log.write_bytes(KILLED.read_bytes()[: place_of(b"11-23 08:50:41")])
    return log, Wall(at("08:50:35"))


async def fill_up(pilot: Pilot[int], log: Path, wall: Wall) -> None:
    """Write the half minute in which the KV cache fills up, let it be read, and check it."""
    app = pilot.app
    assert isinstance(app, VllmWatch)
    with log.open("ab") as file:
        file.write(KILLED.read_bytes()[place_of(b"11-23 08:50:41") : place_of(b"11-23 08:51:11")])
    wall.now = at("08:51:05")
    server = server_of(app.monitor)
    await until(pilot, lambda: server.last_arrival is not None)
    app.alerting.look()


def live_app(log: Path, wall: Wall, **alerts: Any) -> VllmWatch:
    settings = replace(SETTINGS, alerts=AlertSettings(**alerts))
    options = ReadOptions(live=True, poll_seconds=0.05, events=False, now=wall)
    return VllmWatch(Ingest([str(log)], formats(), options), settings, wall=wall)


@asynccontextmanager
async def watching(app: VllmWatch) -> AsyncIterator[Pilot[int]]:
    """Run a live screen until the log has been read and checked."""
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: bool(app.alerting._watch._servers))
        app.alerting.look()
        yield pilot


def told(folder: Path) -> list[tuple[str, str]]:
    path = folder / "told.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [(value["status"], value["id"]) for value in map(json.loads, lines)]


async def test_a_server_that_fills_up_while_watched_is_reported_by_every_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    log, wall = before_it_fills(tmp_path)
    app = live_app(log, wall, command=program(tmp_path, APPEND), notify="osc9", min_severity="note")
    terminal = Terminal(app, monkeypatch)
    async with watching(app) as pilot:
        assert (terminal.rung, terminal.written, told(tmp_path)) == (0, [], [])
        await fill_up(pilot, log, wall)
        await until(pilot, lambda: ("firing", "kv-cache-binds") in told(tmp_path))
    app.alerting.close()
    # Once for each check with news: a slow machine may check in between.
    assert 1 <= terminal.rung <= len(told(tmp_path))
    assert (
        "\x1b]9;vllm-watch: m:8003: critical: KV cache full: 98 %, 361 wait\x07" in terminal.written
    )


async def test_a_command_that_fails_is_reported_on_the_screen_until_one_does_not(
    tmp_path: Path,
) -> None:
    log, wall = before_it_fills(tmp_path)
    app = live_app(log, wall, command=("/nowhere/notify-me",), bell=False)
    async with watching(app) as pilot:
        assert app.alerting.troubles == ()
        await fill_up(pilot, log, wall)
        await until(pilot, lambda: bool(app.alerting.troubles))
        await until(pilot, lambda: any(True for _ in app._notifications))
        (notice,) = app._notifications
        assert "notify-me: cannot be run" in notice.message
        assert not notice.markup
        await pilot.press("f")
        await until(pilot, lambda: "notify-me: cannot be run" in shown(app, Findings))
        assert "[alerts] command" in shown(app, Findings)
    app.alerting.close()


def _drawn(app: VllmWatch) -> bool:
    """Return whether findings are on the screen: they are drawn a moment after reading."""
    view = dashboard(app).query_one(Findings).view
    return view is not None and bool(view.findings)


async def test_opening_a_log_full_of_alerts_reports_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The killed server an hour later, a minute later, and in the middle of its troubles."""
    whole = KILLED.read_bytes()
    during = whole[: place_of(b"11-23 08:51:21")]
    for number, (text, clock) in enumerate(
        [(whole, "09:52:00"), (whole, "08:52:40"), (during, "08:51:20")]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        log = folder / "vllm_m_port8003_realtime.log"
        log.write_bytes(text)
        app = live_app(
            log, Wall(at(clock)), command=program(folder, APPEND), notify="both",
            min_severity="note",
        )  # fmt: skip
        terminal = Terminal(app, monkeypatch)
        async with watching(app) as pilot:
            await until(pilot, partial(_drawn, app))
            app.alerting.look()
        app.alerting.close()
        assert (terminal.rung, terminal.written, told(folder)) == (0, [], [])


async def test_a_replay_reports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wall = Wall()
    app = replay_app(KILLED, start="2026-11-23 08:50:00", wall=wall)
    settings = AlertSettings(command=program(tmp_path, APPEND), notify="both", min_severity="note")
    app.alerting._settings = app.alerting._runner._settings = settings
    terminal = Terminal(app, monkeypatch)
    async with running(app) as pilot:
        for _ in range(12):
            wall.now += 1  # 20 s of the log each
            dashboard(app).draw()
            await pilot.pause(0.1)  # and more than one look, if there were any
        assert "died" in shown(app, VerdictLine)
        app.alerting.look()  # even if there is a check
    app.alerting.close()
    assert (terminal.rung, terminal.written, told(tmp_path)) == (0, [], [])


async def test_s_silences_for_a_time_and_takes_it_back() -> None:
    wall = Wall()
    app = replay_app(KILLED, start="2026-11-23 08:51:35", wall=wall)
    async with running(app) as pilot:
        assert "KV cache full" in shown(app, VerdictLine)
        assert "✖ 1 critical" in shown(app, Glance)
        await pilot.press("space", "f", "s")
        await until(pilot, lambda: isinstance(app.screen, SilenceScreen))
        await pilot.press("1")
        await until(pilot, lambda: "silenced for 10m" in shown(app, Findings))
        assert "KV cache full" not in shown(app, VerdictLine)
        assert "critical" not in shown(app, Glance)
        wall.now += 541
        dashboard(app).draw()
        await until(pilot, lambda: "silenced for 59s" in shown(app, Findings))
        await pilot.press("s")
        await until(pilot, lambda: "KV cache full" in shown(app, VerdictLine))
        assert "silenced" not in shown(app, Findings)


async def test_a_silence_runs_out() -> None:
    wall = Wall()
    app = replay_app(KILLED, start="2026-11-23 08:51:35", wall=wall)
    async with running(app) as pilot:
        await pilot.press("space", "f", "s")
        await until(pilot, lambda: isinstance(app.screen, SilenceScreen))
        await pilot.press("down", "enter")
        await until(pilot, lambda: "silenced for 1h" in shown(app, Findings))
        wall.now += 3_601
        dashboard(app).draw()
        await until(pilot, lambda: "KV cache full" in shown(app, VerdictLine))


async def test_a_silence_until_it_is_over_ends_with_the_alert() -> None:
    app = replay_app(KILLED, start="2026-11-23 08:51:35")
    async with running(app) as pilot:
        await pilot.press("f", "s")
        await until(pilot, lambda: isinstance(app.screen, SilenceScreen))
        await pilot.press("3")
        await until(pilot, lambda: "silenced until over" in shown(app, Findings))
        app.timeline.seek(at("08:50:00"))
        dashboard(app).draw()
        app.timeline.seek(at("08:51:35"))
        dashboard(app).draw()
        await until(pilot, lambda: "KV cache full" in shown(app, VerdictLine))
        assert "silenced" not in shown(app, Findings)


async def test_a_silenced_alert_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, wall = before_it_fills(tmp_path)
    app = live_app(log, wall, notify="osc9")
    terminal = Terminal(app, monkeypatch)
    async with watching(app) as pilot:
        for name in ("kv-cache-binds", "kv-cache-critical", "kv-cache-high"):
            app.silences.silence((str(log), name), 600.0)
        await fill_up(pilot, log, wall)
        assert not any("KV cache" in text for text in terminal.written)
        assert ("kv-cache-binds" in {key[1] for key in app.alerting._watch.lasting()}) is True
    app.alerting.close()
