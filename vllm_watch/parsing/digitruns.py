"""Reads the numbers of many lines of one shape together, in numpy.

The digits of a text are found by one comparison. If what remains without them is the same in each
line, and each run of digits is where the first line has it, the lines differ in their numbers only.
All numbers are then computed together: the digits of a run, eight bytes at most, are one word.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

from vllm_watch.core.hints import TYPE_CHECKING, Any, NamedTuple
from vllm_watch.parsing.accessforms import Ints, view_of
from vllm_watch.parsing.timestamps import STAMP_LENGTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_RUN = 8
"""Most digits in a row that are read here; vLLM writes no more, except for totals."""
EXACT_DIGITS = 15
"""Most digits of a number: as an integer it is exact, and so is its division by a power of ten."""
_DIGITS = b"0123456789"
_MONTHS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
"""Days of each month, from 1 on; February 29 is left to the calendar."""
_TENS = 10.0 ** np.arange(20)
_PAIRS, _FOURS, _EIGHTS = (
    np.uint64(0x000000FF000000FF),
    np.uint64(100 + (1_000_000 << 32)),
    np.uint64(1 + (10_000 << 32)),
)


class DigitRun(NamedTuple):
    """The values that a run of digits may have in the lines of a shape."""

    least: int
    most: int
    """Number of its digits."""
    value: int | None = None
    """The only number that is allowed, if it is not free."""


class MetricPlace(NamedTuple):
    """Where the value of a metric is."""

    name: str
    whole: int
    """Index of the run of digits before the dot."""
    fraction: int
    """Index of the run after it, −1 if there is none."""
    power: int
    """Its unit is 10 to the power of minus this."""


class Rows(NamedTuple):
    """The content of some lines, as columns."""

    lines: int
    stamps: bytes
    """The stamps of all lines, one after the other."""
    engines: array[int] | None
    """None if the lines name no engine."""
    columns: dict[str, array[float]]
    """Metric to values."""


class Layout:
    """The runs of digits in each line of a shape."""

    def __init__(
        self,
        line: bytes,
        runs: Sequence[DigitRun],
        stamp: int,
        engine: int,
        metrics: Sequence[MetricPlace],
    ) -> None:
        """Describe lines such as `line`.

        Args:
            line: one of them, without its newline.
            runs: its runs of digits, in order.
            stamp: index of the first of the five runs of its stamp.
            engine: index of the run that is its engine, −1 if there is none.
            metrics: its values.
        """
        self._still = line.translate(None, _DIGITS) + b"\n"
        starts, sizes = _runs_of(np.frombuffer(line + b"\n", np.uint8))
        self._offsets = starts - (np.cumsum(sizes) - sizes)
        """How many bytes that are no digits come before each run of a line."""
        self._least = np.array([run.least for run in runs])
        self._most = np.array([min(run.most, LONGEST_RUN) for run in runs])
        fixed = [at for at, run in enumerate(runs) if run.value is not None]
        self._fixed = np.array(fixed, np.int64)
        self._wanted = np.array([runs[at].value for at in fixed], np.int64)
        self._stamp, self._engine = stamp, engine
        self._names = [metric.name for metric in metrics]
        self._whole = np.array([metric.whole for metric in metrics])
        fractions = np.array([metric.fraction for metric in metrics])
        self._has, self._fraction = fractions >= 0, np.maximum(fractions, 0)
        self._power = np.array([metric.power for metric in metrics])

    def read(self, text: bytes) -> Rows | None:
        """Return the content of whole lines; None if one of them may be of another kind."""
        count, size = text.count(b"\n"), len(self._offsets)
        if text.translate(None, _DIGITS) != self._still * count:
            return None
        starts, sizes = _runs_of(np.frombuffer(text, np.uint8))
        if len(starts) != count * size:
            return None
        before = starts - (np.cumsum(sizes) - sizes)
        starts, sizes = starts.reshape(count, size), sizes.reshape(count, size)
        lines = np.arange(0, count * len(self._still), len(self._still))
        if not (before.reshape(count, size) - lines[:, None] == self._offsets).all():
            return None
        if not ((sizes >= self._least) & (sizes <= self._most)).all():
            return None
        numbers = _numbers(text, starts + sizes, sizes)
        if (numbers[:, self._fixed] != self._wanted).any() or not self._days(numbers):
            return None
        columns = self._columns(numbers, sizes)
        if columns is None:
            return None
        stamps = view_of(text)(STAMP_LENGTH)[starts[:, self._stamp]].tobytes()
        engines = None if self._engine < 0 else array("q", numbers[:, self._engine].tobytes())
        return Rows(count, stamps, engines, columns)

    def _days(self, numbers: Ints) -> bool:
        """Return whether each stamp is a time that exists in every year."""
        month, day, hour = (numbers[:, self._stamp + at] for at in range(3))
        known = (month >= 1) & (month <= 12) & (day >= 1) & (hour < 24)
        return bool(known.all() and (day <= _MONTHS[month]).all())

    def _columns(self, numbers: Ints, sizes: Ints) -> dict[str, array[float]] | None:
        """Return the values of the metrics; None if one has more digits than are exact."""
        parts = np.where(self._has, sizes[:, self._fraction], 0)
        if (sizes[:, self._whole] + parts > EXACT_DIGITS).any():
            return None
        fractions = np.where(self._has, numbers[:, self._fraction], 0)
        values = numbers[:, self._whole] * _TENS[parts] + fractions
        found = (values / _TENS[parts + self._power]).T
        return {
            name: array("d", column.tobytes())
            for name, column in zip(self._names, found, strict=True)
        }


def _runs_of(text: NDArray[np.uint8]) -> tuple[Ints, Ints]:
    """Return where each run of digits begins, and its length; the last byte must not be a digit."""
    digit = text - np.uint8(48) < 10
    edges = np.flatnonzero(digit[1:] != digit[:-1]) + 1
    if digit[0]:
        edges = np.concatenate(([0], edges))
    starts = edges[::2]
    return starts, edges[1::2] - starts


def _numbers(text: bytes, stops: Ints, sizes: Ints) -> Ints:
    """Return the numbers written by runs of at most eight digits."""
    words: Any = np.ndarray((len(text) + 1,), "<u8", b"0" * 8 + text, strides=(1,))
    unused = ((LONGEST_RUN - sizes) * 8).astype(np.uint64)
    found = (words[stops] ^ np.uint64(0x3030303030303030)) >> unused << unused
    found = found * np.uint64(10) + (found >> np.uint64(8))
    low, high = found & _PAIRS, (found >> np.uint64(16)) & _PAIRS
    numbers: Ints = ((low * _FOURS + high * _EIGHTS) >> np.uint64(32)).astype(np.int64)
    return numbers
