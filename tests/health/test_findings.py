from __future__ import annotations

import pytest

from tests.health.judging import ids
from tests.logs import at
from tests.tui.screens import monitor_of, server_of
from vllm_watch.config import Settings
from vllm_watch.core.news import Block
from vllm_watch.core.records import Event, Sample
from vllm_watch.health.monitor import Health, Monitor
from vllm_watch.health.signalwords import shown_value

LOG = "vllm_Tiny_port1_realtime.log"


def health_at(monitor: Monitor, time: float, *, saved: bool = False) -> Health:
    server = server_of(monitor)
    return monitor.health(server, time, live=False, saved=saved)


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("08:50:41", set()),
        ("08:51:00", set()),
        # 361 wait at 98 %: the cache is the limit, and its consequences are left out.
        ("08:51:01", {"kv-cache-binds"}),
        ("08:51:41", {"kv-cache-binds"}),
    ],
)
def test_the_saturated_server_at_work(clock: str, expected: set[str]) -> None:
    found = health_at(monitor_of("h100_saturated_then_killed"), at(clock)).findings
    notes = {"prefix-hits-low", "eager-mode", "over-capacity-start"}
    assert set(ids(found)) - notes == expected


def test_the_worst_comes_first_with_its_number_and_its_beginning() -> None:
    found = health_at(monitor_of("h100_saturated_then_killed"), at("08:51:05")).findings
    worst = found[0]
    assert (worst.id, worst.severity, worst.since) == (
        "kv-cache-binds", "critical", at("08:50:41"),
    )  # fmt: skip
    assert worst.title == "KV cache full: 98 %, 361 wait"
    # The log says --gpu-memory-utilization 0.15: that is the cause.
    assert worst.flags == ("--gpu-memory-utilization 0.90",)
    assert worst.remedy == "--gpu-memory-utilization 0.15 → 0.90"
    assert worst.detail.startswith("361 waiting for memory, 39 running")
    assert worst.engine is None
    assert [f.severity for f in found] == sorted(
        (f.severity for f in found), key="critical warning note".index
    )


def test_a_dead_server_says_why_and_what_was_wrong_before() -> None:
    found = health_at(monitor_of("h100_saturated_then_killed"), at("08:52:00")).findings
    assert found[0].id == "server-dead"
    assert found[0].since == at("08:51:43")
    assert "engine core exited unexpectedly" in found[0].detail
    assert "[shutdown]" not in found[0].detail
    before = {finding.id: finding.title for finding in found[1:]}
    assert before["kv-cache-binds"] == "before that: KV cache full: 99 %, 363 wait"
    assert all(title.startswith("before that: ") for title in before.values())


def test_a_stopped_server_has_nothing_wrong_with_it() -> None:
    monitor = monitor_of("cpu_clean_stop")
    assert health_at(monitor, at("09:21:42")).findings == ()
    assert health_at(monitor, at("12:00:00"), saved=True).findings == ()


@pytest.mark.parametrize("clock", ["08:56:00", "08:56:10", "08:56:29"])
def test_the_optimised_server_rests_in_good_health(clock: str) -> None:
    health = health_at(monitor_of("h100_optimised"), at(clock))
    assert health.state.name == "idle"
    assert {finding.severity for finding in health.findings} <= {"note"}


@pytest.mark.parametrize("clock", ["09:00:20", "09:03:00", "09:05:58"])
def test_long_contexts_are_at_most_a_note(clock: str) -> None:
    health = health_at(monitor_of("h100_long_context"), at(clock))
    assert {finding.severity for finding in health.findings} <= {"note"}


def test_a_stall_hides_what_it_explains() -> None:
    monitor = Monitor(Settings())
    bad = {"running": 3.0, "waiting": 50.0, "kv_cache_usage": 0.85}
    records = tuple(Sample(10.0 * n, 0, bad) for n in range(4))
    monitor.apply(Block(LOG, records))
    monitor.judge()
    assert "kv-cache-binds" in ids(health_at(monitor, 60.0).findings)
    found = health_at(monitor, 60.5).findings
    assert ids(found) == ["engine-stalled"]
    assert found[0].title == "Stalled, 3 running, 50 waiting"


def test_full_hides_high() -> None:
    monitor = Monitor(Settings())
    full = {"running": 3.0, "waiting": 0.0, "kv_cache_usage": 0.97}
    monitor.apply(Block(LOG, tuple(Sample(10.0 * n, 0, full) for n in range(4))))
    monitor.judge()
    assert ids(health_at(monitor, 31.0).findings) == ["kv-cache-critical"]


def test_a_log_that_just_ends_is_a_finding() -> None:
    monitor = Monitor(Settings())
    monitor.apply(Block(LOG, (Sample(10.0, 0, {"running": 3.0}),)))
    monitor.judge()
    found = health_at(monitor, 9999.0, saved=True).findings
    assert (ids(found), found[0].since) == (["log-ended"], 10.0)


SEVERAL = Event("no_stats", 6.0, "stats disabled")
DISABLED = Event("args", 4.0, "non-default args", {"args": {"disable_log_stats": True}})


@pytest.mark.parametrize(
    ("event", "flag"),
    [(SEVERAL, "--api-server-count 1"), (DISABLED, "--disable-log-stats (drop)")],
)
def test_missing_stats_lines_are_a_note_that_advises_by_their_cause(
    event: Event, flag: str
) -> None:
    monitor = Monitor(Settings())
    monitor.apply(Block(LOG, (event, Event("server_up", 5.0, "up"))))
    monitor.judge()
    (found,) = health_at(monitor, 60.0).findings
    assert (found.id, found.severity, found.flags) == ("stats-disabled", "note", (flag,))
    assert flag.removesuffix(" (drop)") in found.remedy


def test_a_run_of_the_class_llm_never_has_stats_lines_and_that_is_no_finding() -> None:
    monitor = Monitor(Settings())
    leaves = (Event("engine_config", 5.0, "config"), Event("exit", 9.0, "exits"))
    monitor.apply(Block(LOG, (DISABLED, *leaves)))
    monitor.judge()
    assert health_at(monitor, 60.0).findings == ()


def test_the_engine_that_has_it_longest_counts_for_the_others() -> None:
    monitor = Monitor(Settings())
    records = []
    for n in range(6):
        for engine in (0, 1):
            waiting = 20.0 if n >= (2 - engine) else 0.0
            values = {"running": 3.0, "waiting": waiting, "kv_cache_usage": 0.5}
            records.append(Sample(10.0 * n, engine, values))
    monitor.apply(Block(LOG, tuple(records)))
    monitor.judge()
    (found,) = [f for f in health_at(monitor, 55.0).findings if f.id == "queue-long"]
    assert (found.engine, found.since) == (1, 10.0)


def test_words_of_a_log_are_no_template() -> None:
    monitor = Monitor(Settings())
    text = "engine core exited {running} {0.__class__} [red]"
    monitor.apply(Block(LOG, (Event("dead", 5.0, text),)))
    monitor.judge()
    (found,) = health_at(monitor, 60.0).findings
    assert found.detail == text


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("kv_cache_usage", 0.984, "98 %"),
        ("generation_tps", 18734.1, "18,734 tok/s"),
        ("waiting", 1361.0, "1,361"),
    ],
)
def test_values_as_a_person_reads_them(metric: str, value: float, text: str) -> None:
    assert shown_value(metric, value) == text
