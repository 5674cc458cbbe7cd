"""Findings from recordings beside a log: each fires where it must, and not in near misses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from vllm_watch.config import Settings
from vllm_watch.config.commandsections import SloSettings
from vllm_watch.config.registry import known_settings
from vllm_watch.core.news import Block, CompanionBlock
from vllm_watch.core.recorded import EngineRow, GpuRow, Latency, Recorded
from vllm_watch.core.records import Event, Sample
from vllm_watch.health.finding import Finding
from vllm_watch.health.monitor import Monitor

T0 = datetime(2026, 11, 23, 9, 0, tzinfo=UTC).timestamp()
GIB = 2.0**30


def judged(
    samples: Sequence[Sample],
    rows: Sequence[Recorded],
    settings: Settings | None = None,
    events: Sequence[Event] = (),
) -> dict[str, Finding]:
    """Return every finding that fired, by id."""
    monitor = Monitor(settings or Settings())
    opening = Event("version", T0 - 100, "version 0.32.0", {"version": "0.32.0"})
    server = monitor.apply(Block("x.log", (opening, *events, *samples)))
    monitor.apply(CompanionBlock("x.log", tuple(rows)))
    monitor.judge()
    found = monitor.findings(server, server.run, now=T0 + 10_000, live=False, saved=False)
    return {finding.id: finding for finding in found}


def lines(count: int, *, waiting: float = 0.0, rate: float = 1000.0) -> list[Sample]:
    values = {"running": 8.0, "waiting": waiting, "generation_tps": rate, "kv_cache_usage": 0.5}
    return [Sample(T0 + 10 * n, 0, values) for n in range(count)]


def gpu_rows(count: int, change: Callable[[GpuRow], GpuRow]) -> list[Recorded]:
    row = GpuRow(T0, 1, "H100", None, 0.95, 70 * GIB, 80 * GIB, 400.0, 60.0, 1.98e9)
    return [replace(change(row), time=T0 + 10 * n + 1) for n in range(count)]


def test_a_gpu_that_idles_while_requests_wait() -> None:
    idle = gpu_rows(6, lambda row: replace(row, utilization=0.2, power_w=90.0))
    found = judged(lines(6, waiting=12.0), idle)["gpu-idle-while-waiting"]
    assert found.title == "GPU 1 idles while 12 wait"
    assert found.detail.startswith("20 % utilised, 90 W: ")
    assert found.severity == "warning"


@pytest.mark.parametrize(
    ("waiting", "change"),
    [
        (0.0, lambda row: replace(row, utilization=0.2)),  # nothing waits
        (12.0, lambda row: row),  # it works
        (12.0, lambda row: replace(row, utilization=0.2, memory_used=1 * GIB)),  # another's
        (12.0, lambda row: replace(row, utilization=None)),  # not asked for
    ],
)
def test_near_misses_of_an_idle_gpu(waiting: float, change: Callable[[GpuRow], GpuRow]) -> None:
    assert "gpu-idle-while-waiting" not in judged(lines(6, waiting=waiting), gpu_rows(6, change))


@pytest.mark.parametrize(
    ("finding", "change", "title"),
    [
        (
            "gpu-throttled",
            lambda row: replace(row, throttle=("hw_thermal_slowdown",)),
            "GPU 1 is throttled",
        ),
        ("gpu-hot", lambda row: replace(row, temperature_c=86.0), "GPU 1 is hot: 86 °C"),
        (
            "gpu-memory-full",
            lambda row: replace(row, memory_used=79.5 * GIB),
            "Memory of GPU 1 nearly full: 99 %",
        ),
    ],
)
def test_a_gpu_at_its_edge(finding: str, change: Callable[[GpuRow], GpuRow], title: str) -> None:
    assert judged(lines(6), gpu_rows(6, change))[finding].title == title
    assert finding not in judged(lines(6), gpu_rows(2, change))  # two rows are not enough


def test_a_full_gpu_gets_a_number_where_the_log_shows_the_present_one() -> None:
    full = gpu_rows(6, lambda row: replace(row, memory_used=79.5 * GIB))
    args = Event("args", T0 - 90, "…", {"args": {"gpu_memory_utilization": 0.95}})
    found = judged(lines(6), full, events=[args])["gpu-memory-full"]
    assert found.flags == ("--gpu-memory-utilization 0.93",)
    assert judged(lines(6), full)["gpu-memory-full"].flags == ()


def test_a_remedy_that_names_a_flag_has_it_in_its_flags() -> None:
    off = Event("no_stats", T0 - 90, "disabling stats logging to avoid incomplete stats.")
    slo = SloSettings(ttft_p95_seconds=0.1, itl_p50_seconds=0.1, queue_p95_seconds=0.1)
    rows = [
        *engine_rows(SLOW),
        *gpu_rows(6, lambda row: replace(row, memory_used=79.9 * GIB, temperature_c=90.0)),
    ]
    found = judged(lines(6), rows, replace(Settings(), slo=slo), events=[off])
    assert len([name for name in found if name.startswith(("slo", "gpu", "stats-from"))]) == 6
    assert found["stats-from-recording"].flags == ("--api-server-count 1",)
    for finding in found.values():
        assert ("--" in finding.remedy) <= bool(finding.flags), finding


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row,
        lambda row: replace(row, throttle=("sw_power_cap",), power_w=700.0),  # full load
        lambda row: replace(row, temperature_c=84.0, memory_used=0.95 * 80 * GIB),
    ],
)
def test_a_gpu_at_work_is_no_finding(change: Callable[[GpuRow], GpuRow]) -> None:
    assert not [name for name in judged(lines(6), gpu_rows(6, change)) if name.startswith("gpu")]


def engine_rows(latency: Latency, count: int = 6) -> list[Recorded]:
    latencies = {"ttft_s": latency, "itl_s": latency, "queue_s": latency}
    return [EngineRow(T0 + 10 * n + 1, 0, 8, 0, latencies=latencies) for n in range(count)]


SLOW = Latency(0.5, 2.5, 4.0, 0.8, 20)


@pytest.mark.parametrize(
    ("slo", "finding", "title"),
    [
        (SloSettings(ttft_p95_seconds=2.0), "slo-ttft", "First tokens are late: p95 2.5 s"),
        (
            SloSettings(ttft_p50_seconds=0.4, ttft_p95_seconds=0.5),
            "slo-ttft",
            "First tokens are late: p95 2.5 s",  # the worse of the two
        ),
        (
            SloSettings(itl_p50_seconds=0.1),
            "slo-itl",
            "Tokens come slowly: p50 500 ms between tokens",
        ),
        (
            SloSettings(queue_p95_seconds=2.0),
            "slo-queue",
            "Requests wait too long: p95 2.5 s in the queue",
        ),
    ],
)
def test_a_target_that_is_missed(slo: SloSettings, finding: str, title: str) -> None:
    found = judged(lines(6), engine_rows(SLOW), replace(Settings(), slo=slo))
    assert found[finding].title == title
    assert {name for name in found if name.startswith("slo")} == {finding}


def test_a_target_that_is_kept_or_not_set() -> None:
    kept = SloSettings(ttft_p95_seconds=2.5, itl_p95_seconds=3.0, queue_p50_seconds=0.5)
    for settings in (Settings(), replace(Settings(), slo=kept)):
        found = judged(lines(6), engine_rows(SLOW), settings)
        assert not [name for name in found if name.startswith("slo")]


def test_a_wide_bucket_misses_no_target() -> None:
    """All waited 1 ms; the histogram's first bucket, up to 0.3 s, would give 285 ms."""
    settings = replace(Settings(), slo=SloSettings(queue_p95_seconds=0.1))
    assert "slo-queue" not in judged(
        lines(6), engine_rows(Latency(0.15, 0.285, 0.297, 0.001, 50)), settings
    )


def counters(count: int, per_second: float) -> list[Recorded]:
    return [
        EngineRow(
            T0 + 10 * n + 3,
            0,
            8,
            0,
            totals={"generated_tokens_total": round(per_second * (10 * n + 3)) + 50_000},
        )
        for n in range(-2, count)
    ]


def test_log_and_counters_that_differ_are_reported() -> None:
    found = judged(lines(80), counters(80, 1050.0))["log-and-counters-differ"]
    assert found.title == "Log and counters differ by 5 %"
    assert found.detail == (
        "over ten minutes the log shows 600,000 tokens, the server's counter 630,000"
    )


@pytest.mark.parametrize("per_second", [1000.0, 1020.0, 985.0])
def test_log_and_counters_that_agree(per_second: float) -> None:
    assert "log-and-counters-differ" not in judged(lines(80), counters(80, per_second))


def test_less_than_ten_minutes_are_not_compared() -> None:
    assert "log-and-counters-differ" not in judged(lines(50), counters(50, 2000.0))


def test_a_restart_within_the_window_is_not_compared() -> None:
    rows = counters(80, 1000.0)
    fallen = [
        replace(row, totals={"generated_tokens_total": 5}) if n == 60 else row
        for n, row in enumerate(rows)
        if isinstance(row, EngineRow)
    ]
    assert "log-and-counters-differ" not in judged(lines(80), fallen)


@pytest.mark.parametrize(("after", "state"), [(5.0, "busy"), (29.0, "busy"), (60.0, "no-stats")])
def test_a_server_without_stats_lines_is_busy_while_its_recording_says_so(
    after: float, state: str
) -> None:
    """A recording that stops says nothing about the server: no stall."""
    monitor = Monitor(Settings())
    off = Event("no_stats", T0 - 90, "disabling stats logging to avoid incomplete stats.")
    up = Event("server_up", T0 - 20, "Starting vLLM server on http://127.0.0.1:8000")
    server = monitor.apply(Block("x.log", (off, up, *lines(6))))
    monitor.judge()
    health = monitor.health(server, T0 + 50 + after, live=True, saved=False)
    assert health.state.name == state


def test_figures_of_a_recording_are_said_to_be_that() -> None:
    off = Event("no_stats", T0 - 90, "disabling stats logging to avoid incomplete stats.")
    found = judged(lines(6), engine_rows(Latency()), events=[off])
    assert found["stats-from-recording"].severity == "note"
    assert "stats-from-recording" not in judged(lines(6), engine_rows(Latency()))


@pytest.mark.parametrize(
    "name", [one.name for one in known_settings().values() if one.section == "slo"]
)
def test_every_target_is_judged(name: str) -> None:
    kind, percentile, _ = name.split("_")
    settings = replace(Settings(), slo=replace(SloSettings(), **{name: 0.001}))
    found = judged(lines(6), engine_rows(SLOW), settings)
    assert {one for one in found if one.startswith("slo")} == {f"slo-{kind}"}
    assert percentile in found[f"slo-{kind}"].title


@pytest.mark.parametrize(
    ("setting", "value", "finding"),
    [
        ("gpu_hot_celsius", 55.0, "gpu-hot"),
        ("gpu_memory_full", 0.85, "gpu-memory-full"),
        ("gpu_in_use", 0.9, "gpu-idle-while-waiting"),
        ("gpu_idle", 0.15, "gpu-idle-while-waiting"),
        ("counter_difference", 0.2, "log-and-counters-differ"),
    ],
)
def test_a_level_decides_about_its_finding(setting: str, value: float, finding: str) -> None:
    rows = [
        *gpu_rows(80, lambda row: replace(row, utilization=0.2)),
        *counters(80, 1050.0),
    ]
    change: dict[str, Any] = {setting: value}
    health = replace(Settings().health, **change)
    usual = judged(lines(80, waiting=12.0), rows)
    changed = judged(lines(80, waiting=12.0), rows, replace(Settings(), health=health))
    assert (finding in usual) != (finding in changed)
