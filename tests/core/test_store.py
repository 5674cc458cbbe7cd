from __future__ import annotations

from datetime import UTC, timedelta, timezone
from typing import Any

import pytest

from vllm_watch.core.configuration import ServerConfiguration
from vllm_watch.core.keptevents import MOST_ERROR_LINES, MOST_EVENTS
from vllm_watch.core.news import (
    Block,
    CompanionBlock,
    FileTrouble,
    LogFound,
    News,
    PathSearch,
    ZoneFound,
)
from vllm_watch.core.records import Amendment, Event, Record, Requests, Sample
from vllm_watch.core.run import Run
from vllm_watch.core.store import Server, Store

LOG = "logs/vllm_Tiny_port9101_realtime.log"


def sample(time: float, engine: int = 0, run: int = 0, **values: float) -> Sample:
    return Sample(time, engine, values or {"running": 1.0}, run)


def applied(*records: Record, store: Store | None = None, **more: object) -> Server:
    store = store or Store()
    return store.apply(Block(LOG, records, **more))  # type: ignore[arg-type]


def test_news_make_their_server_and_every_change_is_a_revision() -> None:
    store = Store()
    server = store.apply(LogFound(LOG))
    assert (server.name, server.source) == ("Tiny:9101", LOG)
    before = store.revision
    assert store.apply(Block(LOG, (sample(1.0),), lines=3, stats_like=1)) is server
    assert store.revision > before
    assert (server.lines, server.records, server.stats_like) == (3, 1, 1)
    assert list(server.run.series[0].times) == [1.0]


def test_the_name_comes_from_the_log_where_the_file_does_not_say_it() -> None:
    store = Store()
    args: dict[str, object] = {"model": "/models/Tiny", "port": 9101}
    event = Event("args", 1.0, "non-default args", {"args": args})
    first = store.apply(Block("a.log", (event,)))
    second = store.apply(Block("b.log", (event,)))
    assert (first.name, second.name) == ("Tiny:9101", "Tiny:9101 (2)")
    assert first.run.configuration.port == 9101


def test_samples_go_to_their_run_and_figures_are_those_of_the_newest() -> None:
    server = applied(sample(10.0), sample(500.0, run=1), newest_stamp=500.0)
    assert [run.number for run in server.runs] == [0, 1]
    assert server.run.newest_stamp == 500.0
    assert server.newest_stamp == 500.0
    assert server.run_at(499.0).number == 0
    assert server.run_at(500.0).number == 1


def test_a_companion_line_goes_to_the_engine_just_before_or_the_one_it_names() -> None:
    server = applied(
        sample(10.0, 0),
        sample(10.0, 1),
        Amendment({"mfu_gbps": 7.0}),
        Amendment({"mfu_gbps": 3.0}, 0),
    )
    assert server.run.series[1].row(0)["mfu_gbps"] == 7.0
    assert server.run.series[0].row(0)["mfu_gbps"] == 3.0


def test_an_aggregated_line_counts_only_where_no_engine_has_its_own() -> None:
    run = Run(0)
    run.add_sample(sample(1.0, -1), None)
    assert run.engines == [-1]
    run.add_sample(sample(1.0, 1), None)
    run.add_sample(sample(1.0, 0), None)
    assert run.engines == [0, 1]


def test_a_shift_moves_everything_that_carries_a_stamp() -> None:
    store = Store()
    applied(
        Event("version", 5.0, "v"),
        Event("ready", None, "Application startup complete."),
        Requests(8.0, {"200": 1}, 0),
        sample(10.0),
        store=store,
        newest_stamp=10.0,
    )
    zone = timezone(timedelta(hours=1))
    server = store.apply(ZoneFound(LOG, zone, shift=-3600.0))
    run = server.run
    assert (run.first_stamp, run.first_request, run.newest_stamp) == (-3595.0, -3592.0, -3590.0)
    assert list(run.series[0].times) == [-3590.0]
    assert [at for at, _ in run.placed()] == [-3595.0, -3595.0]
    assert server.clock.tz is zone


def test_a_shift_moves_what_arrived_in_the_clock_that_was_taken_for_the_log_s() -> None:
    """A zone an hour ahead, found by arrival at 1010 (our clock), after a first line at 1000."""
    store = Store()
    bar = Event("progress", None, "25%")
    first = (bar, sample(4600.0), Event("traceback", None, "E"))
    server = applied(*first, store=store, arrived=1000.0, newest_stamp=4600.0, size=1)
    store.apply(ZoneFound(LOG, UTC, shift=-3600.0))
    applied(sample(1010.0), store=store, arrived=1010.0, newest_stamp=1010.0, size=1)
    run = server.run
    assert run.last_arrivals == {0: 1010.0}
    assert run.newest_arrival == 1010.0
    assert [kept.arrived for kept in run.events] == [1000.0]
    assert run.progress == (bar, 1000.0)


def test_readiness_without_a_stamp_lies_where_the_address_was_given() -> None:
    run = Run(0)
    run.add_event(Event("version", 1.0, "v"), None)
    run.add_event(Event("server_up", 60.0, "Starting vLLM server on …"), None)
    run.add_sample(sample(200.0), None)
    run.add_event(Event("ready", None, "Application startup complete.", twin=True), None)
    assert [(m.event.kind, at) for at, m in run.placed()][-1] == ("ready", 60.0)


def test_a_live_line_without_a_stamp_lies_where_it_arrived() -> None:
    run = Run(0)
    run.add_sample(sample(200.0), None)
    run.add_event(Event("killed", None, "Killed", twin=True), 207.5)
    assert [at for at, _ in run.placed()] == [207.5]


def test_a_twin_read_at_opening_stays_where_it_was_while_the_log_grows() -> None:
    store = Store()
    applied(sample(200.0), store=store, newest_stamp=200.0)
    twin = CompanionBlock(LOG, (Event("traceback", None, "Traceback", twin=True),))
    server = store.apply(twin)
    applied(sample(900.0), store=store, newest_stamp=900.0)
    assert [at for at, _ in server.run.placed()] == [200.0]


def test_a_twin_of_three_starts_joins_the_three_runs_of_its_log() -> None:
    store = Store()
    applied(sample(1.0, run=0), sample(100.0, run=1), sample(200.0, run=2), store=store)
    events = tuple(
        Event("process_started", None, f"start {run}", run=run, twin=True) for run in range(3)
    )
    server = store.apply(CompanionBlock(LOG, events))
    assert [[m.event.text for m in run.events] for run in server.runs] == [
        ["start 0"], ["start 1"], ["start 2"],
    ]  # fmt: skip


def test_a_twin_never_takes_the_place_of_the_log() -> None:
    store = Store()
    server = store.apply(CompanionBlock(LOG, (sample(5.0),)))
    store.apply(FileTrouble(LOG, "a.err", "a.err: no permission", twin=True))
    assert server.run.series == {}
    assert server.trouble == "a.err: no permission"


def test_a_twin_s_trouble_stays_until_that_twin_is_read_again() -> None:
    store = Store()
    server = store.apply(FileTrouble(LOG, "a.err", "a.err: no permission", twin=True))
    applied(sample(5.0), store=store)
    store.apply(FileTrouble(LOG, "a_pbs.out", "", twin=True))
    assert server.trouble == "a.err: no permission"
    store.apply(FileTrouble(LOG, LOG, "a.log: no permission"))
    assert server.trouble == "a.log: no permission"
    store.apply(FileTrouble(LOG, LOG, ""))
    assert server.trouble == "a.err: no permission"
    store.apply(FileTrouble(LOG, "a.err", "", twin=True))
    assert server.trouble is None


def test_a_log_with_another_clock_is_shown_by_its_arrivals() -> None:
    store = Store()
    server = applied(sample(1000.0), store=store, arrived=1003.0, newest_stamp=1000.0)
    assert server.clock.skew == 0.0
    applied(sample(1010.0), store=store, arrived=8210.0, newest_stamp=1010.0)
    assert server.clock.skew == 7200.0
    assert server.clock.own(8210.0) == 1010.0
    assert store.reach() == (8200.0, 8210.0)


def test_a_saved_log_is_old_and_has_not_grown_since_it_was_opened() -> None:
    store = Store()
    server = applied(sample(1000.0), store=store, newest_stamp=1000.0)
    assert not server.saved(1300.0, 300.0)
    assert server.saved(1300.1, 300.0)
    applied(store=store, arrived=1301.0)
    assert not server.saved(9999.0, 300.0)


def test_a_store_without_stamps_reaches_nowhere() -> None:
    store = Store()
    applied(store=store)
    assert store.reach() == (None, None)
    store.search = PathSearch(1.0, 1, (), ())
    assert store.search is not None


def test_lines_of_a_traceback_join_their_error() -> None:
    server = applied(
        Event("error", 1.0, "ERROR failed"),
        Requests(1.0, {"500": 3}, 0),
        *(Event("error", 1.0, f"line {n}", continues=True) for n in range(MOST_ERROR_LINES + 5)),
    )
    kinds = [kept.event.kind for kept in server.run.events]
    assert kinds == ["error", "http_errors"]
    assert server.run.events[0].lines[:2] == ["line 0", "line 1"]
    assert len(server.run.events[0].lines) == MOST_ERROR_LINES
    assert server.run.events[1].lines == []


def test_of_too_many_events_those_go_first_that_say_nothing_about_the_state() -> None:
    run = Run(0)
    run.add_event(Event("server_up", 0.0, "up"), None)
    for number in range(MOST_EVENTS + 50):
        run.add_event(Event("error", float(number), f"error {number}"), None)
    assert len(run.events) == MOST_EVENTS
    assert run.events[0].event.kind == "server_up"
    assert run.events[1].event.text == "error 51"


def errors(*requests: Requests) -> list[tuple[float | None, str, dict[str, object]]]:
    run = Run(0)
    for one in requests:
        run.add_requests(one)
    events = [kept.event for kept in run.events]
    assert all(event.kind == "http_errors" for event in events)
    return [(event.time, event.text, dict(event.fields)) for event in events]


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ([Requests(5.0, {"200": 9}, 4)], []),
        ([Requests(5.0, {"200": 9, "500": 12}, 0)], [(5.0, "12 requests answered 500", {"500": 12})]),
        ([Requests(5.0, {"404": 1}, 0)], [(5.0, "1 request answered 404", {"404": 1})]),
        (
            [Requests(5.0, {"503": 1, "429": 1200}, 0)],
            [(5.0, "1,200 requests answered 429, 1 answered 503", {"429": 1200, "503": 1})],
        ),
        (
            [Requests(5.0, {"500": 2}, 0), Requests(15.0, {"500": 3, "400": 1}, 0)],
            [(5.0, "1 request answered 400, 5 answered 500", {"400": 1, "500": 5})],
        ),
        (
            [Requests(5.0, {"500": 2}, 0), Requests(15.1, {"500": 3}, 0)],
            [(5.0, "2 requests answered 500", {"500": 2}), (15.1, "3 requests answered 500", {"500": 3})],
        ),
        (
            [Requests(None, {"500": 2}, 0), Requests(None, {"500": 1}, 0), Requests(1.0, {"500": 1}, 0)],
            [(None, "3 requests answered 500", {"500": 3}), (1.0, "1 request answered 500", {"500": 1})],
        ),
    ],
    ids=["none", "one burst", "one request", "two statuses", "merged", "two bursts", "without stamps"],
)  # fmt: skip
def test_requests_answered_with_errors_are_an_event(
    requests: list[Requests], expected: list[tuple[float | None, str, dict[str, object]]]
) -> None:
    assert errors(*requests) == expected


def test_error_bursts_are_forgotten_before_anything_about_the_state() -> None:
    run = Run(0)
    run.add_event(Event("server_up", 0.0, "up"), None)
    for number in range(MOST_EVENTS + 10):
        run.add_requests(Requests(number * 20.0, {"500": 1}, 0))
    assert len(run.events) == MOST_EVENTS
    assert run.events[0].event.kind == "server_up"
    assert run.served == {"500": MOST_EVENTS + 10}


def test_requests_prove_that_the_server_is_up() -> None:
    run = Run(0)
    run.add_requests(Requests(7.0, {}, 2))
    run.add_requests(Requests(9.0, {"200": 1}, 0))
    assert (run.first_request, run.polls, run.served) == (7.0, 2, {"200": 1})


def test_requests_without_any_stamp_prove_it_from_their_arrival() -> None:
    server = applied(Requests(None, {"200": 1}, 0), arrived=50.0)
    assert server.run.first_request == 50.0
    assert applied(Requests(None, {"200": 1}, 0)).run.first_request is None


def test_what_a_log_says_of_its_configuration_can_be_shown() -> None:
    run = Run(0)
    args: dict[str, object] = {"dtype": "\x1b[31mhalf\u202e", "port": 1}
    run.add_event(Event("args", 1.0, "non-default args", {"args": args}), None)
    assert run.configuration == ServerConfiguration(dtype="�[31mhalf�", port=1)


def test_a_trouble_says_since_when_until_it_is_over() -> None:
    store = Store()
    server = store.apply(FileTrouble("a.log", "a.log", "a.log: gone", 5.0))
    assert (server.trouble, server.trouble_since) == ("a.log: gone", 5.0)
    store.apply(FileTrouble("a.log", "a.log", ""))
    assert (server.trouble, server.trouble_since) == (None, None)


def of_log(source: str, time: float, **more: Any) -> News:
    return Block(source, (sample(time),), newest_stamp=time, **more)


def test_how_far_logs_reach_is_the_same_kept_as_worked_out_anew() -> None:
    """Three servers: one with a wrong clock, one whose zone is corrected later, one normal."""
    store = Store()
    batches = [
        of_log("a.log", 1000.0),
        of_log("b.log", 500.0, arrived=90_500.0),
        of_log("c.log", 3000.0),
        of_log("b.log", 510.0, arrived=90_520.0),
        ZoneFound("c.log", UTC, shift=-3600.0),
        of_log("c.log", 3010.0 - 3600.0),
        of_log("a.log", 1010.0),
        of_log("b.log", 520.0, arrived=525.0),
    ]
    spans = []
    for batch in batches:
        store.apply(batch)
        first, last = store.reach()
        known = [
            (s.clock.ours(s.runs[0].first_stamp), s.clock.ours(s.newest_stamp))
            for s in store.servers.values()
            if s.runs[0].first_stamp is not None and s.newest_stamp is not None
        ]
        assert (first, last) == (min(f for f, _ in known), max(n for _, n in known))
        spans.append((first, last))
    assert spans[-1] == (-600.0, 1010.0)
