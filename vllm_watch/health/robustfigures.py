"""Robust statistics of a few minutes of samples: median, MAD, and swings.

Medians and median absolute deviations tolerate up to half odd samples (Huber, Robust Statistics,
1981; Hampel, 1974), so a single wild value neither raises nor hides anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from operator import mul, sub

from vllm_watch.core.percentiles import median

NORMAL = 1.4826
"""MAD × this estimates the standard deviation of normal noise: 1 ÷ Φ⁻¹(3/4), a textbook value."""
FEWEST = 6
"""Fewest values to call a series erratic: one minute of lines."""
TURNING = 1 / 3
"""From this share of turning points on, a series goes up and down instead of in one direction.

Pure noise turns at 2/3 of its points, a trend at none (turning point test: Bienaymé, 1874).
"""
CERTAIN = 2.0
"""Standard deviations of chance beyond which a rise counts: a textbook bound of 95 %."""


def spread(values: Sequence[float]) -> float:
    """Return the median absolute deviation, scaled to the standard deviation of normal noise.

    Raises:
        ValueError: there are no values.
    """
    middle = median(values)
    return NORMAL * median(abs(value - middle) for value in values)


def slope(values: Sequence[float]) -> float:
    """Return the rise per value: the median over all pairs (Theil 1950, Sen 1968).

    Raises:
        ValueError: there are fewer than two values.
    """
    apart = range(1, len(values))
    return median([(y - x) / n for n in apart for x, y in zip(values, values[n:], strict=False)])


def rise(values: Sequence[float]) -> float:
    """Return the share (0…) by which values rose from the first to the last, 0 if by chance.

    The slope is that of Theil and Sen, from the line through the medians. It counts only if the
    rising pairs outnumber the falling ones by more than two standard deviations of chance
    (Kendall's S, 1938: n (n − 1) (2 n + 5) ÷ 18). With fewer than `FEWEST` values, the ends are
    compared.
    """
    if len(values) < FEWEST:
        return max(0.0, values[-1] / values[0] - 1) if len(values) > 1 and values[0] > 0 else 0.0
    count, steep = len(values), slope(values)
    middle = median(values)
    first = middle - steep * (count - 1) / 2
    pairs = combinations(values, 2)
    rising = sum((later > sooner) - (later < sooner) for sooner, later in pairs)
    chance = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    if steep <= 0 or rising < CERTAIN * chance:
        return 0.0
    return steep * (count - 1) / first if first > 0 else math.inf


def swing(values: Sequence[float]) -> float:
    """Return how far values swing from one to the next, as a share (0…) of their median.

    NORMAL × the median of |difference of neighbours − slope| ÷ √2 ÷ the median (von Neumann's mean
    square successive difference, 1941, with a median in place of the square; the slope is Theil's
    and Sen's): a trend, however steep, cancels out. 0 with fewer than `FEWEST` finite values, for a
    median of 0, and if fewer than a third of the values are turning points: a series in one
    direction does not swing.
    """
    known = list(filter(math.isfinite, values))
    if len(known) < FEWEST:
        return 0.0
    steps = list(map(sub, known[1:], known))
    turns = sum([product < 0 for product in map(mul, steps, steps[1:])])
    if turns < TURNING * (len(known) - 2) or (middle := median(known)) <= 0:
        return 0.0
    trend = slope(known)
    return NORMAL * median([abs(step - trend) for step in steps]) / math.sqrt(2) / middle
