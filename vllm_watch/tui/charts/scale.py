"""The value axis: rows and values, chosen so that every tick is the middle of a row."""

from __future__ import annotations

import math

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.ticks import HUGE, is_round, scaled

MOST_TICKS = 5
"""Most labels above zero, however high the chart is."""
SPARE = 1 / 6
"""Share of the rows that may stay empty above a fixed top to allow more ticks."""

_STEPS = (1.0, 2.0, 2.5, 5.0)
_PAIRS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
_TOPS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
"""Steps used if a scale has room for only one or two ticks above zero."""
_NO_QUARTERS = (1.0, 2.0, 5.0)
_QUARTERS_UP_TO = 4
"""Steps of 1.25 are left out: 12.5k has no label that is both short and exact."""
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Scale:
    """Zero is the middle of the axis' row, and each tick the middle of a row above it."""

    step: float
    """Distance of two ticks, in the chart's unit."""
    step_rows: int
    """The same in rows."""
    top: float
    """The highest value shown; higher values are drawn there."""

    def height(self, value: float) -> float:
        """Return how many rows a value lies above zero, at least 0 and at most the top's."""
        return min(max(0.0, value), self.top) / self.step * self.step_rows

    def ticks(self) -> tuple[tuple[int, float], ...]:
        """Return rows above zero and values of the ticks, zero first, up to the top."""
        count = math.floor(self.top / self.step + 1e-9)
        return tuple((n * self.step_rows, n * self.step) for n in range(count + 1))


def scale_to(top: float, rows: int) -> Scale:
    """Return the scale from zero to `top` with a tick at both ends and as many between as fit.

    A row more or less stays empty above the top, so that all ticks are at equal distances.
    """
    rows = max(1, rows)
    best, used = 1, rows
    for count in range(min(MOST_TICKS, rows // 2), 1, -1):
        taken = rows // count * count
        if is_round(top / count) and rows - taken <= max(SPARE * rows, rows % 2):
            best, used = count, taken
            break
    return Scale(top / best, used // best, top)


def scale_above(peak: float, rows: int) -> Scale:
    """Return the scale that uses the most rows for `peak` with round ticks; 1 if there is none."""
    rows = max(1, rows)
    if not math.isfinite(peak) or peak <= 0:
        peak = 1.0
    peak = min(max(peak, _TINY), HUGE)
    fewest = min(rows, max(2, math.ceil(rows / MOST_TICKS)))
    most = max(fewest, rows // 3 if rows >= 9 else rows // 2 if rows >= 4 else rows)
    best = Scale(math.inf, 1, math.inf)
    for step_rows in range(fewest, most + 1):
        ticks = rows // step_rows
        steps = {1: _TOPS, 2: _PAIRS}.get(ticks, _STEPS)
        steps = steps if ticks <= _QUARTERS_UP_TO else _NO_QUARTERS
        step = _step_from(peak * step_rows / rows, steps)
        if step / step_rows < best.step / best.step_rows * (1 - 1e-9):
            best = Scale(step, step_rows, step / step_rows * rows)
    return best


def _step_from(least: float, steps: tuple[float, ...]) -> float:
    """Return the smallest of the steps, times a power of ten, that is at least `least`."""
    power = math.floor(math.log10(least))
    for mantissa in steps:
        if scaled(mantissa, power) >= least * (1 - 1e-12):
            return scaled(mantissa, power)
    return scaled(1.0, power + 1)
