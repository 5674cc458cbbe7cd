"""Of a fleet only the rows with news are made, and the screen shows what it would without that."""

from __future__ import annotations

import random
from collections.abc import Collection
from datetime import UTC

import pytest

from tests.tui.screens import SETTINGS, Wall
from vllm_watch.core.dataclass import replace
from vllm_watch.core.news import Block, FileTrouble
from vllm_watch.core.records import Event, Sample
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor
from vllm_watch.tui import fleetrows
from vllm_watch.tui.rows import Row, make_row
from vllm_watch.tui.screens.timekeys import TimeKeys
from vllm_watch.tui.screenview import Choices, ScreenView
from vllm_watch.tui.timeline import Timeline
from vllm_watch.tui.verdict import verdict_of
from vllm_watch.tui.viewmaker import ViewMaker


def wrote(number: int, at: float, *, running: float = 8.0, waiting: float = 0.0) -> Block:
    values = {
        "generation_tps": 100.0 + number,
        "running": running,
        "waiting": waiting,
        "kv_cache_usage": 0.99 if waiting else 0.4,
    }
    source = f"vllm_m{number % 3}_port{8000 + number}_realtime.log"
    return Block(source, (Sample(at, 0, values),), newest_stamp=at, arrived=at, lines=1, size=9)


def fleet_of(servers: int, wall: Wall) -> tuple[Monitor, Timeline]:
    monitor = Monitor(SETTINGS, bounded=True)
    for number in range(servers):
        monitor.apply(wrote(number, wall.now))
    timeline = Timeline(wall)
    timeline.cover(*monitor.store.reach())
    return monitor, timeline


def count_rows(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []

    def counted(monitor: Monitor, server: object, *rest: object, **named: object) -> Row:
        made.append(server.source)  # type: ignore[attr-defined]
        return make_row(monitor, server, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(fleetrows, "make_row", counted)
    return made


def test_of_300_servers_of_which_3_have_news_3_rows_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wall = Wall()
    monitor, timeline = fleet_of(300, wall)
    maker, made = ViewMaker(monitor, UTC, job=None), count_rows(monkeypatch)
    maker.make(timeline, Choices())
    assert len(made) == 300
    made.clear()
    wall.now += 1.0
    maker.make(timeline, Choices())
    assert made == []
    wall.now += 1.0
    blocks = [wrote(number, wall.now) for number in (7, 299, 120)]
    for block in blocks:
        monitor.apply(block)
    maker.make(timeline, Choices())
    assert sorted(made) == sorted(block.source for block in blocks)


def test_without_news_a_row_is_made_again_when_silence_begins_to_count() -> None:
    wall = Wall()
    monitor, timeline = fleet_of(20, wall)
    maker = ViewMaker(monitor, UTC, job=None)
    assert {row.state.name for row in maker.make(timeline, Choices()).rows} == {"busy"}
    wall.now += 29.0
    monitor.apply(wrote(3, wall.now))
    maker.make(timeline, Choices())
    wall.now += 10.0
    states = [row.state.name for row in maker.make(timeline, Choices(order="found")).rows]
    assert states == ["busy" if number == 3 else "stalled" for number in range(20)]


@pytest.mark.parametrize("seed", range(3))
def test_the_view_of_what_changed_is_that_of_everything(seed: int) -> None:
    chance, wall = random.Random(seed), Wall()
    monitor, timeline = fleet_of(24, wall)
    maker, known, number = ViewMaker(monitor, UTC, job=None), 24, 0
    for _ in range(40):
        wall.now += chance.choice((0.0, 0.3, 1.0, 7.0, 31.0))
        for _ in range(chance.choice((0, 0, 1, 3, 24))):
            number = chance.randrange(known)
            queue = chance.choice((0.0, 0.0, 50.0))
            monitor.apply(wrote(number, wall.now, waiting=queue))
        source = wrote(chance.randrange(known), 0).source
        if chance.random() < 0.2:
            dead = Event("dead", wall.now, "it is dead", {"reason": "it is dead"}, "ERROR")
            monitor.apply(Block(source, (dead,), newest_stamp=wall.now, arrived=wall.now))
        if chance.random() < 0.2:
            text = chance.choice(("", f"{source}: cannot be read"))
            monitor.apply(FileTrouble(source, source, text, wall.now, False))
        if chance.random() < 0.1:
            monitor.apply(wrote(known, wall.now))
            known += 1
        if chance.random() < 0.2:
            timeline.toggle_pause()
        if timeline.paused and number % 3 == 0:
            timeline.seek(wall.now - number * 5.0)
        monitor.judge()
        timeline.cover(*monitor.store.reach())
        silences = {(source, "queue-growing"): None} if chance.random() < 0.3 else {}
        opened: Collection[str] = frozenset((source,)) if chance.random() < 0.3 else frozenset()
        order = chance.choice(("name", "name", "worst", "rate", "found"))
        words = chance.choice(("", "", "", "busy", "8001"))
        choices = Choices(order=order, opened=opened, filter=words)
        kept = shown(maker.make(timeline, choices, silences=silences))
        for server in monitor.store.servers.values():
            server.run.memo.clear()
        whole = ViewMaker(monitor, UTC, job=None).make(timeline, choices, silences=silences)
        assert kept == shown(whole)


def shown(view: ScreenView) -> tuple[object, ...]:
    """Return what a view shows of the fleet."""
    rows = [replace(row, serial=0) for row in view.rows]
    findings = [(one.row.source, one.ranked.id, one.silenced) for one in view.findings]
    counted = view.counts, view.total_tps, view.hidden, verdict_of(view)
    return rows, counted, findings, view.notes, view.events, view.selected


def test_one_server_with_alerts_shows_that_there_are_alerts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wall = Wall()
    monitor, _ = fleet_of(20, wall)
    keys, looked = TimeKeys(), list[str]()
    keys._monitor, keys._alerts, fired = monitor, {}, TimeKeys._fired

    def noted(keys: TimeKeys, server: Server) -> set[float]:
        looked.append(server.source)
        return fired(keys, server)

    monkeypatch.setattr(TimeKeys, "_fired", noted)
    assert not keys.has_alerts
    for waiting in (50.0, 50.0, 50.0, 0.0):
        wall.now += 200.0
        for number in range(20):
            monitor.apply(wrote(number, wall.now, waiting=waiting))
        monitor.judge()
    assert keys.has_alerts
    looked.clear()
    monitor.apply(wrote(3, wall.now + 1.0))
    monitor.judge()
    assert keys.has_alerts
    assert len(looked) == 1
    assert keys.alert_times()
    assert len(looked) == 2
