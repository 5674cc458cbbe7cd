"""Arithmetic on columns of numbers: in numpy if they are long and numpy is loaded anyway.

Both ways give the same numbers, to the last digit.
"""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Callable
from itertools import accumulate
from operator import add, mul, sub

from vllm_watch.core.hints import Any

LONG = 1_000
"""From this length on numpy pays."""
_NAMES = {add: "add", mul: "multiply", sub: "subtract"}
_THREADS = "OPENBLAS_NUM_THREADS"
"""The variable by which numpy's linear algebra is told how many threads to start."""


def load_numpy() -> None:
    """Import numpy without threads: they serve only linear algebra, of which nothing is used here.

    Starting and ending them takes a quarter of the import, and a process that has threads cannot be
    copied. Programs that are started later do not see the variable that prevents them.
    """
    if "numpy" in sys.modules or _THREADS in os.environ:
        return
    os.environ[_THREADS] = "1"
    try:
        import numpy  # noqa: F401
    finally:
        del os.environ[_THREADS]


def _numpy(column: array[float]) -> Any:
    """Return numpy for a long column, None otherwise."""
    return sys.modules.get("numpy") if len(column) >= LONG else None


def elementwise(
    operation: Callable[[float, float], float], one: array[float], other: array[float]
) -> array[float]:
    """Return `add`, `mul` or `sub` of each two values of columns of the same length."""
    if (np := _numpy(one)) is None:
        return array("d", map(operation, one, other))
    compute = getattr(np, _NAMES[operation])
    with np.errstate(all="ignore"):
        return array("d", compute(np.frombuffer(one), np.frombuffer(other)).tobytes())


def added_up(column: array[float]) -> array[float]:
    """Return the sum of the values up to each one, added in order."""
    if (np := _numpy(column)) is None:
        return array("d", accumulate(column))
    return array("d", np.cumsum(np.frombuffer(column)).tobytes())


def missing_as_zero(column: array[float]) -> array[float]:
    """Return a column with 0 for missing values."""
    if (np := _numpy(column)) is None:
        return array("d", [0.0 if value != value else value for value in column])
    values = np.frombuffer(column)
    return array("d", np.where(values == values, values, 0.0).tobytes())


def above(column: array[float], limit: float) -> list[int]:
    """Return where the values are above a limit."""
    if (np := _numpy(column)) is None:
        return [at for at, value in enumerate(column) if value > limit]
    found: list[int] = np.flatnonzero(np.frombuffer(column) > limit).tolist()
    return found
