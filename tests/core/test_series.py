from __future__ import annotations

import math

import numpy as np
import pytest

from vllm_watch.core.series import DEFAULT_CADENCE, Series, median_distance
from vllm_watch.health.servercolumns import window_cadences


def series_of(*samples: tuple[float, float]) -> Series:
    series = Series()
    for time, running in samples:
        series.append(time, {"running": running})
    return series


def test_a_sample_has_exactly_the_values_that_its_line_had() -> None:
    series = Series()
    series.append(10.0, {"running": 3.0, "waiting": 0.0})
    series.append(20.0, {"running": 4.0, "preemptions": 2.0})
    assert series.row(0) == {"running": 3.0, "waiting": 0.0}
    assert series.row(1) == {"running": 4.0, "preemptions": 2.0}
    assert series.value("waiting", 1) is None
    assert series.value("no such metric", 0) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_unknown(value: float) -> None:
    series = Series()
    series.append(1.0, {"generation_tps": value, "running": 1.0})
    assert series.value("generation_tps", 0) is None
    assert series.values("generation_tps", 0, 1) == [None]
    assert series.row(0) == {"running": 1.0}


def test_a_clock_that_goes_back_puts_the_sample_in_its_place() -> None:
    series = series_of((10, 1), (30, 3), (20, 2))
    assert list(series.times) == [10, 20, 30]
    assert series.values("running", 0, 3) == [1, 2, 3]


def test_of_two_samples_of_one_second_the_later_line_is_the_newer() -> None:
    series = series_of((10, 1), (20, 2), (10, 9))
    assert series.values("running", 0, 3) == [1, 9, 2]


def test_a_companion_line_belongs_to_the_line_before_it_even_when_the_clock_went_back() -> None:
    series = series_of((10, 1), (30, 3), (20, 2))
    series.amend({"spec_acceptance_rate": 0.5, "mfu_gbps": math.nan})
    assert series.values("spec_acceptance_rate", 0, 3) == [None, 0.5, None]
    assert series.value("mfu_gbps", 1) is None


def test_a_companion_line_without_a_stats_line_is_nothing() -> None:
    series = Series()
    series.amend({"spec_acceptance_rate": 0.5})
    assert len(series) == 0
    assert series.columns == {}


@pytest.mark.parametrize(
    ("time", "expected"), [(9.9, None), (10.0, 0), (19.9, 0), (20.0, 1), (1e9, 1)]
)
def test_the_newest_sample_at_a_moment(time: float, expected: int | None) -> None:
    assert series_of((10, 1), (20, 2)).index_at(time) == expected


def test_a_span_holds_both_of_its_ends() -> None:
    series = series_of((10, 1), (20, 2), (30, 3))
    assert series.span(10, 20) == (0, 2)
    assert series.span(11, 19) == (1, 1)
    assert series.values("running", 1, 99) == [2, 3]
    assert series.values("waiting", 1, 99) == [None, None]


def test_a_shift_moves_every_sample() -> None:
    series = series_of((10, 1), (20, 2))
    series.shift(-3600)
    assert list(series.times) == [-3590, -3580]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([], DEFAULT_CADENCE),
        ([5.0], DEFAULT_CADENCE),
        ([5.0, 5.0], DEFAULT_CADENCE),
        ([0.0, 2.0, 4.0, 400.0], 2.0),
        ([0.0, 10.0, 20.0, 40.0, 50.0], 10.0),
    ],
)
def test_the_cadence_is_the_median_distance(times: list[float], expected: float) -> None:
    assert median_distance(times) == expected
    assert series_of(*((time, 1.0) for time in times)).cadence == expected


def test_lines_an_hour_apart_are_of_an_idle_server() -> None:
    """vLLM writes no line while it is idle: each line tells of ten seconds, not of an hour."""
    hours = [3_600.0 * hour for hour in range(100)]
    assert median_distance(hours) == DEFAULT_CADENCE
    assert median_distance([0.0, 300.0, 600.0]) == 300.0
    uneven = [time + time % 7 for time in hours]  # not all distances are equal
    for times in (hours, uneven):
        assert set(window_cadences(np.array(times), 64)) == {DEFAULT_CADENCE}


def test_the_cadence_follows_a_server_that_was_restarted_with_another() -> None:
    series = series_of(*((time, 1.0) for time in range(0, 500, 10)))
    assert series.cadence == 10
    for step in range(100):
        series.append(500.0 + 2 * step, {"running": 1.0})
        _ = series.cadence
    assert series.cadence == 2


def test_the_cadence_at_a_moment_knows_nothing_of_what_came_later() -> None:
    series = series_of((0, 1), (10, 1), (20, 1), (22, 1), (24, 1), (26, 1), (28, 1))
    assert series.cadence_at(0) == DEFAULT_CADENCE
    assert series.cadence_at(2) == 10
    assert series.cadence_at(6) == 2
