from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_watch.core.percentiles import median


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1))
def test_it_is_the_median_of_pythons_own_module(values: list[float]) -> None:
    assert median(values) == statistics.median(values)


def test_nothing_has_no_median() -> None:
    with pytest.raises(ValueError, match="nothing"):
        median([])
