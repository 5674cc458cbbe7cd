from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC
from itertools import pairwise

import pytest

from tests.logs import at
from tests.tui.screens import monitor_from, monitor_of, server_of, view_at
from tests.tui.test_widgets import PALETTE
from vllm_watch.config import ServerSettings, Settings, WatchSettings
from vllm_watch.core import folds
from vllm_watch.core.dataclass import replace
from vllm_watch.core.folds import Point
from vllm_watch.core.news import Block
from vllm_watch.core.records import Sample
from vllm_watch.core.series import Series
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor
from vllm_watch.tui import chartdata
from vllm_watch.tui.chartdata import MOST_ROWS, curve, pace_line
from vllm_watch.tui.charts import ChartSpec, draw_panel
from vllm_watch.tui.charts.sampled import Level, levels
from vllm_watch.tui.chartscope import ChartScope
from vllm_watch.tui.chartspecs import chart_spec, marks
from vllm_watch.tui.charttable import CHART_NAMES

DAY = (at("00:00:00"), at("23:59:59"))


def test_a_curve_holds_the_values_of_the_log() -> None:
    drawn = curve(server_of(monitor_of("h100_saturated_then_killed")), None, "waiting", *DAY)
    assert list(drawn.values) == [0, 0, 0, 0, 337, 351, 361, 367, 359, 355, 363]
    assert drawn.times[0] == at("08:50:01")
    assert drawn.gap == 15.0


def test_engines_of_one_round_are_one_point() -> None:
    server = server_of(monitor_of("cpu_two_engines"))
    running = curve(server, None, "running", *DAY)
    assert list(running.values) == [12, 12, 12, 12, 7, 0, 0, 2, 3]
    share = curve(server, None, "kv_cache_usage", *DAY)
    assert share.values[4] == pytest.approx(0.0015)
    assert list(curve(server, 1, "running", *DAY).values) == [5, 5, 6, 6, 5, 0, 0, 1, 2]
    assert list(curve(server, 7, "running", *DAY).values) == []


def test_a_window_shows_its_part_and_the_line_that_leads_into_it() -> None:
    server = server_of(monitor_of("h100_saturated_then_killed"))
    drawn = curve(server, None, "running", at("08:51:00"), at("08:51:20"))
    assert list(drawn.times) == [at("08:50:51"), at("08:51:01"), at("08:51:11")]


def test_a_restart_is_a_gap_however_short() -> None:
    records = tuple(Sample(10.0 * n, 0, {"running": 1.0}, run=n // 2) for n in range(4))
    server = server_of(monitor_from([Block("a.log", records)]))
    drawn = curve(server, None, "running", 0, 100)
    assert list(drawn.values) == [1.0, 1.0, None, 1.0, 1.0]
    assert list(drawn.times) == [0, 10, 15, 20, 30]


def test_alerts_and_death_stand_on_the_axis() -> None:
    monitor = monitor_of("h100_saturated_then_killed")
    found = marks(monitor, server_of(monitor), *DAY)
    assert (at("08:50:41"), "critical") in {(mark.time, mark.role) for mark in found}
    assert (at("08:51:43"), "critical") in {(mark.time, mark.role) for mark in found}
    assert marks(monitor, server_of(monitor), at("08:50:00"), at("08:50:30")) == ()


def specs_of(monitor: Monitor, window: tuple[float, float], **how: bool) -> dict[str, ChartSpec]:
    server = server_of(monitor)
    scope = ChartScope(monitor, server, None, *window, window[1])
    return {name: chart_spec(scope, name, **how) for name in CHART_NAMES}


def test_the_charts_and_their_lines() -> None:
    monitor = monitor_of("h100_saturated_then_killed")
    specs = specs_of(monitor, (at("08:49:00"), at("08:52:00")))
    assert list(specs)[:4] == ["throughput", "kv", "requests", "pace"]
    kinds = {name: specs[name].kind for name in ("throughput", "kv", "requests", "pace", "http")}
    assert list(kinds.values()) == ["mirror", "area", "stack", "area", "mirror"]
    band = specs["kv"].band
    assert band is not None
    assert [band.low, band.high] == pytest.approx([30, 70])
    drawn = [strip.text for strip in draw_panel(specs["kv"], 60, 12, PALETTE, UTC).strips()]
    barred = [row for row, text in enumerate(drawn[1:-1], 1) if text[5] in "▐▝▗"]
    assert barred == [4, 5, 6, 7], "30 to 70 of 100, in nine rows"
    assert [level for level, _ in specs["kv"].heat] == pytest.approx([0, 30, 80, 95])
    assert specs["kv"].heat[2][0] > 80, "the rule says above 80 %, the legend as well"
    assert " ■<30 ■≤80 ■>80 ■≥95 ─" in drawn[0], "all colours are explained"
    wide = draw_panel(specs["kv"], 76, 12, PALETTE, UTC).strips()[0].text
    assert " ■30–70 healthy ■<30 ■>80 ■≥95 ─" in wide, "and the bar"
    drawn = [strip.text for strip in draw_panel(specs["throughput"], 60, 12, PALETTE, UTC).strips()]
    (middle,) = [row for row in range(12) if drawn[row][1:5] == "   0"]
    above, below = "".join(drawn[:middle]), "".join(drawn[middle:])
    assert " peak 2,006 " in above, "of generation, at 08:50:51"
    assert " peak 7,740 " in below, "of prompts, at 08:50:41"
    assert specs["requests"].limits == (), "at most 63 run: 512 is far out of their reach"
    assert [limit.value for limit in specs["prefix"].limits] == [60]
    assert max(value or 0 for value in specs["kv"].lines[0].values) == 100


def test_the_start_up_is_a_zone_of_the_charts() -> None:
    """The log begins at 08:49:13 and says at 08:49:51 that the HTTP server starts."""
    monitor = monitor_of("h100_saturated_then_killed")
    (zone,) = specs_of(monitor, (at("08:49:00"), at("08:52:00")))["throughput"].zones
    assert (zone.begin, zone.end) == (at("08:49:13"), at("08:49:51"))
    assert zone.label.startswith("start-up 38 s|")
    assert specs_of(monitor, (at("08:50:00"), at("08:52:00")))["kv"].zones == ()


def test_the_time_per_token_is_that_of_the_requests_that_ran_meanwhile() -> None:
    """At 08:50:11 of the capture 23 run after 24, at 559.4 tokens per second."""
    server = server_of(monitor_of("h100_saturated_then_killed"))
    line = pace_line(server, None, (at("08:50:00"), at("08:50:12")))
    rate = server.run.series[0]
    first, second = rate.row(0), rate.row(1)
    mean = (first["running"] + second["running"]) / 2
    assert line.values[1] == pytest.approx(mean / second["generation_tps"] * 1000)


def test_a_chart_of_requests_names_the_limit_of_all_engines() -> None:
    monitor = monitor_of("cpu_two_engines")
    server = server_of(monitor)
    server.run.configuration = replace(server.run.configuration, max_num_seqs=None)
    monitor.settings = Settings(servers=(ServerSettings("*:9102", 8),))
    (limit,) = specs_of(monitor, DAY)["requests"].limits
    assert limit.texts()[0] == "max_num_seqs 16: limit of running requests"


def test_a_server_without_stats_says_so() -> None:
    monitor = monitor_of("cpu_port_in_use")
    assert specs_of(monitor, DAY)["throughput"].empty == "no stats line yet"


def test_http_ends_with_what_the_log_ends_with() -> None:
    """After 08:51:43 the log has 497 answers of 500 and not one of 200 any more."""
    monitor = monitor_of("h100_saturated_then_killed")
    window = (at("08:49:00"), at("08:52:40"))
    spec = specs_of(monitor, window, over=True)["http"]
    answered, failed = (dict(zip(each.times, each.values, strict=True)) for each in spec.lines)
    assert answered[at("08:50:11")] == 3.1
    assert answered[at("08:51:21")] == 2.1
    assert list(answered.values())[-1] == 0.0
    assert list(failed.values())[-1] == 49.7
    assert set(list(failed.values())[:-1]) == {0.0}
    title = draw_panel(spec, 80, 11, {}, UTC).strips()[0].text
    assert " HTTP req/s  at 08:51:53  ↑ ok 0.0  ↓ errors 497 in all " in title
    at_it = replace(spec, cursor=at("08:51:53"))
    assert "errors 49.7" in draw_panel(at_it, 80, 11, {}, UTC).strips()[0].text
    lower = [strip.text[1:6] for strip in draw_panel(spec, 80, 11, {}, UTC).strips()[1:-1]]
    assert lower.index("   0 ") == 4, "more errors than answers: they have half of the rows"


def test_the_charts_of_a_dead_server_know_that_it_is() -> None:
    monitor = monitor_of("h100_saturated_then_killed")
    alive, dead = (
        [view_at(monitor, clock).drawings.chart(name) for name in CHART_NAMES]
        for clock in ("08:51:41", "08:52:20")
    )
    assert {spec.over for spec in alive if spec} == {False}
    assert {spec.over for spec in dead if spec} == {True}
    requests = CHART_NAMES.index("requests")
    titles = [
        draw_panel(spec, 70, 10, {}, UTC).strips()[0].text
        for spec in (alive[requests], dead[requests])
        if spec
    ]
    assert titles[0].startswith("╭─ Requests  running 37  + waiting 363 ─")
    assert titles[1].startswith("╭─ Requests  at 08:51:41  running 37  + waiting 363 ─")
    http = dead[CHART_NAMES.index("http")]
    assert http is not None
    assert [each.times[-1] for each in http.lines] == [at("08:51:43")] * 2, "its last stamp"


LONG = 3_000
"""Samples of eight hours."""
ONE_HOUR = Settings(watch=WatchSettings(full_hours=1.0))


def thinned_of(*engines: int) -> Monitor:
    """Return a monitor that keeps an hour in full: 5 run, but 90 in one sample of the first."""
    monitor = Monitor(ONE_HOUR, bounded=True)
    records = tuple(
        Sample(10.0 * n + engine, engine, {"running": 90.0 if n == 400 else 5.0})
        for n in range(LONG)
        for engine in engines
    )
    monitor.apply(Block("a.log", records))
    return monitor


def test_a_peak_of_days_ago_is_seen_from_afar() -> None:
    server = server_of(thinned_of(0))
    drawn = curve(server, 0, "running", 0.0, 10.0 * LONG)
    assert len(drawn.times) < 4 * LONG / 6 + 4 * 360
    assert list(drawn.times) == sorted(drawn.times)
    known = [value for value in drawn.values if value is not None]
    assert (min(known), max(known)) == (5.0, 90.0)
    assert None not in drawn.values
    at_peak = drawn.times[drawn.values.index(90.0)]
    assert abs(at_peak - 4_000.0) < 60.0  # it is known to its minute
    assert max(b - a for a, b in pairwise(drawn.times)) <= drawn.gap
    means = curve(server, 0, "running", 0.0, 10.0 * LONG, extremes=False)
    assert max(value for value in means.values if value is not None) == (5 * 5 + 90) / 6


def test_peaks_of_several_engines_add_up() -> None:
    drawn = curve(server_of(thinned_of(0, 1)), None, "running", 0.0, 10.0 * LONG)
    known = [value for value in drawn.values if value is not None]
    assert (min(known), max(known)) == (10.0, 180.0)


def test_a_silence_among_thinned_samples_stays_a_gap() -> None:
    monitor = Monitor(ONE_HOUR, bounded=True)
    times = [n * 10.0 for n in range(LONG) if not 500 <= n < 520]
    monitor.apply(Block("a.log", tuple(Sample(at, 0, {"running": 5.0}) for at in times)))
    server = server_of(monitor)
    assert server.run.series[0].thinned > 0
    drawn = curve(server, 0, "running", 4_000.0, 6_000.0)
    (gap,) = [at for at, value in zip(drawn.times, drawn.values, strict=True) if value is None]
    assert 5_000.0 <= gap <= 5_200.0


@pytest.mark.parametrize("apart", [0.0, 1.0, 4.5, 7.0])
def test_rounds_are_the_same_whether_engines_are_added_up_at_once_or_line_by_line(
    apart: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = tuple(
        Sample(1_000.0 + 10.0 * n + apart * e / 3, e, {"running": float(n + e)})
        for n in range(30)
        for e in range(4)
    )
    server = server_of(monitor_from([Block("a.log", records)]))
    at_once = curve(server, None, "running", 1_000.0, 1_400.0)
    monkeypatch.setattr(chartdata, "_whole_rounds", lambda *_: None)
    assert curve(server, None, "running", 1_000.0, 1_400.0) == at_once


def history_of(rounds: int, engines: int = 2, *, spike: int = 0) -> Monitor:
    """Return a monitor of a server whose engines wrote so many rounds, one of them a spike."""
    monitor = Monitor(Settings())
    monitor.apply(Block("a.log", rounds_of(range(rounds), engines, spike)))
    return monitor


def rounds_of(rounds: Iterable[int], engines: int, spike: int = 0) -> tuple[Sample, ...]:
    return tuple(
        Sample(
            10.0 * n,
            engine,
            {
                "running": 4.0 + n % 3,
                "waiting": 0.0,
                "generation_tps": 5_000.0 if n == spike and engine == 0 else 100.0 + n % 7,
                "prompt_tps": 50.0,
                "kv_cache_usage": 0.5,
            },
        )
        for n in rounds
        for engine in range(engines)
    )


def test_the_work_of_drawing_all_there_is_does_not_grow_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Counted are the rows that are looked at after one round came, and the points drawn.

    Those of the charts of stats lines; answers have as many stretches as are kept.
    """
    seen = 0

    def values(series: Series, metric: str, start: int, stop: int) -> list[float | None]:
        nonlocal seen
        found = all_values(series, metric, start, stop)
        seen += len(found)
        return found

    def point_at(series: Series, metrics: Sequence[str], index: int) -> Point:
        nonlocal seen
        seen += 1
        return one_point(series, metrics, index)

    all_values, one_point = Series.values, folds.point_at
    names = ("throughput", "kv", "requests", "pace", "prefix", "per_request")
    work = []
    for rounds in (2_048, 16_384):
        monitor = history_of(rounds)
        server = server_of(monitor)

        def points(end: float, monitor: Monitor = monitor, server: Server = server) -> int:
            scope = ChartScope(monitor, server, None, 0.0, end, end)
            specs = [chart_spec(scope, name) for name in names]
            return sum(len(line.times) for spec in specs for line in spec.lines)

        points(10.0 * rounds)
        monitor.apply(Block("a.log", rounds_of([rounds], 2)))
        with monkeypatch.context() as patch:
            patch.setattr(Series, "values", values)
            patch.setattr(folds, "point_at", point_at)
            seen = 0
            drawn = points(10.0 * rounds + 1)
            work.append((drawn, seen))
    (few, little), (many, much) = work
    assert many <= 1.2 * few
    assert many <= 3 * MOST_ROWS * 8, "of eight lines"
    assert little < much < 16_384 / 16, "the newest step is made of rows"


@pytest.mark.parametrize("engine", [None, 0])
def test_a_spike_of_one_sample_is_seen_in_half_a_day(engine: int | None) -> None:
    server = server_of(history_of(4_096, spike=1_000))
    window = (0.0, 40_960.0)
    drawn = curve(server, engine, "generation_tps", *window)
    known = [value for value in drawn.values if value is not None]
    assert len(known) < 4_096
    assert max(known) >= 5_000.0
    assert abs(drawn.times[drawn.values.index(max(known))] - 10_000.0) <= 64.0
    columns = levels(drawn.times, drawn.values, window, 50, drawn.gap, drawn.weights)
    known_columns: list[Level] = [column for column in columns if column]
    assert len(known_columns) == 50
    highest = max(known_columns, key=lambda column: column.high)
    assert known_columns.index(highest) == int(10_000 / 40_960 * 50)
    means = [column.mean for column in known_columns]
    exact = [
        sum(value or 0.0 for value in one.values("generation_tps", 0, 4_096)) / 4_096
        for one in server.run.series.values()
    ]
    mean = sum(exact) if engine is None else exact[engine]
    assert sum(means) / 50 == pytest.approx(mean, rel=0.01)
    slow = pace_line(server, engine, window)
    assert min(value for value in slow.values if value is not None) < 2.0  # the spike's


def test_a_folded_curve_knows_nothing_of_what_comes_later_and_keeps_silences() -> None:
    monitor = Monitor(Settings())
    kept = [n for n in range(4_096) if not 2_000 <= n < 2_100]
    monitor.apply(Block("a.log", rounds_of(kept, 2, 3_001)))
    drawn = curve(server_of(monitor), None, "generation_tps", 0.0, 30_005.0)
    assert drawn.times[-1] == 30_000.0
    assert max(value for value in drawn.values if value is not None) < 5_000.0
    (gap,) = [at for at, value in zip(drawn.times, drawn.values, strict=True) if value is None]
    assert 20_000.0 <= gap <= 21_000.0
