"""Looking only at servers with news or alerts finds what looking at all of them does."""

from __future__ import annotations

import random
from collections.abc import Set

import pytest

from vllm_watch.actions.silences import SilenceKey
from vllm_watch.actions.watch import AlertWatch
from vllm_watch.config import Settings
from vllm_watch.config.sections import AlertSettings
from vllm_watch.core.news import Block
from vllm_watch.core.records import Event, Item, Sample
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Health, Monitor


class LookingAtAll(AlertWatch):
    def _concerned(self, now: float, silenced: Set[SilenceKey]) -> list[str]:
        super()._concerned(now, silenced)
        return list(self._servers)


def wrote(number: int, *items: Item, at: float) -> Block:
    return Block(f"vllm_m_port{number}.log", items, newest_stamp=at, arrived=at, lines=1, size=9)


def sample(at: float, chance: random.Random) -> Sample:
    sick = chance.random() < 0.5
    values = {"generation_tps": 100.0, "running": 8.0, "waiting": 90.0 if sick else 0.0}
    return Sample(at, 0, {**values, "kv_cache_usage": 0.995 if sick else 0.4})


@pytest.mark.parametrize("seed", range(3))
def test_the_same_alerts_are_told(seed: int) -> None:
    chance, now = random.Random(seed), 1_795_700_000.0
    alerts = AlertSettings(repeat_minutes=2, settle_minutes=1)
    monitor, told = Monitor(Settings(alerts=alerts), bounded=True), set[tuple[str, bool]]()
    some, every = AlertWatch(monitor), LookingAtAll(monitor)
    for step in range(80):
        now += chance.choice((1.0, 1.0, 5.0, 31.0))
        for _ in range(chance.choice((0, 1, 4))):
            number = chance.randrange(12)
            dies = chance.random() < 0.03
            dead = Event("dead", now, "it is dead", {"reason": "it is dead"}, "ERROR")
            monitor.apply(wrote(number, dead if dies else sample(now, chance), at=now))
        monitor.judge()
        if step % 7 == 0:
            some.caught_up(now)
            every.caught_up(now)
        names = {source for source in monitor.store.servers if chance.random() < 0.1}
        silenced = {(source, "kv-cache-binds") for source in names}
        found = some.look(now, silenced)
        assert found == every.look(now, silenced)
        assert some.lasting() == every.lasting()
        told |= {(one.status, one.repeated) for one in found}
    assert told == {("firing", False), ("firing", True), ("resolved", False)}


def test_of_quiet_servers_only_those_with_news_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor, now = Monitor(Settings(), bounded=True), 1_795_700_000.0
    values = {"generation_tps": 100.0, "running": 8.0, "waiting": 0.0}
    for number in range(300):
        monitor.apply(wrote(number, Sample(now, 0, values), at=now))
    watch = AlertWatch(monitor)
    watch.caught_up(now)
    watch.look(now, ())
    asked: list[str] = []
    real = monitor.recent.advance

    def advance(server: Server, at: float, *, saved: bool) -> Health:
        asked.append(server.source)
        return real(server, at, saved=saved)

    monkeypatch.setattr(monitor.recent, "advance", advance)
    for number in (3, 250):
        monitor.apply(wrote(number, Sample(now + 1, 0, values), at=now + 1))
    watch.look(now + 1, ())
    assert asked == ["vllm_m_port3.log", "vllm_m_port250.log"]
