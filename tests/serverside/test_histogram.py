"""Percentiles of histograms, as Prometheus estimates them."""

from __future__ import annotations

import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_watch.serverside.histogram import Histogram, growth, latency_of, quantile

INF = math.inf


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.5, 0.1 + 0.1 * (50 - 40) / 40),  # 40 of 100 up to 0.1 s, 80 up to 0.2 s
        (0.4, 0.1),
        (0.2, 0.05),  # the first bucket begins at 0
        (0.95, 0.4),  # above the last finite bound: that bound
        (0.9, 0.4),
    ],
)
def test_a_percentile_is_linear_within_its_bucket(share: float, expected: float) -> None:
    buckets = [(0.1, 40.0), (0.2, 80.0), (0.4, 90.0), (INF, 100.0)]
    assert quantile(share, buckets) == pytest.approx(expected)


@pytest.mark.parametrize(
    "buckets", [[], [(INF, 5.0)], [(0.1, 1.0), (0.2, 2.0)], [(0.1, 0.0), (INF, 0.0)]]
)
def test_no_percentile_without_an_infinite_bound_or_without_measurements(
    buckets: list[tuple[float, float]],
) -> None:
    assert quantile(0.5, buckets) is None


@given(
    st.lists(st.floats(0.001, 9.9), min_size=1, max_size=200),
    st.sampled_from([0.5, 0.95, 0.99]),
)
def test_the_estimate_lies_in_the_bucket_of_the_true_percentile(
    measured: list[float], share: float
) -> None:
    bounds = [0.01, 0.1, 0.5, 1.0, 10.0]
    buckets = [(b, float(sum(v <= b for v in measured))) for b in (*bounds, INF)]
    true = sorted(measured)[max(0, math.ceil(share * len(measured)) - 1)]
    upper = bounds[bisect_left(bounds, true)]
    lower = bounds[bounds.index(upper) - 1] if upper != bounds[0] else 0.0
    found = quantile(share, buckets)
    assert found is not None
    assert lower - 1e-6 <= found <= upper + 1e-6


def test_only_the_interval_counts() -> None:
    before = Histogram({0.1: 100.0, 1.0: 100.0, INF: 100.0}, 100.0, 5.0)
    now = Histogram({0.1: 100.0, 1.0: 104.0, INF: 104.0}, 104.0, 7.0)
    found = latency_of(growth(now, before))
    assert (found.count, found.mean) == (4, 0.5)
    assert found.p50 == pytest.approx(0.55)


def test_a_counter_that_fell_began_anew() -> None:
    before = Histogram({0.1: 100.0, 1.0: 100.0, INF: 100.0}, 100.0, 5.0)
    now = Histogram({0.1: 0.0, 1.0: 2.0, INF: 2.0}, 2.0, 1.0)
    assert latency_of(growth(now, before)).count == 2


def test_an_interval_without_requests_has_no_percentiles() -> None:
    same = Histogram({0.1: 3.0, INF: 3.0}, 3.0, 0.1)
    found = latency_of(growth(same, same))
    assert (found.p50, found.mean, found.count) == (None, None, 0)
