"""Mean times by Little's law: worked by hand, against the servers' histograms, and the gate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.truth_table import only_run, page_times
from tests.logs import FIXTURES, log_of, page_beside
from vllm_watch.core.meantimes import TimesGate, mean_times, request_sums, run_times, times_between
from vllm_watch.core.records import Requests, Sample
from vllm_watch.core.run import Run

WHOLE = (-math.inf, math.inf)
LOOSE = TimesGate(answered=1, lines=1)


def run_of(lines: Sequence[tuple[float, int, int, float]], answered: dict[float, int]) -> Run:
    """Make a run from (time, running, waiting, generation) and answers after a stamp."""
    run = Run(0)
    for time, running, waiting, generation in lines:
        values = {"running": running, "waiting": waiting, "generation_tps": generation}
        run.add_sample(Sample(time, 0, values), None)
    for time, number in answered.items():
        run.add_requests(Requests(time, {"200": number}, 0))
    return run


def test_worked_by_hand() -> None:
    # Line 1 holds for one cadence; between lines the number changes linearly.
    run = run_of([(10, 4, 2, 40.0), (20, 8, 0, 80.0), (30, 8, 0, 80.0)], {10: 10, 20: 10})
    times, why = mean_times(request_sums(run), *WHOLE, LOOSE)
    assert times is not None
    assert why == ""
    assert times.queue == pytest.approx((20 + 10) / 20)
    assert times.request == pytest.approx((20 + 10 + 40 + 60 + 80) / 20)
    assert times.per_token == pytest.approx((40 + 60 + 80) / (400 + 800 + 800))
    assert (times.answered, times.lines) == (20, 3)


def test_a_silence_counts_one_cadence() -> None:
    lines = [(10 * i, 2, 0, 20.0) for i in range(1, 9)] + [(500, 4, 0, 40.0)]
    times, _ = mean_times(request_sums(run_of(lines, {10.0: 10})), *WHOLE, LOOSE)
    assert times is not None
    assert times.request == pytest.approx((8 * 20 + 40) / 10)


def test_two_engines_are_added_up() -> None:
    run = run_of([(10 * i, 3, 1, 30.0) for i in range(1, 4)], {10: 20})
    for i in range(1, 4):
        values = {"running": 5, "waiting": 0, "generation_tps": 50.0}
        run.add_sample(Sample(10 * i + 3, 1, values), None)
    times, _ = mean_times(request_sums(run), *WHOLE, LOOSE)
    assert times is not None
    assert times.queue == pytest.approx(30 / 20)
    assert times.request == pytest.approx((90 + 30 + 150) / 20)
    assert times.lines == 6


@pytest.mark.parametrize(
    ("lines", "answered", "why"),
    [
        (9, 500, "only 9 stats lines; 10 are needed"),
        (12, 0, "0 requests answered; 30 are needed"),
        (12, 31, "31 answers began, but 4 requests ran or waited at the end: "
                 "30 finished requests are needed"),
        (12, 34, ""),
    ],
)  # fmt: skip
def test_the_gate(lines: int, answered: int, why: str) -> None:
    run = run_of([(10.0 * i, 4, 0, 40.0) for i in range(lines)], {10.0: answered})
    times, told = run_times(run, TimesGate())
    assert told == why
    assert (times is None) == bool(why)


def test_streams_that_have_only_begun_give_no_number() -> None:
    # The access line of a stream is written at its start: forty are counted, none has ended.
    run = run_of([(10.0 * i, 40, 0, 400.0) for i in range(1, 20)], {10.0: 40})
    assert run_times(run, TimesGate())[0] is None


def test_refused_requests_are_not_answered_ones() -> None:
    run = run_of([(10.0 * i, 1, 0, 10.0) for i in range(1, 20)], {})
    run.add_requests(Requests(15.0, {"400": 300, "500": 300}, 0))
    assert run_times(run, TimesGate())[1] == "0 requests answered; 30 are needed"


def test_a_window_uses_only_its_own_lines() -> None:
    lines = [(10.0 * i, 2, 0, 20.0) for i in range(1, 13)]
    lines += [(10.0 * i, 20, 0, 20.0) for i in range(13, 25)]
    run = run_of(lines, {10.0 * i: 10 for i in range(1, 25)})
    sums = request_sums(run)
    early, _ = mean_times(sums, 0.0, 120.0, LOOSE)
    late, _ = mean_times(sums, 140.0, 240.0, LOOSE)
    assert early is not None
    assert late is not None
    assert early.request == pytest.approx(240 / 110)  # the answers after the last line come later
    assert late.request == pytest.approx(2000 / 110)  # the newest window keeps its last answers


def test_requests_timed_one_by_one_stand_in_a_window_of_their_own() -> None:
    run = run_of([(10.0 * i, 4, 0, 40.0) for i in range(1, 25)], {10.0 * i: 8 for i in range(24)})
    for number in range(40):
        run.answered.add(130.0 + number, 7.0)
    gate = TimesGate(answered=30, lines=10)
    early, _ = times_between(run, request_sums(run), 0.0, 120.0, gate)
    late, _ = times_between(run, request_sums(run), 120.0, 240.0, gate)
    assert early is not None
    assert late is not None
    assert (early.source, late.source) == ("log", "requests")
    assert (late.request, late.answered) == (7.0, 40)
    assert late.per_token == early.per_token == pytest.approx(0.1)  # 4 run, 40 tokens a second
    for number in range(6):
        run.answered.abort(20.0 + number)
    times, why = times_between(run, request_sums(run), 0.0, 120.0, gate)
    assert times is None
    assert why.startswith("6 requests aborted")
    assert times_between(run, request_sums(run), 120.0, 240.0, gate)[0] == late


KNOWN = {
    "cpu_spec_decode_colour": 0.05,
    "cpu_two_engines": 0.05,
    "h100_baseline_eager": 0.05,
    "h100_optimised": 0.05,
}
"""Captures with enough data, and how far their times may be off the histograms."""


@pytest.mark.parametrize("capture", KNOWN)
def test_within_five_per_cent_of_the_histograms(capture: str) -> None:
    page = page_beside(FIXTURES / capture)
    times, _ = run_times(only_run(log_of(capture)), TimesGate())
    queue, request, token = page_times(page)
    assert times is not None
    assert times.queue == pytest.approx(queue, abs=0.05)
    assert times.request == pytest.approx(request, rel=KNOWN[capture])
    assert times.per_token == pytest.approx(token, rel=KNOWN[capture])


@pytest.mark.parametrize("capture", ["cpu_clean_stop", "cpu_one_file", "h100_long_context"])
def test_unknown_where_the_log_holds_too_little(capture: str) -> None:
    times, why = run_times(only_run(log_of(capture)), TimesGate())
    assert times is None
    assert "needed" in why


line = st.tuples(
    st.floats(-1e9, 1e9), st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0, 1e9)
)


@given(st.lists(line, max_size=20), st.dictionaries(st.floats(-1e9, 1e9), st.integers(0, 10**6)))
def test_no_log_can_raise_or_give_a_negative_time(
    lines: list[tuple[float, int, int, float]], answered: dict[float, int]
) -> None:
    times, why = mean_times(request_sums(run_of(lines, answered)), *WHOLE, LOOSE)
    assert (times is None) == bool(why)
    if times is not None:
        assert times.queue is not None
        assert times.queue >= 0
        assert times.request >= times.queue
