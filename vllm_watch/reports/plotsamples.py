"""Samples for a chart: all samples of a short log; means with extremes for a long one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vllm_watch.core.dataclass import dataclass
from vllm_watch.reports.frames import Frame, Numbers
from vllm_watch.reports.plot import Curve

MOST_POINTS = 600
"""Up to so many samples are drawn one by one; a chart has fewer pixels than that."""
CELLS = 400
"""A longer log is drawn in so many steps of time."""


@dataclass(frozen=True, slots=True)
class PlotSamples:
    """The rows of samples to draw; a row without data is empty."""

    means: Frame
    lows: Frame | None = None
    """The lowest value of each step, None if every row is a sample."""
    highs: Frame | None = None

    @property
    def times(self) -> list[float]:
        """Epoch seconds of the rows."""
        return list(map(float, self.means.times))

    def curve(self, name: str, label: str, ink: str, scale: float = 1.0) -> Curve:
        """Return a column as a curve, its values multiplied."""
        low, high = (
            () if frame is None else listed(frame[name] * scale)
            for frame in (self.lows, self.highs)
        )
        return Curve(label, ink, listed(self.means[name] * scale), low, high)


def plot_samples(frame: Frame, silence: float) -> PlotSamples:
    """Return the rows of samples to draw; those further apart than `silence` are not connected."""
    if len(frame) <= MOST_POINTS:
        after = np.flatnonzero(np.diff(frame.times) > silence) + 1
        return PlotSamples(_broken(frame, after, frame.times))
    first, last = float(frame.times[0]), float(frame.times[-1])
    cells = ((frame.times - first) / (last - first) * CELLS).astype(int)
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    ends = np.append(starts[1:], len(frame)) - 1
    begins = frame.times[starts]
    after = np.flatnonzero(begins[1:] - frame.times[ends[:-1]] > silence) + 1
    times = (begins + frame.times[ends]) / 2

    def made(how: Callable[[Numbers, NDArray[np.intp]], Numbers]) -> Frame:
        columns = {name: how(column, starts) for name, column in frame.columns.items()}
        return _broken(Frame(times, columns), after, begins)

    return PlotSamples(made(_mean), made(np.fmin.reduceat), made(np.fmax.reduceat))


def _mean(values: Numbers, starts: NDArray[np.intp]) -> Numbers:
    """Return the mean of each step over its known values, NaN if there are none."""
    known = np.isfinite(values)
    counts = np.add.reduceat(known.astype(np.float64), starts)
    sums = np.add.reduceat(np.where(known, values, 0.0), starts)
    return np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan)


def _broken(frame: Frame, after: NDArray[np.intp], begins: Numbers) -> Frame:
    """Return rows with an empty row at each gap, so that no line is drawn across it."""
    columns = {name: np.insert(each, after, np.nan) for name, each in frame.columns.items()}
    return Frame(np.insert(frame.times, after, begins[after] - 0.5), columns)


def listed(values: Numbers) -> list[float | None]:
    """Return numbers with None for missing ones."""
    return [None if np.isnan(value) else value for value in values.tolist()]
