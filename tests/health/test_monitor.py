from __future__ import annotations

from datetime import UTC

import pytest

from vllm_watch.config import AdviceSettings, HealthSettings, Settings, WatchSettings
from vllm_watch.config.overrides import Override
from vllm_watch.core.news import Block, CompanionBlock, LogFound, PathSearch, ZoneFound
from vllm_watch.core.records import Event, Requests, Sample
from vllm_watch.health.alertfindings import alert_finding
from vllm_watch.health.monitor import Monitor
from vllm_watch.health.serversignals import Row, ServerSignals

LOG = "vllm_Tiny_port1_realtime.log"
QUEUE = {"running": 3.0, "waiting": 20.0, "kv_cache_usage": 0.5}


def queue(start: float, run: int = 0, lines: int = 3) -> tuple[Sample, ...]:
    return tuple(Sample(start + 10.0 * n, 0, QUEUE, run) for n in range(lines))


def test_samples_of_several_batches_are_one_history() -> None:
    monitor = Monitor(Settings())
    for sample in queue(0.0):
        monitor.apply(Block(LOG, (sample,)))
    monitor.judge()
    server = monitor.store.servers[LOG]
    assert {(span.rule.id, span.fired) for span in monitor.spans(server)} == {
        ("queue-long", 20.0),
        ("queue-short", 20.0),
    }


def test_a_restart_begins_with_a_clean_sheet() -> None:
    monitor = Monitor(Settings())
    server = monitor.apply(Block(LOG, (*queue(0.0), *queue(1000.0, run=1, lines=2))))
    monitor.judge()
    assert monitor.health(server, 25.0, live=False, saved=False).findings[0].id == "queue-long"
    assert monitor.health(server, 1015.0, live=False, saved=False).findings == ()
    assert [span.fired for span in monitor.spans(server)] == [20.0, 20.0]


def test_a_shift_moves_the_alerts_with_the_samples() -> None:
    monitor = Monitor(Settings())
    server = monitor.apply(Block(LOG, queue(0.0)))
    other = monitor.apply(Block("other.log", queue(0.0)))
    monitor.apply(ZoneFound(LOG, UTC, shift=3600.0))
    monitor.judge()
    assert {span.fired for span in monitor.spans(server)} == {3620.0}
    assert {span.fired for span in monitor.spans(other)} == {20.0}
    assert monitor.health(server, 3625.0, live=False, saved=False).findings[0].since == 3600.0


def test_a_twin_has_no_samples_to_judge() -> None:
    monitor = Monitor(Settings())
    server = monitor.apply(CompanionBlock(LOG, queue(0.0, run=5)))
    monitor.judge()
    assert monitor.spans(server) == []
    assert server.run.series == {}


def test_settings_reach_rules_and_states() -> None:
    settings = Settings(
        watch=WatchSettings(ended_after_seconds=10.0, stalled_floor_seconds=1.0),
        health=HealthSettings(waiting_warning=50),
    )
    monitor = Monitor(settings)
    server = monitor.apply(Block(LOG, queue(0.0)))
    monitor.judge()
    assert {span.rule.id for span in monitor.spans(server)} == {"queue-short"}
    assert monitor.health(server, 30.5, live=False, saved=False).state.name == "ended"


def test_a_look_is_kept_and_a_server_without_lines_is_starting() -> None:
    monitor = Monitor(Settings())
    monitor.searched(PathSearch(5.0, 1, ("*.log",), ()))
    server = monitor.apply(LogFound(LOG))
    monitor.judge()
    assert monitor.store.search == PathSearch(5.0, 1, ("*.log",), ())
    health = monitor.health(server, 5.0, live=True, saved=False)
    assert (health.state.name, health.findings) == ("starting", ())


def test_the_past_is_judged_by_the_past() -> None:
    monitor = Monitor(Settings())
    death = Event("dead", 31.0, "engine core exited unexpectedly")
    server = monitor.apply(Block(LOG, (*queue(0.0), death)))
    monitor.judge()
    states = [
        monitor.health(server, t, live=False, saved=False).state.name for t in (-1, 5, 30.9, 31)
    ]
    assert states == ["starting", "busy", "busy", "dead"]


def test_an_alert_keeps_its_figures_when_its_samples_are_thinned() -> None:
    settings = Settings(watch=WatchSettings(full_hours=0.5))
    monitor = Monitor(settings, bounded=True)
    for first in range(0, 2_000, 100):
        monitor.apply(
            Block(
                "a.log",
                tuple(
                    # 85, 87, 89 … 95 % in one minute: a mean of 90 %.
                    Sample(
                        10.0 * n,
                        0,
                        {"running": 5.0, "kv_cache_usage": (85 + 2 * (n % 6)) / 100}
                        if 60 <= n < 66
                        else {"running": 5.0, "kv_cache_usage": 0.5},
                    )
                    for n in range(first, first + 100)
                ),
            )
        )
    monitor.judge()
    (server,) = monitor.store.servers.values()
    index = server.run.series[0].index_at(620.0)
    assert index is not None
    assert index < server.run.series[0].thinned
    assert server.run.series[0].value("kv_cache_usage", index) == pytest.approx(0.9)
    (span,) = [span for span in monitor.spans(server) if span.rule.id == "kv-cache-high"]
    assert span.fired == 620.0
    found = alert_finding(monitor.case(server, server.run), span, span.fired, [span])
    assert found.title == "KV cache high: 89 %"


def test_a_forgotten_run_is_no_longer_judged() -> None:
    monitor = Monitor(Settings(), bounded=True)
    for run in range(130):
        monitor.apply(Block("a.log", (Sample(100.0 * run, 0, {"running": 1.0}, run=run),)))
    monitor.judge()
    (server,) = monitor.store.servers.values()
    assert [run.number for run in server.runs] == list(range(30, 130))
    assert len(monitor.spans(server)) == 0
    assert [[*judges] for judges in monitor._judges.values()] == [[*range(30, 130)]]
    monitor.apply(Block("a.log", (Sample(13_000.0, 0, {"running": 1.0}, run=130),)))
    monitor.judge()
    assert [[*judges] for judges in monitor._judges.values()] == [[*range(31, 131)]]


def test_texts_name_the_levels_that_are_configured() -> None:
    health = HealthSettings(kv_cache_low=0.2, kv_cache_healthy_high=0.6, kv_cache_critical=0.9)
    monitor = Monitor(Settings(health=health))
    rates = {"generation_tps": 90.0, "prompt_tps": 0.0}
    low = {**rates, "running": 3.0, "waiting": 0.0, "kv_cache_usage": 0.1}
    server = monitor.apply(Block(LOG, tuple(Sample(10.0 * n, 0, low) for n in range(3))))
    monitor.judge()
    (found,) = monitor.health(server, 25.0, live=False, saved=False).findings
    assert found.detail == "3 running; a KV cache usage of 20–60 % is healthy"
    full = {**rates, "running": 3.0, "waiting": 9.0, "kv_cache_usage": 0.95}
    server = monitor.apply(Block("b.log", tuple(Sample(10.0 * n, 0, full) for n in range(3))))
    monitor.judge()
    worst = monitor.health(server, 25.0, live=False, saved=False).findings[0]
    assert "from 90 % on new requests only wait" in worst.detail


def test_errors_are_counted_over_the_window_that_is_configured() -> None:
    monitor = Monitor(Settings(health=HealthSettings(http_seconds=150.0)))
    bad = tuple(Requests(10.0 * n, {"200": 5, "500": 5}, 0) for n in range(3))
    server = monitor.apply(Block(LOG, (Event("server_up", 0.0, "up"), *bad)))
    monitor.judge()
    (found,) = monitor.health(server, 25.0, live=False, saved=False).findings
    assert (found.id, found.detail) == ("http-errors", "counted over 2.5 min")


def test_uneven_engines_name_the_share_that_is_configured() -> None:
    monitor = Monitor(Settings(health=HealthSettings(imbalance_share=0.4)))
    rows = [(10.0 * n, engine) for n in range(4) for engine in (0, 1)]
    values = {"generation_tps": 90.0, "waiting": 0.0, "kv_cache_usage": 0.5}
    lines = [Sample(t, e, {**values, "running": 30.0 - 20.0 * e}) for t, e in rows]
    server = monitor.apply(Block(LOG, tuple(lines)))
    monitor.judge()
    found = {one.id: one for one in monitor.health(server, 35.0, live=False, saved=False).findings}
    assert "more than 40 % of their mean" in found["engines-unbalanced"].detail


def test_the_limits_of_silence_are_settings() -> None:
    two = [(5.0 * n, engine) for n in range(4) for engine in (0, 1)]
    rest = [(5.0 * n, 0) for n in range(4, 9)]
    samples = tuple(Sample(time, engine, QUEUE) for time, engine in two + rest)
    watch = WatchSettings(stalled_cadences=2.0, stalled_floor_seconds=12.0)
    fired = {}
    for name, settings in (("usual", Settings()), ("soon", Settings(watch=watch))):
        server = (monitor := Monitor(settings)).apply(Block(LOG, samples))
        monitor.judge()
        spans = [span for span in monitor.spans(server) if span.rule.id == "engine-silent"]
        fired[name] = [(span.engine, span.since, span.fired) for span in spans]
    assert fired == {"usual": [], "soon": [(1, 15.0, 30.0)]}


def test_the_time_of_the_capacity_seen_is_a_setting() -> None:
    """Half of the cache by 100, then by 10: the capacity depends on the samples remembered."""
    seen = {}
    for seconds in (25.0, 1_000.0):
        signals = ServerSignals(Settings(advice=AdviceSettings(seen_capacity_seconds=seconds)))
        rows = [Row(10.0 * n, 0, 100.0 if n < 9 else 10.0, 0.0, 0.5) for n in range(12)]
        for row in rows:
            signals.take(row, {"max_num_seqs": 32.0})
        seen[seconds] = signals.signal("seen_share")
    assert seen == {25.0: 32 / (0.8 * 10 / 0.5), 1_000.0: 32 / (0.8 * 100 / 0.5)}


def test_a_name_known_after_a_day_counts_for_what_is_not_thinned() -> None:
    """Thinned samples cannot be judged again: their alerts stay, and later ones continue from them."""
    override = Override(server="Known:1", values={"health.waiting_warning": 2})
    settings = Settings(watch=WatchSettings(full_hours=0.5), overrides=(override,))
    monitor = Monitor(settings, bounded=True)
    server = monitor.apply(LogFound("a.log"))
    wait = {"running": 5.0, "waiting": 3.0, "generation_tps": 90.0, "prompt_tps": 0.0}
    for first in range(0, 2_000, 100):
        samples = (Sample(10.0 * n, 0, wait) for n in range(first, first + 100))
        monitor.apply(Block("a.log", tuple(samples)))
    monitor.judge()
    assert {span.rule.id for span in monitor.spans(server)} == {"queue-short"}
    name = Event("args", 0.0, "", {"args": {"model": "Known", "port": 1}})
    more = (Sample(10.0 * n, 0, wait) for n in range(2_000, 2_010))
    monitor.apply(Block("a.log", (name, *more)))
    monitor.judge()
    queues = [span for span in monitor.spans(server) if span.rule.id == "queue-long"]
    series = server.run.series[0]
    assert series.times[series.thinned] == 18_000.0
    assert queues[0].fired == 18_020.0
    (short,) = (span for span in monitor.spans(server) if span.rule.id == "queue-short")
    assert (short.fired, short.until, short.times) == (20.0, None, 1)
    monitor.apply(ZoneFound("a.log", UTC, shift=3600.0))
    monitor.judge()
    (moved,) = (span for span in monitor.spans(server) if span.rule.id == "queue-short")
    assert (moved.fired, moved.until, moved.times) == (3620.0, None, 1)


def test_a_line_later_than_every_state_is_judged_neither_twice_nor_at_all() -> None:
    monitor = Monitor(Settings(watch=WatchSettings(full_hours=0.5)), bounded=True)
    server = monitor.apply(LogFound("a.log"))
    for first in range(0, 1_000, 100):
        samples = (Sample(10.0 * n, 0, QUEUE) for n in range(first, first + 100))
        monitor.apply(Block("a.log", tuple(samples)))
        monitor.judge()
        monitor.spans(server)
    (series,) = server.run.series.values()
    assert series.folded
    for late in (series.times[series.thinned] + 1.0, 9_985.0):
        monitor.apply(Block("a.log", (Sample(late, 0, QUEUE),)))
        monitor.judge()
        before = [(span.rule.id, span.fired) for span in monitor.spans(server)]
        assert before == [("queue-long", 20.0), ("queue-short", 20.0)]
        judged = monitor.alerts(server, server.run)._engines[0].state
        assert judged.row == series.folded + len(series) - series.thinned
        assert judged.row - judged.trend.fed == 1  # the first of the two is before every state
