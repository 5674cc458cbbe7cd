"""Progress of a job: tokens and requests of the captures, counted here from their own lines."""

from __future__ import annotations

import re
from datetime import UTC

import pytest

from tests.logs import log_of
from tests.tui.screens import SETTINGS, monitor_of
from vllm_watch.core.buckets import Keep
from vllm_watch.core.figures import clock
from vllm_watch.core.records import Sample
from vllm_watch.core.run import Run
from vllm_watch.core.tokens import run_tokens
from vllm_watch.health.calculators import inputs_of
from vllm_watch.health.jobs import MOST_METERED, JobWatch, Targets, answered


def run_of(capture: str) -> Run:
    (server,) = monitor_of(capture).store.servers.values()
    return server.run


def rates_of(capture: str) -> list[float]:
    pattern = re.compile(r"generation throughput: ([\d.]+) tok")
    return [float(found[1]) for found in pattern.finditer(log_of(capture).read_text())]


def test_tokens_of_a_job_are_those_of_the_lines() -> None:
    run = run_of("h100_long_context")
    rates = rates_of("h100_long_context")  # a line every 10 s, none missing
    first = run.series[0].times[0]
    target = 1_000_000
    (progress,) = JobWatch(Targets(tokens=target)).progress("", run, first + 200)
    done = 10 * sum(rates[:21]) + rates[0]  # counted from 08:59:57, the first line is 09:00:08
    assert progress.done == pytest.approx(done)
    # 180 s at the rate of the last 18 lines
    assert progress.seconds_left == pytest.approx((target - done) / (sum(rates[3:21]) / 18))
    assert progress.reached is None


def test_a_target_that_was_reached_says_when() -> None:
    run, rates = run_of("h100_long_context"), rates_of("h100_long_context")
    first = run.series[0].times[0]
    target = 10 * sum(rates[:12]) - 1
    (progress,) = JobWatch(Targets(tokens=round(target))).progress("", run, first + 300)
    assert (progress.reached, progress.share) == (first + 110, 1.0)


def test_at_the_end_it_is_the_total_of_the_run() -> None:
    for capture in ("h100_optimised", "cpu_two_engines"):
        run = run_of(capture)
        watch = JobWatch(Targets())
        whole = sum(tokens.generated for tokens in run_tokens(run).values())
        assert watch.generated("", run, 2e9) == pytest.approx(whole)
        assert watch.generated("", run, 2e9) == pytest.approx(whole)  # read twice, added once


def test_what_arrives_later_is_added() -> None:
    whole = run_of("h100_long_context").series[0]
    run, watch = Run(0), JobWatch(Targets())
    time = tokens = 0.0
    for index, time in enumerate(whole.times):
        run.add_sample(Sample(time, 0, whole.row(index)), time)
        tokens = run_tokens(run)[0].generated
        assert watch.generated("", run, time) == pytest.approx(tokens)
    run.shift(3600)
    assert watch.generated("", run, time) == 0
    assert watch.generated("", run, time + 3600) == pytest.approx(tokens)


def test_requests_answered_are_counted_from_the_log() -> None:
    run = run_of("h100_optimised")
    text = log_of("h100_optimised").read_text()
    whole = len(re.findall(r'"POST /v1/\S+ HTTP/1.1" 200', text))
    assert answered(run, 2e9) == whole > 1_000
    # Before the line of a stamp in the middle: the lines above it.
    stamp = re.search(r"11-23 (\S+) .*Running: 0 reqs", text)
    assert stamp is not None
    above = text[: stamp.start()]
    done = len(re.findall(r'"POST /v1/\S+ HTTP/1.1" 200', above))
    middle = run.series[0].times[rates_of("h100_optimised").index(96.0)]
    assert answered(run, middle) == done
    (progress,) = JobWatch(Targets(requests=whole)).progress("", run, middle)
    assert progress.share == pytest.approx(done / whole)
    (progress,) = JobWatch(Targets(requests=done)).progress("", run, 2e9)
    assert progress.reached is not None
    # Requests count from the stamp above them: the last of these were below the line before.
    assert middle - 20 <= progress.reached < middle


def test_nothing_is_left_to_say_before_the_first_line_or_without_a_target() -> None:
    run = run_of("h100_optimised")
    assert JobWatch(Targets(tokens=5)).progress("", run, run.series[0].times[0] - 1) == ()
    assert JobWatch(Targets()).progress("", run, 2e9) == ()


def test_a_server_at_rest_has_no_time_left() -> None:
    run = run_of("h100_long_context")
    (progress,) = JobWatch(Targets(tokens=10**9)).progress("", run, 2e9)
    assert progress.seconds_left is None


def test_calculators_start_from_the_server() -> None:
    run = run_of("h100_long_context")
    last = run.series[0].times[-1]
    known = inputs_of("", run, last, SETTINGS, JobWatch(Targets(tokens=7)))
    assert known["generation_tps"] == 820.0
    assert known["at_once"] == known["running"] == 20
    assert known["kv_cache_usage"] == pytest.approx(0.812)
    assert known["max_concurrency"] == 15.86
    # 54.8 % at 180 s before, 81.2 % now, 20 running at both; a line through all of them
    assert known["kv_growth"] == pytest.approx(0.812 / 0.548 - 1, abs=0.03)
    assert known["per_request_tps"] == 41.0
    assert (known["target_tokens"], known["target_requests"]) == (7.0, None)
    early = inputs_of("", run, run.series[0].times[0] - 5, SETTINGS, JobWatch(Targets()))
    assert early["running"] is None


def test_tokens_stay_exact_while_samples_are_thinned() -> None:
    run, watch = Run(0, Keep(1_800.0)), JobWatch(Targets())
    total = 0.0
    for index in range(1_500):
        run.add_sample(Sample(index * 10.0, 0, {"generation_tps": float(index % 97)}), None)
        total += 10 * (index % 97)
        if index % 100 == 0:
            assert watch.generated("a.log", run, 1e9) == pytest.approx(total)
    assert run.series[0].thinned
    assert watch.generated("a.log", run, 1e9) == pytest.approx(total)
    # An hour is 360 lines, and a bucket reports its tokens at its end.
    hour = sum(10 * (index % 97) for index in range(360))
    assert watch.generated("a.log", run, 3_595.0) == pytest.approx(hour)


def test_an_end_beyond_the_calendar_is_unknown() -> None:
    assert clock(1e15, UTC) == "–"
    assert clock(1e300, UTC) == "–"


def test_sums_of_runs_that_nobody_asks_for_are_forgotten() -> None:
    watch = JobWatch(Targets())
    for number in range(MOST_METERED + 9):
        run = Run(number)
        run.add_sample(Sample(0.0, 0, {"generation_tps": 5.0}), None)
        assert watch.generated("a.log", run, 1.0) == 50
    assert len(watch._meters) == MOST_METERED
