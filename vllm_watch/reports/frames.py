"""Samples as tables: one of each engine, and one of a whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from vllm_watch.core.metrics import ALL_ENGINES, METRICS
from vllm_watch.core.run import Run
from vllm_watch.core.series import Series

SAME_INTERVAL = 0.5
"""Stats lines of different engines no further apart than this share of the cadence are one
interval: each engine logs once in it."""


def engine_frame(series: Series) -> pd.DataFrame:
    """Return a row per sample: `time` (epoch seconds) and every metric of the catalogue.

    What a line lacks is NaN; ratios are 0…1.
    """
    columns = {"time": series.times.tolist()}
    for metric in METRICS:
        if metric.name in series.columns:
            columns[metric.name] = series.columns[metric.name].tolist()
    return pd.DataFrame(columns, columns=["time", *(m.name for m in METRICS)], dtype="float64")


def run_frame(run: Run) -> pd.DataFrame:
    """Return a row per interval of a whole run, as `engine_frame`: its engines taken together.

    Rates and counts are added up and ratios averaged over the engines that wrote in the interval;
    an engine that is silent adds nothing: it has nothing to do, or has died.
    """
    engines = run.engines
    if len(engines) < 2:
        series = run.series[engines[0]] if engines else Series()
        return engine_frame(series)
    every = pd.concat(engine_frame(run.series[engine]).assign(engine=engine) for engine in engines)
    every = every.sort_values(["time", "engine"], kind="stable").reset_index(drop=True)
    every["interval"] = list(_intervals(every, SAME_INTERVAL * run.cadence))
    groups = every.groupby("interval", sort=True)
    together = pd.DataFrame({"time": groups["time"].min()})
    for metric in METRICS:
        column = groups[metric.name]
        if metric.total == "sum":
            together[metric.name] = column.sum(min_count=1)
        else:
            together[metric.name] = column.max() if metric.total == "highest" else column.mean()
    return together.reset_index(drop=True)


def _intervals(every: pd.DataFrame, widest: float) -> Iterator[int]:
    """Yield the number of the interval of each row; an engine is in one only once."""
    number, begin = -1, float("-inf")
    inside: set[int] = set()
    for time, engine in zip(every["time"], every["engine"], strict=True):
        if engine in inside or time - begin > widest:
            number, begin = number + 1, time
            inside = set()
        inside.add(engine)
        yield number


def engine_label(engine: int) -> int | str:
    """Return an engine as records name it: its number, `all` for an aggregated line."""
    return "all" if engine == ALL_ENGINES else engine


def busy(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the samples with requests running."""
    return frame[frame["running"] > 0]
