"""The charts of a young server begin at its first line, those of a dead one end at its end."""

from __future__ import annotations

from datetime import UTC
from itertools import pairwise

import pytest

from tests.logs import at
from tests.tui.screens import monitor_from, monitor_of, server_of, view_at
from vllm_watch.core.logclock import LogClock
from vllm_watch.core.news import Block
from vllm_watch.core.records import Sample
from vllm_watch.core.store import Server
from vllm_watch.core.ticks import clock_ticks
from vllm_watch.tui.chartwindow import server_window
from vllm_watch.tui.timeline import FITTED


def server_with(*times: float) -> Server:
    records = tuple(Sample(time, 0, {"running": 1.0}) for time in times)
    monitor = monitor_from([Block("a.log", records)])
    return server_of(monitor)


def test_most_of_the_chart_is_filled_and_its_right_edge_stays() -> None:
    server = server_with(1_000.0, 1_010.0)
    for age in range(20, 880):
        start, end = server_window(server, (1_000.0 + age - 900, 1_000.0 + age), gone=None)
        assert end == 1_000.0 + age
        assert start <= 1_000.0
        filled = age / (end - start)
        assert filled > (0.48 if age < 60 else 0.64)


def test_it_grows_by_few_steps_and_never_shrinks() -> None:
    server = server_with(1_000.0, 1_010.0)
    widths = []
    for age in range(5, 1_200):
        start, end = server_window(server, (1_000.0 + age - 900, 1_000.0 + age), gone=None)
        widths.append(end - start)
    assert widths[0] == 30
    assert widths[-1] == 900
    assert all(a <= b for a, b in pairwise(widths))
    assert set(widths) == {span for span in FITTED if span <= 900}


@pytest.mark.parametrize(
    ("times", "window"),
    [
        ((100.0, 700.0), (600.0, 1_500.0)),
        ((2_000.0,), (600.0, 1_500.0)),
        ((600.0,), (600.0, 1_500.0)),
    ],
)
def test_a_window_with_samples_before_it_or_none_stays(
    times: tuple[float, ...], window: tuple[float, float]
) -> None:
    assert server_window(server_with(*times), window, gone=None) == window


def test_a_log_with_a_clock_of_its_own_is_fitted_in_the_screens_time() -> None:
    server = server_with(1_000.0, 1_010.0)
    server.clock = LogClock(skew=7_200.0)
    start, end = server_window(server, (7_200.0 + 400, 7_200.0 + 1_300), gone=None)
    assert (start, end) == (8_500.0 - 330.0, 8_500.0)


def test_the_charts_of_a_server_that_is_gone_end_at_its_end() -> None:
    """Its samples begin at 08:50:01, and it dies at 08:51:43."""
    monitor = monitor_of("h100_saturated_then_killed")
    for clock in ("08:52:20", "08:59:00"):
        start, end = view_at(monitor, clock).drawings.span
        assert at("08:51:45") < end < at("08:51:50")
        assert at("08:49:50") < start < at("08:50:01")


def test_a_start_up_that_took_long_is_left_out() -> None:
    """The server starts at 08:52:30 and its first stats line comes at 08:54:10."""
    monitor = monitor_of("h100_optimised")
    starting, early, late = (
        view_at(monitor, clock).drawings.span for clock in ("08:53:20", "08:54:40", "08:57:40")
    )
    assert starting[0] < at("08:52:30")
    assert early[0] == at("08:53:40")
    assert late[0] == at("08:53:40"), "100 s of 300 would be empty"


@pytest.mark.parametrize("columns", [24, 30, 35, 55, 75, 120])
def test_a_fitted_axis_has_two_clock_times(columns: int) -> None:
    for span in FITTED:
        for shift in range(0, 3_600, 173):
            start = at("08:50:01") + shift
            assert len(clock_ticks(start, start + span, columns, UTC)) >= 2, (span, shift)
