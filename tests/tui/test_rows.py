from __future__ import annotations

import pytest

from tests.logs import at
from tests.tui.screens import monitor_from, monitor_of, server_of, view_at
from vllm_watch.core.news import Block, LogFound
from vllm_watch.core.records import Event, Sample
from vllm_watch.tui.rows import Row, Values, engine_rows, make_row
from vllm_watch.tui.screenview import ORDERS, Choices


def row_at(capture: str, clock: str) -> Row:
    monitor = monitor_of(capture)
    server = server_of(monitor)
    time = at(clock)
    return make_row(monitor, server, time, live=False, saved=False)


def test_a_row_shows_the_newest_line_at_the_moment() -> None:
    row = row_at("h100_saturated_then_killed", "08:50:55")
    assert (row.name, row.model, row.port, row.short) == (
        "Random-Qwen3-1.7B:8003", "Random-Qwen3-1.7B", ":8003", ":8003",
    )  # fmt: skip
    assert row.values == Values(2005.8, 0.0, 49, 351, 1.0, 0.101)
    assert row.values.per_request == pytest.approx(2005.8 / 49)
    assert (row.age, row.late, row.engines) == (4.0, False, 1)


@pytest.mark.parametrize(
    ("clock", "shape", "word"),
    [
        ("08:49:20", "◐", "starting"),
        ("08:49:55", "○", "ready"),
        ("08:50:10", "●", "busy"),
        ("08:51:10", "✖", "KV full"),
        ("08:51:50", "✖", "dead"),
    ],
)
def test_state_by_shape_and_word(clock: str, shape: str, word: str) -> None:
    row = row_at("h100_saturated_then_killed", clock)
    assert (row.shape, row.word) == (shape, word)


def test_a_dead_server_has_no_numbers() -> None:
    row = row_at("h100_saturated_then_killed", "08:52:00")
    assert row.values == Values()
    assert row.values.per_request is None
    assert row.progress is None


def test_a_pause_is_idle_and_its_age_grows() -> None:
    row = row_at("h100_optimised", "08:56:25")
    assert (row.state.name, row.shape, row.age, row.late) == ("idle", "○", 15.0, False)
    assert row.values.per_request is None


def test_a_start_up_says_how_far_it_is() -> None:
    early, late = row_at("h100_optimised", "08:52:31"), row_at("h100_optimised", "08:53:59")
    assert early.progress is not None
    assert late.progress is not None
    assert early.progress < late.progress < 1


def test_two_engines_are_added_up_and_shown_apart() -> None:
    monitor = monitor_of("cpu_two_engines")
    server = server_of(monitor)
    time = at("09:24:25")
    row = make_row(monitor, server, time, live=False, saved=False)
    assert row.engines == 2
    assert row.values.running == 7
    assert row.values.generation_tps == pytest.approx(84.2 + 87.6)
    assert row.values.kv_cache_usage == pytest.approx(0.0015)
    engines = engine_rows(row, server, time)
    assert [(one.engine, one.name, one.values.running) for one in engines] == [
        (0, "engine 000", 2), (1, "engine 001", 5),
    ]  # fmt: skip
    assert [one.values.generation_tps for one in engines] == [84.2, 87.6]


def test_a_server_before_its_first_line() -> None:
    monitor = monitor_from([LogFound("empty.log")])
    server = monitor.store.servers["empty.log"]
    row = make_row(monitor, server, 100.0, live=True, saved=False)
    assert (row.state.name, row.age, row.port, row.short) == ("starting", None, "", "empty")
    assert engine_rows(row, server, 100.0) == []


def test_a_live_row_is_as_old_as_its_arrival() -> None:
    sample = Sample(100.0, 0, {"running": 1.0})
    batch = Block(
        "a.log", (Event("server_up", 90.0, "up"), sample), arrived=150.0, newest_stamp=100.0
    )
    monitor = monitor_from([batch])
    row = make_row(monitor, monitor.store.servers["a.log"], 155.0, live=True, saved=False)
    assert (row.age, row.state.name) == (5.0, "busy")


@pytest.mark.parametrize(
    ("order", "ports"),
    [
        ("found", [":8003", ":8001"]),
        ("worst", [":8003", ":8001"]),
        ("rate", [":8001", ":8003"]),
        ("kv", [":8001", ":8003"]),
        ("name", [":8001", ":8003"]),
    ],
)
def test_servers_stand_in_the_order_that_was_asked_for(order: str, ports: list[str]) -> None:
    """At 08:55:20 :8003 is dead and :8001 busy."""
    monitor = monitor_of("h100_saturated_then_killed", "h100_optimised")
    view = view_at(monitor, "08:55:20", Choices(order=order))
    assert [row.port for row in view.rows] == ports
    assert set(ORDERS) == {"found", "worst", "rate", "waiting", "kv", "name"}
