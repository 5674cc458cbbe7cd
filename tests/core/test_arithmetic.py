"""Long columns, computed by numpy, and short ones have the same numbers."""

from __future__ import annotations

import math
import random
import sys
from array import array
from operator import add, mul, sub

import numpy  # noqa: F401 # its presence decides how columns are computed
import pytest

from vllm_watch.core import arithmetic
from vllm_watch.core.arithmetic import above, added_up, each, without_gaps


def numbers(seed: int) -> array[float]:
    chance = random.Random(seed)
    column = array("d", [chance.uniform(-1e6, 1e6) for _ in range(arithmetic.LONG)])
    column[1], column[2], column[3] = math.nan, math.inf, 1.7e308
    return column


def test_long_columns_are_computed_as_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, plain = numbers(1), numbers(2), without_gaps(numbers(3))
    found = [each(operation, one, other) for operation in (add, mul, sub)]
    found += [without_gaps(one), added_up(plain)]
    where = above(one, 5e5)
    monkeypatch.setitem(sys.modules, "numpy", None)
    expected = [each(operation, one, other) for operation in (add, mul, sub)]
    expected += [without_gaps(one), added_up(plain)]
    assert [column.tobytes() for column in found] == [column.tobytes() for column in expected]
    assert where == above(one, 5e5) == [at for at, value in enumerate(one) if value > 5e5]
    assert math.isnan(found[0][1])
    assert found[3][1] == 0.0
    assert found[4][0] == plain[0]
