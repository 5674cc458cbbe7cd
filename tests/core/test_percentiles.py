from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_watch.core.percentiles import median, percentile, places


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1))
def test_it_is_the_median_of_pythons_own_module(values: list[float]) -> None:
    assert median(values) == statistics.median(values)


def test_nothing_has_no_median() -> None:
    with pytest.raises(ValueError, match="nothing"):
        median([])


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1),
    st.sampled_from((0.0, 0.05, 0.5, 0.95, 1.0)),
)
def test_a_percentile_is_numpys_and_needs_only_its_places_in_order(
    values: list[float], share: float
) -> None:
    partly = np.partition(values, places(len(values), share)).tolist()
    assert percentile(sorted(values), share) == percentile(partly, share)
    assert percentile(sorted(values), share) == pytest.approx(np.quantile(values, share))
