"""Robust statistics: swings, falls, and the effect of one odd value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_watch.config import HealthSettings
from vllm_watch.health.robustfigures import slope, spread, swing

FALLING = [3679.5, 2979.8, 2541.8, 2269.8, 2037.7, 1891.7, 1761.8, 1659.8, 1575.7, 1493.9]
"""h100_long_context from its second line on, as read in the log."""
STEADY = [14637.4, 13067.2, 14295.5, 14485.7, 14284.2, 14043.5, 13878.8]
"""h100_optimised with 100 requests running."""
SWINGING = [1800.0, 700.0, 1650.0, 500.0, 1900.0, 650.0, 1500.0, 900.0]


def test_spread_is_the_scaled_median_deviation() -> None:
    # median 3; deviations 2 1 0 1 97, their median 1
    assert spread([1, 2, 3, 4, 100]) == pytest.approx(1.4826)


def test_swing_by_hand() -> None:
    # The 15 slopes in order: −40 −20 −16.7 −15 −5 −5 0 | 5 | 5 6 6.7 6.7 10 30 50.
    # Steps 30 −20 10 −40 50, less 5: 25 −25 5 −45 45; 1.4826 × 25 ÷ √2 ÷ 115 = 0.22790
    values = [100, 130, 110, 120, 80, 130]
    assert slope(values) == 5
    assert swing(values) == pytest.approx(0.22790, abs=1e-5)


def test_a_regular_beat_swings_as_well() -> None:
    # steps ±20 and no slope: 1.4826 × 20 ÷ √2 ÷ 110
    assert swing([100, 120] * 4 + [100]) == pytest.approx(1.4826 * 20 / 2**0.5 / 100)


def test_only_what_goes_up_and_down_is_erratic() -> None:
    level = HealthSettings().swings_level
    assert swing(SWINGING) >= level
    assert swing(STEADY) < level
    assert swing(FALLING) == 0.0
    assert swing([1000.0, 100.0, 1000.0]) == 0.0  # too few


@given(st.lists(st.floats(1, 1e5), min_size=6, max_size=40).map(lambda v: sorted(v, reverse=True)))
def test_what_only_falls_never_swings(values: list[float]) -> None:
    assert swing(values) == 0.0
