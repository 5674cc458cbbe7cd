"""A server in a crash loop, watched for weeks: its runs, events and requests stay bounded."""

from __future__ import annotations

from tests.seriesfigures import figures_of
from vllm_watch.config import Settings, WatchSettings
from vllm_watch.core.buckets import Keep, Tier
from vllm_watch.core.keptevents import MOST_EVENTS, MOST_TEXT
from vllm_watch.core.news import Block, PathSearch
from vllm_watch.core.olderruns import FEWEST_EVENTS, MOST_QUIET, MOST_RUNS, make_room_of_quiet
from vllm_watch.core.records import Event, Requests, Sample
from vllm_watch.core.run import Run
from vllm_watch.core.store import Server, Store
from vllm_watch.core.traffic import MOST_STRETCHES, Traffic
from vllm_watch.health.monitor import Monitor

SMALL = Keep(600.0, 100, (Tier(60.0, 20), Tier(600.0, 20)))
LOG = "a.log"


def crash_loop(runs: int, samples: int, keep: Keep | None = SMALL) -> Server:
    """Return a server that began `runs` times and wrote `samples` lines in each."""
    store, time = Store(keep), 0.0
    for run in range(runs):
        records: list[Event | Sample] = [Event("version", time, f"version {run}", run=run)]
        for number in range(samples):
            time += 10.0
            records.append(Sample(time, 0, {"running": float(number)}, run=run))
            records.append(Event("error", time, f"error {number}", level="ERROR", run=run))
        store.apply(Block(LOG, tuple(records)))
    return store.servers[LOG]


def points(server: Server) -> list[int]:
    return [sum(len(series) for series in run.series.values()) for run in server.runs]


def test_earlier_runs_together_keep_no_more_than_one() -> None:
    keep = Keep(10_000.0, 1_000, (Tier(60.0, 50), Tier(600.0, 50)))
    server = crash_loop(12, 300, keep)
    kept = points(server)
    assert len(kept) == 12
    assert kept[-2:] == [300, 300]
    assert max(kept[:3]) <= 64
    assert sum(kept[:-1]) <= keep.most_points == 1_000 + 41 + 100
    for run in server.runs:  # the rest of one still shows its highest value
        assert figures_of(run.series[0], "running").high == 299
        assert figures_of(run.series[0], "running").number == 300


def test_runs_beyond_a_hundred_are_forgotten_and_numbers_stay() -> None:
    server = crash_loop(MOST_RUNS + 50, 2)
    assert len(server.runs) == MOST_RUNS
    assert server.runs[0].number == 50
    assert server.run.number == MOST_RUNS + 49
    assert server.numbered(MOST_RUNS + 49) is server.run
    assert server.numbered(3) is server.runs[0]


def test_what_reads_a_log_once_keeps_every_run_and_sample() -> None:
    server = crash_loop(MOST_RUNS + 50, 3, keep=None)
    assert points(server) == [3] * (MOST_RUNS + 50)


def test_events_of_earlier_runs_are_bounded_together() -> None:
    server = crash_loop(60, 300)
    older = [len(run.events) for run in server.runs[:-1]]
    assert sum(older) <= max(MOST_EVENTS, 59 * FEWEST_EVENTS)
    assert min(older) >= FEWEST_EVENTS
    # The banner says what happened and stays; errors go, the oldest first.
    assert all(run.events[0].event.kind == "version" for run in server.runs)


def test_the_text_of_errors_is_bounded() -> None:
    run = Run(0, SMALL)
    for number in range(3_000):
        run.add_event(Event("error", float(number), "x" * 2_000, level="ERROR"), None)
        run.add_event(
            Event("error", float(number), "y" * 2_000, level="ERROR", continues=True), None
        )
        assert run.events.characters == sum(kept.size for kept in run.events) <= MOST_TEXT
    assert run.events[-1].event.time == 2_999
    assert run.events[-1].lines == ["y" * 2_000]
    assert len(run.events) == MOST_TEXT // 4_000


def test_requests_of_weeks_stay_countable() -> None:
    traffic, number = Traffic(MOST_STRETCHES), MOST_STRETCHES * 5
    for at in range(number):
        traffic.add({"200": 3, "500": at % 2}, at * 10.0, None)
        assert len(traffic) <= MOST_STRETCHES
    assert sum(traffic.counts[0]) == 3 * number
    assert sum(traffic.counts[2]) == number / 2
    assert list(traffic.begins) == sorted(traffic.begins)
    stamps = Run(0).stamps()
    # The newest are unchanged, the oldest are means of many.
    newest = traffic.stretches((number - 100) * 10.0, (number - 90) * 10.0, stamps)
    assert [stretch.answered for stretch in newest] == [0.3] * 11
    (oldest, *_) = traffic.stretches(0.0, 100.0, stamps)
    assert 0.29 < oldest.answered < 0.31
    assert 0.04 < oldest.failed < 0.06


def test_requests_of_a_clock_that_went_back_are_found() -> None:
    traffic = Traffic()
    for time in (100.0, 110.0, 50.0, 60.0, 120.0):
        traffic.add({"200": 10}, time, None)
    found = traffic.stretches(45.0, 65.0, Run(0).stamps())
    assert [stretch.begin for stretch in found] == [50.0, 60.0]


def test_a_watched_run_bounds_its_requests_and_a_read_one_does_not() -> None:
    watched, read = Run(0, SMALL), Run(0)
    for at in range(MOST_STRETCHES + 10):
        for run in (watched, read):
            run.add_requests(Requests(at * 10.0, {"200": 1}, 0))
    assert len(read.traffic) == MOST_STRETCHES + 10
    assert len(watched.traffic) < MOST_STRETCHES
    assert watched.served == read.served


def test_servers_that_no_longer_write_keep_less_and_less() -> None:
    monitor = Monitor(Settings(watch=WatchSettings(full_hours=1.0)), bounded=True)
    monitor.apply(Block("new.log", tuple(Sample(10.0 * n, 0, {"running": 1.0}) for n in range(9))))
    keep = Keep(3_600.0, 300, (Tier(60.0, 20), Tier(600.0, 20)))
    limit = MOST_QUIET * keep.most_points
    for number in range(20):
        log = f"job{number}.log"
        server = monitor.apply(Block(log, (Sample(0.0, 0, {"running": 7.0}),)))
        for at in range(1, 300):
            server.run.add_sample(Sample(10.0 * at + number, 0, {"running": 1.0}), None)
    make_room_of_quiet([[server.run] for server in monitor.store.servers.values()][1:], keep)
    kept = [len(server.run.series[0]) for server in monitor.store.servers.values()][1:]
    assert sum(kept) <= limit == 8 * (300 + 12 + 40)
    assert kept[0] <= 64
    assert kept[-1] == 300
    assert all(
        (s.run.series[0].total("running") or 0.0) > 8 for s in monitor.store.servers.values()
    )


def test_only_servers_that_are_silent_for_long_rest() -> None:
    monitor = Monitor(Settings(watch=WatchSettings(full_hours=1.0)), bounded=True)
    for log, end in (("old.log", 10_000.0), ("new.log", 90_000.0)):
        spans = (Sample(end - 10.0 * n, 0, {"running": 1.0}) for n in reversed(range(400)))
        monitor.apply(Block(log, tuple(spans)))
        monitor.judge()
    for server in monitor.store.servers.values():
        newest = server.run.series[0].times[-1]
        monitor.apply(Block(server.source, (Sample(newest + 10.0, 0, {"running": 1.0}),)))
    monitor.judge()
    both = [monitor.alerts(server, server.run) for server in monitor.store.servers.values()]
    assert [one.beginnings for one in both] == [2, 2]
    monitor.searched(PathSearch(90_100.0, 2, (), ()))
    assert [one.beginnings for one in both] == [1, 2]
    unbounded = Monitor(Settings())
    unbounded.apply(Block("a.log", (Sample(0.0, 0, {"running": 1.0}),)))
    unbounded.judge()
    unbounded.searched(PathSearch(1e9, 1, (), ()))


def test_what_is_old_is_thinned_in_earlier_runs_too() -> None:
    store = Store(Keep(600.0, 1_000, (Tier(60.0, 50), Tier(600.0, 50))))
    runs = ((0, 0, 100), (1, 100, 400))  # 1,000 s, then 3,000 s
    for run, first, last in runs:
        for n in range(first, last):
            store.apply(Block(LOG, (Sample(10.0 * n, 0, {"running": float(n)}, run=run),)))
    first_run, second = (run.series[0] for run in store.servers[LOG].runs)
    assert len(first_run) == first_run.thinned == 17  # minutes begun in 1,000 s
    assert figures_of(first_run, "running").high == 99
    assert first_run.cadence == 10.0
    assert second.thinned


def test_buckets_of_many_earlier_runs_are_bounded() -> None:
    keep = Keep(600.0, 10_000, (Tier(60.0, 100), Tier(600.0, 100)))
    store = Store(keep)
    for n in range(9_000):
        run = n // 300  # 3,000 s each: 50 minutes
        store.apply(Block(LOG, (Sample(10.0 * n, 0, {"running": float(n)}, run=run),)))
    server = store.servers[LOG]
    kept = points(server)
    assert len(kept) == 30
    assert sum(kept[:-2]) <= 28 * 64
    assert [figures_of(run.series[0], "running").number for run in server.runs] == [300] * 30
    assert figures_of(server.runs[0].series[0], "running").high == 299
