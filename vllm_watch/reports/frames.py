"""Samples as tables of numbers: one of each engine, and one of a whole run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import TYPE_CHECKING, TypeAlias
from vllm_watch.core.metrics import METRICS
from vllm_watch.core.run import Run
from vllm_watch.core.series import Series

if TYPE_CHECKING:
    from numpy.typing import NDArray

Numbers: TypeAlias = "NDArray[np.float64]"

SAME_INTERVAL = 0.5
"""Share of the cadence within which stats lines of different engines are one interval.

Each engine logs once in an interval.
"""


@dataclass(frozen=True, slots=True)
class Frame:
    """Samples in time order: all columns have the length of `times`."""

    times: Numbers
    """Epoch seconds."""
    columns: Mapping[str, Numbers]
    """Metric name to values, ratios 0…1; NaN if a line lacks the metric."""

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.times)

    def __getitem__(self, name: str) -> Numbers:
        """Return a column; all NaN if no line has it."""
        column = self.columns.get(name)
        return np.full(len(self), np.nan) if column is None else column

    def where(self, chosen: NDArray[np.bool_]) -> Frame:
        """Return the samples for which `chosen` is true."""
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return Frame(self.times[chosen], columns)

    def beside(self, name: str, column: Numbers) -> Frame:
        """Return the same samples with one column more."""
        return Frame(self.times, {**self.columns, name: column})


def engine_frame(series: Series) -> Frame:
    """Return the samples of one engine."""
    known = [metric.name for metric in METRICS if metric.name in series.columns]
    columns = {name: np.array(series.columns[name], dtype=np.float64) for name in known}
    return Frame(np.array(series.times, dtype=np.float64), columns)


def run_frame(run: Run) -> Frame:
    """Return one sample per interval of a whole run: its engines combined.

    Rates and counts are added up and ratios averaged over the engines that wrote in the interval. A
    silent engine adds nothing: it is idle, or has died.
    """
    engines = run.engines
    if len(engines) < 2:
        return engine_frame(run.series[engines[0]] if engines else Series())
    frames = [engine_frame(run.series[engine]) for engine in engines]
    times = np.concatenate([frame.times for frame in frames])
    number = np.repeat(engines, [len(frame) for frame in frames])
    order = np.lexsort((number, times))
    times, number = times[order], number[order]
    starts = _starts(times, number, SAME_INTERVAL * run.cadence)
    columns = {}
    for metric in METRICS:
        if any(metric.name in frame.columns for frame in frames):
            values = np.concatenate([frame[metric.name] for frame in frames])[order]
            columns[metric.name] = _together(values, starts, metric.total)
    return Frame(times[starts], columns)


def _together(values: Numbers, starts: NDArray[np.int64], total: str) -> Numbers:
    """Return one value per interval, NaN where no engine has one."""
    known = ~np.isnan(values)
    counts = np.add.reduceat(known.astype(np.int64), starts)
    if total == "highest":
        found = np.maximum.reduceat(np.where(known, values, -np.inf), starts)
    else:
        found = np.add.reduceat(np.where(known, values, 0.0), starts)
        if total == "mean":
            found = found / np.maximum(counts, 1)
    return np.where(counts > 0, found, np.nan)


def _starts(times: Numbers, engines: NDArray[np.int64], widest: float) -> NDArray[np.int64]:
    """Return where intervals begin; an engine is in one only once."""
    begin = float("-inf")
    inside: set[int] = set()
    starts = []
    for at, (time, engine) in enumerate(zip(times.tolist(), engines.tolist(), strict=True)):
        if engine in inside or time - begin > widest:
            starts.append(at)
            begin, inside = time, set()
        inside.add(engine)
    return np.array(starts, dtype=np.int64)


def busy(frame: Frame) -> Frame:
    """Return the samples with requests running."""
    return frame.where(frame["running"] > 0)
