"""Trends of real captures and of composed runs, the same at every moment."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from statistics import fmean

import pytest

from tests.health.judging import found_in, ids, judged_run
from tests.logs import log_of
from tests.tui.screens import monitor_of
from vllm_watch.config import Settings, TrendSettings
from vllm_watch.core.records import Event, Sample
from vllm_watch.core.run import Run
from vllm_watch.health.enginetrend import EngineTrend
from vllm_watch.health.finding import Finding
from vllm_watch.health.slowdown import (
    MOST_BUSY,
    Minutes,
    SlowDown,
    band_at,
    context_per_request,
    judged,
)
from vllm_watch.health.trends import Trends

TREND = TrendSettings()
SETTINGS = Settings()
CACHE = 100_000
"""KV cache tokens of composed runs."""


def run_of(
    *stretches: tuple[int, float, float, float], noise: float = 0.02, start: float = 1e9
) -> Run:
    """Return a run of stretches: lines, running, tok/s per request, tokens of context."""
    run = Run(0)
    run.add_event(Event("capacity", start - 60, "", {"kv_cache_tokens": CACHE}), None)
    wobble = random.Random(7)
    time = start
    for lines, running, per_request, context in stretches:
        for _ in range(lines):
            values = {
                "generation_tps": running * per_request * wobble.uniform(1 - noise, 1 + noise),
                "prompt_tps": 0.0,
                "running": float(running),
                "waiting": 0.0,
                "kv_cache_usage": running * context / CACHE,
            }
            run.add_sample(Sample(time, 0, values), None)
            time += 10.0
    return run


def trends_of(run: Run, settings: Settings) -> Trends:
    """Judge a run by columns, and sample by sample: the results must agree."""
    columns = judged_run(run, settings, "columns")
    assert found_in(columns) == found_in(judged_run(run, settings, "samples"))
    return Trends(columns)


def trend_findings(run: Run, settings: Settings, time: float) -> tuple[Finding, ...]:
    return trends_of(run, settings).findings(run, time)


def trend_history(run: Run, settings: Settings, end: float) -> tuple[Finding, ...]:
    return trends_of(run, settings).history(run, end)


def slow_down(run: Run, settings: Settings, time: float) -> dict[int, SlowDown]:
    return trends_of(run, settings).slow_down(run, time)


# --- the long-context capture, read by hand ---------------------------------------------------


def lines_of(capture: str) -> Iterator[tuple[float, float, float]]:
    """Yield rate, running and KV usage of the stats lines, with an expression of our own."""
    pattern = re.compile(
        r"generation throughput: ([\d.]+) tok.*Running: (\d+) reqs.*KV cache usage: ([\d.]+)%"
    )
    for found in pattern.finditer(log_of(capture).read_text()):
        yield float(found[1]), float(found[2]), float(found[3]) / 100


def test_the_long_context_run_slows_as_expected() -> None:
    lines = list(lines_of("h100_long_context"))
    assert len(lines) == 36  # twice three minutes of a line every 10 s
    rates = [rate / running for rate, running, _ in lines]
    fall = 1 - fmean(rates[-18:]) / fmean(rates[:18])
    context = lines[-1][2] * 649_792 / lines[-1][1]
    assert (round(fall, 2), round(context / 1000, 1)) == (0.48, 26.4)

    monitor = monitor_of("h100_long_context")
    (server,) = monitor.store.servers.values()
    last = server.run.series[0].times[-1]
    slow = monitor.trends(server, server.run).slow_down(server.run, last)[0]
    assert slow.verdict == "expected"
    assert slow.fall == pytest.approx(fall)
    assert slow.context == pytest.approx(context)
    assert slow.band == (0.4, 0.6)
    (finding,) = monitor.trends(server, server.run).findings(server.run, last)
    assert (finding.id, finding.severity) == ("slows-as-expected", "note")
    assert finding.title == "48 % slower than at the start: expected"
    assert "40–60 % is normal at 26.4K tokens" in finding.detail
    assert finding.formula == (
        "1 − 47.6 ÷ 90.8 = 48 % slower; 81.2 % × 649,792 ÷ 20 = 26.4K tokens of context"
    )
    # A line earlier the six minutes are not over.
    assert monitor.trends(server, server.run).findings(server.run, last - 10) == ()


def test_no_other_capture_has_a_trend() -> None:
    for capture in ("h100_optimised", "h100_baseline_eager", "h100_saturated_then_killed"):
        (server,) = monitor_of(capture).store.servers.values()
        assert trend_history(server.run, SETTINGS, 2e9) == ()


# --- the arithmetic ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "band"),
    [
        (0, (0.0, 0.1)),
        (3_999, (0.0, 0.1)),
        (4_000, (0.1, 0.2)),
        (19_999, (0.2, 0.4)),
        (20_000, (0.4, 0.6)),
        (32_000, (0.6, 0.8)),
        (50_000, None),
    ],
)
def test_bands_are_those_of_the_guide(context: float, band: tuple[float, float] | None) -> None:
    assert band_at(context, TREND) == band


def test_the_worked_example_of_the_guide_is_normal() -> None:
    # 1,600 → 650 tok/s, about 60 % slower, at 32K tokens
    slow = judged(Minutes(1600, 1, 1), Minutes(650, 1, 1), 32_000, TREND)
    assert (slow.verdict, round(slow.fall or 0, 2)) == ("expected", 0.59)


def test_context_is_unknown_without_the_cache_size() -> None:
    assert context_per_request(0.5, None, 4) is None
    assert context_per_request(0.5, 8_000, 0) is None
    assert context_per_request(0.5, 8_000, 4) == 1_000


def test_unknown_says_why() -> None:
    one, other = Minutes(50, 20, 20), Minutes(20, 26, 26)
    assert "20 ran at first, 26 now" in judged(one, other, 9_000, TREND).reason
    slower = Minutes(20, 20, 20)
    assert "not in the log" in judged(one, slower, None, TREND).reason
    assert "beyond 50K" in judged(one, slower, 60_000, TREND).reason
    assert "shared prefixes" in judged(one, slower, 9_000, TREND, shared=True).reason
    assert judged(one, slower, 9_000, TREND).verdict == "faulty"
    assert "fewer than 6" in judged(one, None, 9_000, TREND).reason


# --- composed runs ----------------------------------------------------------------------------


def test_a_steady_hour_has_no_trend() -> None:
    assert trend_history(run_of((360, 20, 50, 3_000), noise=0.1), SETTINGS, 2e9) == ()


def healthy_hour(seed: int) -> Run:
    """Return an hour of 100 slots, refilled at once; requests of 200 to 6,000 tokens."""
    dice = random.Random(seed)
    run = Run(0)
    run.add_event(Event("capacity", 0.0, "", {"kv_cache_tokens": 600_000}), None)
    slots = [(0.0, dice.uniform(200, 6_000)) for _ in range(100)]
    for line in range(360):
        mean = sum(context for context, _ in slots) / 100
        rate = 60 / (1 + mean / 40_000) * dice.uniform(0.93, 1.07)
        grown = [(context + 10 * rate, end) for context, end in slots]
        slots = [one if one[0] < one[1] else (0.0, dice.uniform(200, 6_000)) for one in grown]
        values = {
            "generation_tps": 100 * rate,
            "prompt_tps": 50.0,
            "running": float(dice.randint(94, 100)),
            "waiting": 0.0,
            "kv_cache_usage": sum(context for context, _ in slots) / 600_000,
        }
        run.add_sample(Sample(1e9 + 10 * line, 0, values), None)
    return run


@pytest.mark.parametrize("seed", range(4))
def test_a_healthy_busy_hour_raises_nothing(seed: int) -> None:
    assert trend_history(healthy_hour(seed), SETTINGS, 2e9) == ()


def test_a_fault_waits_for_the_steady_state() -> None:
    run = run_of((30, 20, 50, 3_000), (40, 20, 35, 3_000), noise=0.0)
    (found,) = trend_history(run, SETTINGS, 2e9)
    # The tenth busy minute ends with line 60, the first of three.
    assert found.since == 1e9 + 590
    assert slow_down(run, SETTINGS, 1e9 + 500)[0].verdict == "faulty"


def test_too_slow_for_its_contexts() -> None:
    run = run_of((30, 20, 50, 3_000), (40, 20, 35, 3_000), noise=0.0)
    found = trend_history(run, SETTINGS, 2e9)
    assert ids(found) == ["slows-too-much"]
    # 30 % slower where 10 % is normal; no sudden drop: it kept more than a quarter.
    assert found[0].title == "30 % slower than at the start: too much"
    assert found[0].until is None


def test_other_numbers_running_give_no_verdict() -> None:
    run = run_of((30, 20, 50, 3_000), (40, 40, 30, 3_000))
    assert trend_history(run, SETTINGS, 2e9) == ()
    assert "too different to compare" in slow_down(run, SETTINGS, 2e9)[0].reason


def test_a_sudden_drop_needs_three_lines_and_ends() -> None:
    run = run_of((20, 20, 50, 1_000), (5, 20, 5, 1_000), (10, 20, 50, 1_000))
    found = trend_history(run, SETTINGS, 2e9)
    assert ids(found) == ["sudden-drop"]
    assert found[0].since == 1e9 + 200  # the first low line
    assert found[0].until == 1e9 + 260  # the second good one
    assert trend_findings(run, SETTINGS, 1e9 + 210) == ()
    assert ids(trend_findings(run, SETTINGS, 1e9 + 220)) == ["sudden-drop"]
    assert trend_findings(run, SETTINGS, 1e9 + 260) == ()
    # After it, and at the first good line, it has the rate of the drop, not of the recovery.
    (recovering,) = trend_findings(run, SETTINGS, 1e9 + 250)
    for one in (found[0], recovering):
        assert one.title == "Throughput fell suddenly: 996 → 99 tok/s"


@pytest.mark.parametrize(
    "stretches",
    [
        ((20, 20, 50, 1_000), (2, 20, 5, 1_000), (10, 20, 50, 1_000)),  # two odd lines
        ((20, 20, 50, 1_000), (9, 2, 50, 1_000)),  # the load is gone
        ((20, 20, 50, 1_000), (9, 0, 0, 0)),  # idle
    ],
)
def test_what_is_no_sudden_drop(stretches: tuple[tuple[int, float, float, float], ...]) -> None:
    assert trend_history(run_of(*stretches), SETTINGS, 2e9) == ()


def test_throughput_that_stays_away_after_a_pause() -> None:
    healed = run_of((40, 20, 50, 1_000), (6, 0, 0, 0), (40, 20, 50, 1_000))
    assert trend_history(healed, SETTINGS, 2e9) == ()
    leaking = run_of((40, 20, 50, 1_000), (6, 0, 0, 0), (40, 20, 30, 1_000))
    found = trend_history(leaking, SETTINGS, 2e9)
    assert "no-recovery" in ids(found)
    lost = next(finding for finding in found if finding.id == "no-recovery")
    assert lost.since == 1e9 + 460  # when the load came back
    assert re.fullmatch(r"Throughput did not come back: [56]\d\d of (9|1,0)\d\d tok/s", lost.title)
    # It explains why the run is slower than its contexts would make it.
    assert ids(trend_findings(leaking, SETTINGS, 2e9)) == ["no-recovery"]


def test_longer_contexts_after_a_pause_are_no_leak() -> None:
    run = run_of((40, 20, 50, 1_000), (6, 0, 0, 0), (40, 20, 30, 2_500))
    assert "no-recovery" not in ids(trend_history(run, SETTINGS, 2e9))


def test_nothing_is_reported_without_the_kv_usage() -> None:
    run = Run(0)
    for line in range(90):
        rate = 1000.0 if line < 40 else 500.0
        load = 0.0 if 40 <= line < 46 else 20.0
        values = {"generation_tps": rate if load else 0.0, "running": load}
        run.add_sample(Sample(1e9 + 10 * line, 0, values), None)
    assert trend_history(run, SETTINGS, 2e9) == ()


# --- moments ----------------------------------------------------------------------------------


def test_seeking_equals_having_watched() -> None:
    """The trends at a moment of the whole run are those of a run that ends there."""
    whole = run_of(
        (30, 20, 50, 3_000),
        (40, 20, 38, 3_000),
        (9, 20, 4, 3_000),
        (6, 0, 0, 0),
        (40, 20, 20, 3_000),
    )
    watched = Run(0)
    for line in whole.configuration_lines:
        watched.add_event(line.event, None)
    judgement, machine = judged_run(watched, SETTINGS), trends_of(whole, SETTINGS)
    seen = set()
    for index, time in enumerate(whole.series[0].times):
        watched.add_sample(Sample(time, 0, whole.series[0].row(index)), time)
        judgement.extend()
        live = Trends(judgement).findings(watched, time)
        assert live == machine.findings(whole, time)
        seen |= set(ids(live))
    assert seen == {"sudden-drop", "slows-too-much", "no-recovery"}


def test_a_zone_found_out_later_moves_every_trend() -> None:
    run = run_of((20, 20, 50, 1_000), (5, 20, 5, 1_000), (10, 20, 50, 1_000))
    watched = Run(0)
    judgement = judged_run(watched, SETTINGS)
    for index, time in enumerate(run.series[0].times):
        if index == 21:  # in the middle of the drop
            watched.shift(3600)
            judgement.shift(3600)
        shift = 3600 if index >= 21 else 0
        watched.add_sample(Sample(time + shift, 0, run.series[0].row(index)), None)
        judgement.extend()
    (found,) = Trends(judgement).history(watched, 2e9)
    assert (found.since, found.until) == (1e9 + 3800, 1e9 + 3860)


def test_a_clock_that_does_not_advance_fills_no_memory() -> None:
    trend = EngineTrend(0, Settings())
    for _ in range(MOST_BUSY + 500):
        trend.step(1_000.0, {"running": 3.0, "generation_tps": 300.0}, {})
    assert len(trend.last) == MOST_BUSY
    assert trend.first_samples <= MOST_BUSY
