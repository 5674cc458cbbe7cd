"""The table of charts: what each draws, and for which of them a server has data."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.logs import at, read
from tests.tui.screens import monitor_from, monitor_of
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor
from vllm_watch.reports.excerpt import stamp_time
from vllm_watch.tui.chartcommands import toggled, unknown_charts
from vllm_watch.tui.charts import ChartSpec
from vllm_watch.tui.chartscope import ChartScope
from vllm_watch.tui.chartspecs import chart_spec
from vllm_watch.tui.charttable import CHART_NAMES, CHARTS, charts_of
from vllm_watch.tui.palette import SIXTEEN

ROOT = Path(__file__).parents[2] / "fixtures/recordings"
RECORDED = next((ROOT / "h100x2_tp2").glob("*.log"))
STEPS = next((ROOT / "cpu_iterations").glob("*.log.gz"))
ALWAYS = ("throughput", "kv", "requests", "pace")


def only(monitor: Monitor) -> Server:
    (server,) = monitor.store.servers.values()
    return server


def drawn(monitor: Monitor, name: str, window: tuple[float, float]) -> ChartSpec:
    return chart_spec(ChartScope(monitor, only(monitor), None, *window, window[1]), name)


@pytest.fixture(scope="module")
def recorded() -> Monitor:
    return monitor_from(read(RECORDED).read_once())


@pytest.fixture(scope="module")
def steps() -> Monitor:
    return monitor_from(read(STEPS).read_once())


def test_names_and_titles_are_each_one_charts_own() -> None:
    assert len(set(CHART_NAMES)) == len(CHARTS)
    assert len({chart.title for chart in CHARTS}) == len(CHARTS)


@pytest.mark.parametrize("name", CHART_NAMES)
def test_every_chart_is_empty_where_nothing_is_known(name: str) -> None:
    monitor = monitor_of("cpu_port_in_use")
    spec = drawn(monitor, name, (at("00:00:00"), at("23:59:59")))
    assert not any(value for line in spec.lines for value in line.values)


def test_every_colour_of_a_chart_is_one_of_the_palette(recorded: Monitor, steps: Monitor) -> None:
    """An unknown role would be drawn without a colour."""
    failed = monitor_of("h100_saturated_then_killed")
    used: set[str] = set()
    for monitor in (failed, recorded, steps):
        for name in CHART_NAMES:
            spec = drawn(monitor, name, (at("00:00:00"), at("23:59:59")))
            used |= {line.role for line in spec.lines} | {role for _, role in spec.heat}
            used |= {limit.role for limit in spec.limits}
    assert len(used) > 8
    assert used - SIXTEEN.keys() == set()


def test_a_chart_without_data_is_not_shown() -> None:
    """That log has hits of the prefix cache and access lines, and nothing was recorded beside."""
    monitor = monitor_of("h100_saturated_then_killed")
    shown = charts_of(only(monitor), at("08:52:00"), wanted=())
    assert shown == (*ALWAYS, "prefix", "http", "errors", "request_times", "per_request")
    assert charts_of(only(monitor), at("08:49:30"), wanted=()) == ALWAYS, (
        "its first stats line is later"
    )


def test_a_prefix_cache_that_never_hit_anything_has_no_chart() -> None:
    monitor = monitor_of("cpu_spec_decode_colour")
    shown = charts_of(only(monitor), at("23:59:59"), wanted=())
    assert "prefix" not in shown
    assert {"acceptance", "accepted_length"} <= set(shown)


def test_recordings_add_latencies_and_gpus(recorded: Monitor) -> None:
    server = only(recorded)
    end = server.run.newest_stamp or 0.0
    assert {"first_token", "gpu_power", "gpu_use", "gpu_memory"} <= set(
        charts_of(server, end, wanted=())
    )
    power = drawn(recorded, "gpu_power", (end - 600, end))
    assert [line.name for line in power.lines] == ["GPU 0|0", "GPU 1|1"]
    assert power.kind == "lines"
    memory = drawn(recorded, "gpu_memory", (end - 600, end)).lines[0]
    # nvidia-smi's own table: 76,5xx MiB of 81,559.
    assert 70 < max(value or 0 for value in memory.values) < 80


def test_the_time_of_a_step_is_a_second_by_its_steps(steps: Monitor) -> None:
    """Counted in the log itself: the lines of one second, in the middle of work."""
    text = gzip.decompress(STEPS.read_bytes()).decode(errors="replace")
    stamps = Counter(re.findall(r"(\d\d-\d\d \d\d:\d\d:\d\d) .*Iteration\(", text))
    stamp, count = stamps.most_common(1)[0]
    server = only(steps)
    time = stamp_time(stamp.encode(), server.run.newest_stamp or 0.0, server.clock.tz)
    assert time is not None
    line = drawn(steps, "step_time", (time - 30, time + 30)).lines[0]
    values = dict(zip(line.times, line.values, strict=True))
    assert values[time] == pytest.approx(1000 / count)


def steady(seconds: int) -> Iterator[str]:
    """Write a server on which 10 run and 5 wait all the time, and 1 is answered every second."""
    for second in range(0, seconds, 10):
        stamp = f"11-23 09:{second // 60:02d}:{second % 60:02d}"
        yield (
            f"INFO {stamp} [loggers.py:310] Engine 000: Avg prompt throughput: 10.0 tokens/s, Avg "
            "generation throughput: 100.0 tokens/s, Running: 10 reqs, Waiting: 5 reqs, GPU KV "
            "cache usage: 40.0%, Prefix cache hit rate: 0.0%"
        )
        yield from ['INFO:     127.0.0.1:1 - "POST /v1/completions HTTP/1.1" 200 OK'] * 10


def test_times_of_requests_follow_from_who_is_there_and_who_leaves(tmp_path: Path) -> None:
    """Little's law: 10 that run ÷ 1 a second are 10 s, 5 that wait are 5 s."""
    log = tmp_path / "steady.log"
    log.write_text("\n".join(steady(300)) + "\n")
    monitor = monitor_from(read(log).read_once())
    end = only(monitor).run.newest_stamp or 0.0
    spec = drawn(monitor, "request_times", (end - 120, end))
    assert spec.kind == "stack"
    running, queue = ([value for value in line.values if value] for line in spec.lines)
    assert running[-2] == pytest.approx(10, rel=0.2)
    assert queue[-2] == pytest.approx(running[-2] / 2)


def test_without_errors_the_answers_have_the_whole_chart() -> None:
    monitor = monitor_of("h100_saturated_then_killed")
    before = drawn(monitor, "http", (at("08:50:00"), at("08:51:30")))
    assert (before.kind, before.note, len(before.lines)) == ("area", "no errors", 1)
    after = drawn(monitor, "http", (at("08:50:00"), at("08:52:30")))
    assert (after.kind, len(after.lines)) == ("mirror", 2)


def test_what_is_wanted_is_shown_in_that_order() -> None:
    server = only(monitor_of("h100_saturated_then_killed"))
    time = at("08:52:00")
    assert charts_of(server, time, ("http", "gpu_power", "kv")) == ("http", "kv")
    assert charts_of(server, time, ("gpu_power",)) == ("throughput",), "one is always shown"


def test_a_chart_is_hidden_and_shown_again() -> None:
    without = toggled((), "kv")
    assert "kv" not in without
    assert toggled(without, "kv")[-1] == "kv"
    assert toggled(("kv",), "kv") == ("kv",)


def test_an_unknown_name_is_reported_with_those_there_are() -> None:
    assert unknown_charts(("kv", "requests")) == ""
    assert "unknown: kvcache; known: throughput, kv," in unknown_charts(("kvcache",))
