from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.logs import FIXTURES, at, log_of, read
from vllm_watch.core.evidence import evidence_at
from vllm_watch.core.news import Block, CompanionBlock
from vllm_watch.core.records import Event, Record, Requests, Sample
from vllm_watch.core.run import Run
from vllm_watch.core.states import StateRules, judge
from vllm_watch.core.store import Server, Store

LOG = "vllm_Tiny_port1_realtime.log"


def stats(time: float, running: float = 1.0, waiting: float = 0.0, engine: int = 0) -> Sample:
    return Sample(time, engine, {"running": running, "waiting": waiting})


def event(kind: str, time: float | None, text: str = "", *, twin: bool = False) -> Event:
    return Event(kind, time, text or kind, twin=twin)


BANNER = event("version", 0.0)
UP = event("server_up", 60.0)
STOP = event("stop", 200.0, "[shutdown] API server: shutdown triggered")
DEATH = event("dead", 200.0, "engine core exited unexpectedly")
TRACEBACK = event("traceback", None, "OSError: [Errno 98] Address already in use", twin=True)


@dataclass
class Case:
    says: str
    records: list[Record]
    now: float
    state: str
    since: float | None = None
    twin: list[Event] = field(default_factory=list)
    live: bool = False
    saved: bool = False


def every_ten(
    until: float, running: float = 1.0, engine: int = 0, start: float = 70.0
) -> list[Record]:
    return [stats(t, running, engine=engine) for t in _steps(start, until)]


def _steps(start: float, until: float) -> list[float]:
    return [start + 10 * n for n in range(int((until - start) // 10) + 1)]


CASES = [
    # dead
    Case("a death line", [BANNER, UP, *every_ten(190), DEATH], 300, "dead", 200),
    Case("not yet dead", [BANNER, UP, *every_ten(190), DEATH], 199, "busy", 70),
    Case("a kill by the batch system", [UP, *every_ten(190), event("killed", 195.0)], 300, "dead", 195),
    Case("bad flags", [], 300, "dead", twin=[event("usage", None, twin=True)]),
    Case("a stats line does not revive", [BANNER, UP, DEATH, stats(210)], 220, "dead", 200),
    Case("a stop after death is its echo", [BANNER, UP, DEATH, event("stop", 205.0)], 300, "dead", 200),
    Case(
        "`Shutting down` of the twin does not excuse a death",
        [BANNER, UP, *every_ten(190), DEATH], 300, "dead", 200,
        twin=[event("shutting_down", None, twin=True), event("process_finished", None, twin=True)],
    ),
    # stopped
    Case("a stop", [BANNER, UP, *every_ten(190), STOP], 300, "stopped", 200),
    Case("death after a stop is its echo", [BANNER, UP, STOP, event("dead", 201.0)], 300, "stopped", 200),
    Case("death in the same second, behind the stop", [BANNER, UP, STOP, DEATH], 300, "stopped", 200),
    Case("stats lines after a stop change nothing", [BANNER, UP, STOP, stats(203)], 900, "stopped", 200),
    Case("a stop during the start-up", [BANNER, event("stop", 30.0)], 40, "stopped", 30),
    Case("a stop in a saved log", [BANNER, UP, *every_ten(190), STOP], 9999, "stopped", 200, saved=True),
    Case("`Shutting down` in one file", [UP, *every_ten(190), event("shutting_down", None)], 300, "stopped", 190),
    Case(
        "`Shutting down` only in the twin",
        [BANNER, UP, *every_ten(190)], 9999, "stopped", 190,
        twin=[event("shutting_down", None, twin=True)], saved=True,
    ),
    # starting
    Case("an empty log", [], 10, "starting"),
    Case("the banner", [BANNER], 10, "starting", 0),
    Case("a start-up of hours", [BANNER], 9999, "starting", 0),
    Case("an error line alone", [BANNER, event("error", 5.0)], 9999, "starting", 0),
    # a traceback
    Case("a traceback is no death for 30 s", [BANNER], 30.0, "starting", 0, twin=[TRACEBACK]),
    Case("a traceback is one after 30 s", [BANNER], 30.1, "dead", 0, twin=[TRACEBACK]),
    Case("a saved traceback is one at once", [BANNER], 400, "dead", 0, twin=[TRACEBACK], saved=True),
    Case("a traceback after ready is none", [BANNER, UP], 900, "ready", 60, twin=[TRACEBACK]),
    Case(
        "a later stamped line takes it back",
        [BANNER, event("traceback", None), event("phase", 12.0)], 900, "starting", 0,
    ),
    Case(
        "a traceback in one file after the newest stamp",
        [BANNER, event("phase", 12.0), event("traceback", None)], 42.1, "dead", 12,
    ),
    # no-stats
    Case("stats disabled", [BANNER, UP, event("no_stats", 61.0)], 9999, "no-stats", 60),
    Case("stats disabled, not yet ready", [BANNER, event("no_stats", 30.0)], 40, "starting", 0),
    # ended
    Case("silence for 5 min at work", [BANNER, UP, *every_ten(190)], 490.1, "ended", 190),
    Case("not before 5 min", [BANNER, UP, *every_ten(190)], 490.0, "stalled", 190),
    Case("other lines are not nothing", [BANNER, UP, *every_ten(190), event("error", 480.0)], 500, "stalled", 190),
    Case("a saved log at work", [BANNER, UP, *every_ten(190)], 9999, "ended", 190, saved=True),
    Case("a saved log during the start-up", [BANNER], 9999, "ended", 0, saved=True),
    Case("a start-up that nobody has written to for a day", [BANNER], 86_400.1, "ended", 0, live=True, saved=True),
    Case("not before a day", [BANNER], 86_399.0, "starting", 0, live=True, saved=True),
    # stalled: max(3 cadences, 30 s)
    Case("one line at work, 30 s", [UP, stats(100)], 130, "busy", 100),
    Case("one line at work, more", [UP, stats(100)], 130.1, "stalled", 100),
    Case("waiting is work", [UP, stats(100, 0, 3)], 130.1, "stalled", 100),
    Case("a cadence of 2 s has 30 s all the same", [UP, stats(96), stats(98), stats(100)], 130, "busy", 96),
    Case("a cadence of 20 s has 60 s", [UP, stats(60), stats(80), stats(100)], 160, "busy", 60),
    Case("and no more", [UP, stats(60), stats(80), stats(100)], 160.1, "stalled", 100),
    Case(
        "later lines do not make the cadence",
        [UP, stats(60), stats(70), stats(80), *[stats(500 + 100 * n) for n in range(9)]],
        115, "stalled", 80,
    ),
    Case(
        "one engine of two",
        [UP, *every_ten(190, engine=1), *every_ten(120)], 190, "stalled", 120,
    ),
    Case(
        "an idle engine beside one at work",
        [UP, *every_ten(190, engine=1), stats(120, 0)], 190, "busy", 70,
    ),
    Case("requests and polls do not count", [UP, stats(100), Requests(100.0, {"200": 9}, 9)], 140, "stalled", 100),
    # ready
    Case("ready", [BANNER, UP], 9999, "ready", 60),
    Case("a saved log that was ready", [BANNER, UP], 9999, "ready", 60, saved=True),
    Case("ready by the twin alone", [BANNER], 30, "ready", 0, twin=[event("ready", None, twin=True)]),
    Case("ready by a request", [BANNER, Requests(0.0, {}, 1)], 30, "ready", 0),
    # idle
    Case("idle", [UP, stats(100), stats(110, 0)], 111, "idle", 110),
    Case("idle for an hour", [UP, stats(100), stats(110, 0)], 3711, "idle", 110),
    Case("a saved log that was idle", [UP, stats(100), stats(110, 0)], 9999, "idle", 110, saved=True),
    Case("idle since the first idle line", [UP, stats(100), stats(110, 0), stats(120, 0)], 200, "idle", 110),
    Case("an unknown number is no work", [UP, Sample(100.0, 0, {"generation_tps": 1.0})], 999, "idle", 100),
    # busy
    Case("busy", [UP, *every_ten(190)], 195, "busy", 70),
    Case("busy again since", [UP, stats(100), stats(110, 0), stats(130), stats(140)], 141, "busy", 130),
    Case("a stats line alone proves readiness", [stats(100)], 101, "busy", 100),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_the_first_state_whose_evidence_fits(case: Case) -> None:
    store = Store()
    server = store.apply(Block(LOG, tuple(case.records)))
    if case.twin:
        store.apply(CompanionBlock(LOG, tuple(case.twin)))
    state = judge(server.run, case.now, live=case.live, saved=case.saved)
    assert (state.name, state.since) == (case.state, case.since)


def test_a_traceback_of_the_twin_read_at_opening_is_taken_back_by_the_growing_log() -> None:
    store = Store()
    server = store.apply(Block(LOG, (BANNER,)))
    store.apply(CompanionBlock(LOG, (TRACEBACK,)))
    assert judge(server.run, 31.0, live=True, saved=False).name == "dead"
    store.apply(Block(LOG, (event("phase", 32.0),), arrived=32.0, newest_stamp=32.0))
    assert judge(server.run, 33.0, live=True, saved=False).name == "starting"
    assert judge(server.run, 500.0, live=True, saved=False).name == "starting"


def test_a_traceback_that_arrives_live_is_taken_back_by_a_later_line() -> None:
    store = Store()
    server = store.apply(Block(LOG, (BANNER,)))
    store.apply(CompanionBlock(LOG, (TRACEBACK,), arrived=10.0))
    assert judge(server.run, 40.0, live=True, saved=False).name == "starting"
    state = judge(server.run, 40.1, live=True, saved=False)
    assert (state.name, state.since) == ("dead", 10.0)
    assert "Address already in use" in state.why
    store.apply(Block(LOG, (event("phase", 41.0),), arrived=41.0, newest_stamp=41.0))
    assert judge(server.run, 90.0, live=True, saved=False).name == "starting"


def test_live_silence_is_measured_from_the_arrival() -> None:
    server = Store().apply(Block(LOG, (stats(100.0),), arrived=140.0, newest_stamp=100.0))
    assert judge(server.run, 170.0, live=True, saved=False).name == "busy"
    assert judge(server.run, 170.1, live=True, saved=False).name == "stalled"
    assert judge(server.run, 131.0, live=False, saved=False).name == "stalled"


def test_a_silent_engine_whose_server_still_answers_polls_is_stalled_and_not_ended() -> None:
    store = Store()
    server = store.apply(Block(LOG, (stats(100.0),), arrived=100.0, newest_stamp=100.0, size=1))
    for tick in range(1, 60):
        poll = (Requests(100.0, {}, 1),)
        store.apply(Block(LOG, poll, arrived=100.0 + 10 * tick, size=1))
    assert judge(server.run, 695.0, live=True, saved=False).name == "stalled"
    state = judge(server.run, 990.0, live=True, saved=False)
    assert (state.name, state.since) == ("stalled", 100.0)
    state = judge(server.run, 990.1, live=True, saved=False)
    assert (state.name, state.since) == ("ended", 690.0)


def test_what_a_twin_writes_is_something_written() -> None:
    store = Store()
    server = store.apply(Block(LOG, (stats(100.0),), arrived=100.0, newest_stamp=100.0, size=1))
    store.apply(CompanionBlock(LOG, arrived=390.0, size=1))
    assert judge(server.run, 690.0, live=True, saved=False).name == "stalled"
    assert judge(server.run, 690.1, live=True, saved=False).name == "ended"


def test_the_limits_are_settings() -> None:
    server = Store().apply(Block(LOG, (stats(100.0),)))
    rules = StateRules(stalled_cadences=5.0, stalled_floor=10.0, ended_after=60.0)
    assert judge(server.run, 150.0, live=False, saved=False, rules=rules).name == "busy"
    assert judge(server.run, 150.1, live=False, saved=False, rules=rules).name == "stalled"
    assert judge(server.run, 160.1, live=False, saved=False, rules=rules).name == "ended"


def test_only_the_current_run_is_evidence() -> None:
    records = (UP, stats(100.0), DEATH, Event("version", 300.0, "v", run=1))
    server = Store().apply(Block(LOG, records))
    assert judge(server.run, 310.0, live=False, saved=False).name == "starting"
    assert judge(server.run_at(250.0), 250.0, live=False, saved=False).name == "dead"


# --- real captures: what their own lines say, read by eye -------------------------------------


def capture(*names: str, only: str = "") -> Server:
    store = Store()
    for batch in read(*(log_of(name) for name in names)).read_once():
        if not only or isinstance(batch, CompanionBlock) == (only == "twin"):
            store.apply(batch)
    return next(iter(store.servers.values()))


def state_of(server: Server, clock: str, *, saved: bool = False) -> tuple[str, float | None]:
    state = judge(server.run_at(at(clock)), at(clock), live=False, saved=saved)
    return state.name, state.since


@pytest.mark.parametrize(
    ("clock", "state", "since"),
    [
        ("08:49:13", "starting", "08:49:13"),
        ("08:49:50", "starting", "08:49:13"),
        ("08:49:51", "ready", "08:49:51"),
        ("08:50:00", "ready", "08:49:51"),
        ("08:50:01", "busy", "08:50:01"),
        ("08:51:42", "busy", "08:50:01"),
        ("08:51:43", "dead", "08:51:43"),
        ("12:00:00", "dead", "08:51:43"),
    ],
)
def test_the_life_of_the_killed_server(clock: str, state: str, since: str) -> None:
    assert state_of(capture("h100_saturated_then_killed"), clock) == (state, at(since))


@pytest.mark.parametrize(
    ("clock", "state"),
    [("08:53:59", "starting"), ("08:54:00", "ready"), ("08:54:10", "busy"), ("08:55:59", "busy"),
     ("08:56:00", "idle"), ("08:56:10", "idle"), ("08:56:29", "idle"), ("08:56:30", "busy"),
     ("08:57:50", "busy")],
)  # fmt: skip
def test_the_optimised_server_has_a_pause(clock: str, state: str) -> None:
    assert state_of(capture("h100_optimised"), clock)[0] == state


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("cpu_clean_stop", "stopped"),
        ("cpu_one_file", "stopped"),
        ("cpu_spec_decode_colour", "stopped"),
        ("cpu_two_engines", "stopped"),
        ("h100_baseline_eager", "stopped"),
        ("h100_long_context", "stopped"),
        ("h100_optimised", "stopped"),
        ("cpu_startup_failure", "dead"),
        ("cpu_port_in_use", "dead"),
        ("h100_saturated_then_killed", "dead"),
    ],
)
@pytest.mark.parametrize("saved", [False, True])
def test_how_each_capture_ends(name: str, end: str, saved: bool) -> None:
    server = capture(name)
    assert server.newest_stamp is not None
    state = judge(server.run, server.newest_stamp + 3600, live=False, saved=saved)
    assert state.name == end


def test_the_server_whose_worker_was_killed_died_of_that() -> None:
    (log,) = (FIXTURES.parent / "recordings" / "h100x2_tp_worker_killed").glob("*.log")
    store = Store()
    for batch in read(log).read_once():
        store.apply(batch)
    (server,) = store.servers.values()
    assert server.newest_stamp is not None
    state = judge(server.run, server.newest_stamp + 3600, live=True, saved=True)
    assert (state.name, state.cause) == ("dead", "worker died")
    assert state.why.startswith("Worker proc VllmWorker-1 died unexpectedly")
    assert state.since == datetime(2026, 11, 25, 22, 46, 44, tzinfo=UTC).timestamp()


def test_a_clean_stop_is_not_a_death_despite_its_words() -> None:
    assert state_of(capture("cpu_clean_stop"), "09:21:41")[0] == "busy"
    assert state_of(capture("cpu_clean_stop"), "09:21:42") == ("stopped", at("09:21:42"))


def test_a_warning_that_mentions_an_error_kills_nobody() -> None:
    alone = capture("cpu_port_in_use", only="log")
    assert state_of(alone, "12:33:43") == ("starting", at("12:33:43"))
    assert state_of(alone, "12:40:00") == ("starting", at("12:33:43"))
    whole = judge(capture("cpu_port_in_use").run, at("12:40:00"), live=False, saved=True)
    assert (whole.name, whole.why) == ("dead", "OSError: [Errno 98] Address already in use")


def test_the_failed_start_up_died_of_its_first_error() -> None:
    state = judge(capture("cpu_startup_failure").run, at("12:30:00"), live=False, saved=False)
    assert state.name == "dead"
    assert state.since is not None
    assert at("12:26:41") < state.since <= at("12:26:59")


def test_the_phases_of_a_start_up() -> None:
    run = capture("h100_saturated_then_killed").run
    assert evidence_at(run, at("08:49:13"), saved=False).phase == ""
    assert evidence_at(run, at("08:49:46"), saved=False).phase == "loading weights"


_ROUNDS = st.lists(
    st.tuples(st.integers(0, 400), st.booleans(), st.lists(st.integers(0, 400), max_size=3)),
    min_size=1,
    max_size=40,
)


@given(_ROUNDS)
def test_since_when_it_works_does_not_depend_on_what_was_asked_before(
    rounds: list[tuple[int, bool, list[int]]],
) -> None:
    run, known = Run(0), dict[int, bool]()
    for time, busy, moments in rounds:
        if time not in known:  # in any order: clocks may go back
            known[time] = busy
            run.add_sample(stats(float(time), float(busy)), None)
        for moment in moments:
            before = sorted(at for at in known if at <= moment)
            if not before:
                continue
            since = before[-1]
            for earlier in reversed(before):
                if known[earlier] != known[before[-1]]:
                    break
                since = earlier
            state = judge(run, float(moment), live=False, saved=False, rules=PATIENT)
            assert (state.name, state.since) == ("busy" if known[before[-1]] else "idle", since)


PATIENT = StateRules(1e6, 1e6, 1e6)


def test_work_of_days_began_when_it_began() -> None:
    run = Run(0)
    for index in range(9_000):  # a day and an hour
        run.add_sample(stats(index * 10.0, 1.0), None)
    assert judge(run, 90_000.0, live=False, saved=False).since == 0.0
