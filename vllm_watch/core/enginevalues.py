"""The newest values of a server: the newest samples of its engines combined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vllm_watch.core.hints import Literal
from vllm_watch.core.metrics import METRICS, Metric
from vllm_watch.core.run import Run

Ratios = Literal["mean", "highest"]
"""The ratio of several engines: their mean, or the highest of them."""


def run_values(run: Run, time: float, *, ratios: Ratios = "mean") -> dict[str, float]:
    """Return every metric of a run as of `time`: rates and requests summed over its engines.

    Ratios are 0…1. A metric that no engine's newest sample has is left out.
    """
    return combined_values(
        (engine_values(run, engine, time) for engine in run.engines), ratios=ratios
    )


def engine_values(run: Run, engine: int, time: float) -> dict[str, float]:
    """Return every metric of one engine's newest sample at `time`; empty if it has none."""
    series = run.series.get(engine)
    index = None if series is None else series.index_at(time)
    return {} if series is None or index is None else series.row(index)


def combined_values(each: Iterable[Mapping[str, float]], *, ratios: Ratios) -> dict[str, float]:
    """Combine the values of several engines or servers (the catalogue's `total`)."""
    listed = list(each)
    total: dict[str, float] = {}
    for metric in METRICS:
        known = [values[metric.name] for values in listed if metric.name in values]
        if known:
            total[metric.name] = combined_value(metric, known, ratios)
    return total


def combined_value(metric: Metric, known: Sequence[float], ratios: Ratios = "mean") -> float:
    """Combine the values of one metric of several engines; at least one value is needed."""
    if metric.total == "sum":
        return sum(known)
    if metric.total == "highest" or ratios == "highest":
        return max(known)
    return sum(known) / len(known)


def newest_sample(run: Run, time: float) -> float | None:
    """Return the stamp of the newest stats line of any engine at `time`, None without one."""
    newest = []
    for engine in run.engines:
        index = run.series[engine].index_at(time)
        if index is not None:
            newest.append(run.series[engine].written(index, time))
    return max(newest, default=None)


def newest_values(run: Run, engine: int | None, time: float) -> dict[str, float]:
    """Return the values of the newest sample at `time`, of one engine or all engines combined."""
    return run_values(run, time) if engine is None else engine_values(run, engine, time)
