"""Latency lines are weighted by their stats lines: they do not say how many were measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.logs import at, judged, read
from tests.serverlog import begun, line, ready, stats, write
from vllm_watch.core.recordings import Table, latency_at
from vllm_watch.health.monitor import Monitor
from vllm_watch.reports.recorded import recorded_summary

START = at("09:00:00")


def latencies(time: float, ttft: float, finished: int) -> str:
    """Return a latency line of requests that all took the same time."""
    request = f"request p50 {ttft:.3f} s p95 {ttft:.3f} s, " if finished else ""
    text = (
        f"Engine 000: Latency: TTFT p50 {ttft:.3f} s p95 {ttft:.3f} s p99 {ttft:.3f} s, "
        f"ITL p50 20.0 ms p95 20.0 ms p99 20.0 ms, {request}"
        f"finished: 0 stop, {finished} length, 0 abort, preemptions: 0"
    )
    return line(time, "statlogger.py:88", text)


def burst() -> str:
    """Return the log of thirty requests at once, then one after another."""
    text = begun(START) + ready(START + 10)
    for number in range(6):
        time = START + 20 + 10 * number
        text += stats(time, generation=60.0, running=30)
        text += latencies(time, 0.05 if number else 4.0, 2 if number else 0)
    return text


@pytest.fixture(name="monitor")
def made_monitor(tmp_path: Path) -> Monitor:
    return judged(read(write(tmp_path, burst())).read_once())


def test_requests_that_began_and_tokens_are_counted(monitor: Monitor) -> None:
    (server,) = monitor.store.servers.values()
    table: Table = server.recording.lines[0]
    counts = [latency_at(table, index)["ttft_s"].count for index in range(6)]
    assert counts == [30, 2, 2, 2, 2, 2]
    tokens = [latency_at(table, index)["itl_s"].count for index in range(6)]
    assert tokens == [570, 598, 598, 598, 598, 598]


def test_a_burst_is_not_outweighed_by_intervals_of_single_requests(monitor: Monitor) -> None:
    """30 of 40 first tokens took 4 s, although five of six intervals say 0.05 s."""
    (server,) = monitor.store.servers.values()
    assert recorded_summary(server, server.run).latency["ttft_s"].p50 == 4.0
