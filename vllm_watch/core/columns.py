"""Columns of numbers in time order."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping

from vllm_watch.core.arithmetic import missing_as_zero


class Columns:
    """One array of times, one array per name; a missing value is NaN inside and None outside.

    A non-finite number is never stored as a value.
    """

    __slots__ = ("columns", "revision", "times")

    def __init__(self) -> None:
        self.times: array[float] = array("d")
        """Epoch seconds of each row."""
        self.columns: dict[str, array[float]] = {}
        self.revision = 0
        """Increases with each change that can make earlier results wrong."""

    def __len__(self) -> int:
        return len(self.times)

    def insert(self, index: int, time: float, values: Mapping[str, float | None]) -> None:
        """Put a row in a place."""
        self.times.insert(index, time)
        for name in values:
            if name not in self.columns:
                self.columns[name] = array("d", [math.nan]) * (len(self.times) - 1)
        for name, column in self.columns.items():
            value = values.get(name)
            known = value is not None and math.isfinite(value)
            column.insert(index, value if known else math.nan)  # type: ignore[arg-type]

    def value(self, name: str, index: int) -> float | None:
        """Return one value, None where the row lacks it."""
        column = self.columns.get(name)
        if column is None or not -len(column) <= index < len(column):
            return None
        value = column[index]
        return value if value == value else None  # NaN is equal to nothing

    def values(self, name: str, start: int = 0, stop: int | None = None) -> list[float | None]:
        """Return the values of rows `start` … `stop` − 1, None where one is missing."""
        stop = len(self) if stop is None else stop
        column = self.columns.get(name)
        if column is None:
            return [None] * max(0, min(stop, len(self)) - start)
        return [None if value != value else value for value in column[start:stop]]

    def zero_filled(self, name: str, start: int = 0) -> array[float]:
        """Return the values of the rows from `start` on, 0 where one is missing."""
        column = self.columns.get(name, array("d", [0.0]) * len(self))
        return missing_as_zero(column[start:])

    def row(self, index: int) -> dict[str, float]:
        """Return the values that a row has."""
        if not -len(self.times) <= index < len(self.times):
            return {}
        return {
            name: value
            for name, column in self.columns.items()
            if (value := column[index]) == value  # NaN is equal to nothing
        }

    def index_at(self, time: float) -> int | None:
        """Return the newest row at or before a time, None before the first."""
        times = self.times
        if times and times[-1] <= time:
            return len(times) - 1
        return bisect_right(times, time) - 1 if times and times[0] <= time else None

    def span(self, start: float, end: float) -> tuple[int, int]:
        """Return the slice of rows with `start` ≤ time ≤ `end`."""
        return bisect_left(self.times, start), bisect_right(self.times, end)

    def shift(self, seconds: float) -> None:
        """Shift all times."""
        self.revision += 1
        self.times = shifted(self.times, seconds)


def shifted(times: array[float], seconds: float) -> array[float]:
    """Return times moved later by `seconds`."""
    return array("d", (time + seconds for time in times))
