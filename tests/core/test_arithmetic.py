"""Long columns, computed by numpy, and short ones have the same numbers."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from array import array
from operator import add, mul, sub

import numpy  # noqa: F401 # its presence decides how columns are computed
import pytest

from vllm_watch.core import arithmetic
from vllm_watch.core.arithmetic import above, added_up, elementwise, missing_as_zero


def numbers(seed: int) -> array[float]:
    chance = random.Random(seed)
    column = array("d", [chance.uniform(-1e6, 1e6) for _ in range(arithmetic.LONG)])
    column[1], column[2], column[3] = math.nan, math.inf, 1.7e308
    return column


def test_long_columns_are_computed_as_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, plain = numbers(1), numbers(2), missing_as_zero(numbers(3))
    found = [elementwise(operation, one, other) for operation in (add, mul, sub)]
    found += [missing_as_zero(one), added_up(plain)]
    where = above(one, 5e5)
    monkeypatch.setitem(sys.modules, "numpy", None)
    expected = [elementwise(operation, one, other) for operation in (add, mul, sub)]
    expected += [missing_as_zero(one), added_up(plain)]
    assert [column.tobytes() for column in found] == [column.tobytes() for column in expected]
    assert where == above(one, 5e5) == [at for at, value in enumerate(one) if value > 5e5]
    assert math.isnan(found[0][1])
    assert found[3][1] == 0.0
    assert found[4][0] == plain[0]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the number of threads")
@pytest.mark.parametrize(("given", "kept"), [(None, None), ("1", "1")])
def test_numpy_comes_without_threads_and_later_programs_are_not_told(
    given: str | None, kept: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", given)
    code = (
        "import os; from vllm_watch.core.arithmetic import load_numpy; load_numpy(); import numpy;"
        "print(len(os.listdir('/proc/self/task')), os.environ.get('OPENBLAS_NUM_THREADS'))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["1", str(kept)]
