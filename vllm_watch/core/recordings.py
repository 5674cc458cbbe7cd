"""All rows that were written beside one log, as columns in time order."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

from vllm_watch.core.columns import Columns
from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.recorded import (
    GPU_VALUES,
    LATENCIES,
    QUANTILES,
    EngineRow,
    GpuRow,
    Latency,
    Recorded,
)

MOST_ROWS = 20_000
"""Rows of one engine or GPU that are kept where memory is bounded: some two days."""
ROWS_APART = 45.0
"""Rows further apart than this have a gap between them: the recorder writes every ten seconds."""


class Table(Columns):
    """Rows of one engine or GPU."""

    __slots__ = ()

    def append(self, time: float, values: Mapping[str, float | None]) -> None:
        """Put a row in its place in time."""
        self.revision += 1
        late = self.times and time < self.times[-1]
        self.insert(bisect_right(self.times, time) if late else len(self), time, values)

    def drop(self, count: int) -> None:
        """Forget the oldest rows."""
        self.revision += 1
        del self.times[:count]
        for column in self.columns.values():
            del column[:count]


@dataclass(slots=True)
class Recording:
    """All rows beside one log, and the log's latency lines.

    Times are epoch seconds. Latency lines and tables of `nvidia-smi` use the log's zone and shift
    with it; recordings carry their own zone.
    """

    bounded: bool = False
    """Whether old rows are forgotten."""
    engines: dict[int, Table] = field(default_factory=dict)
    """By data-parallel rank: rows from the metrics page."""
    lines: dict[int, Table] = field(default_factory=dict)
    """By data-parallel rank: rows from the plug-in's lines in the log."""
    nvml: dict[int, Table] = field(default_factory=dict)
    smi: dict[int, Table] = field(default_factory=dict)
    names: dict[int, tuple[str | None, str | None]] = field(default_factory=dict)
    """GPU to its name and UUID."""

    def __bool__(self) -> bool:
        return bool(self.engines or self.lines or self.nvml or self.smi)

    @property
    def gpus(self) -> dict[int, Table]:
        """The GPUs by index: by `record --gpu`, else by a table of `nvidia-smi`."""
        return self.nvml or self.smi

    @property
    def latencies(self) -> dict[int, Table]:
        """Latencies by engine: the exact ones from the log, else those of the metrics page."""
        return self.lines or self.engines

    def add(self, row: Recorded) -> None:
        """Add a row."""
        if isinstance(row, EngineRow):
            tables = self.lines if row.origin == "line" else self.engines
            table = tables.setdefault(row.engine, Table())
            table.append(row.time, engine_row_values(row))
        else:
            tables = self.smi if row.origin == "table" else self.nvml
            table = tables.setdefault(row.gpu, Table())
            table.append(row.time, gpu_row_values(row))
            name, uuid = self.names.get(row.gpu, (None, None))
            self.names[row.gpu] = (row.name or name, row.uuid or uuid)
        if self.bounded and len(table) > MOST_ROWS:
            table.drop(MOST_ROWS // 4)

    def shift(self, seconds: float) -> None:
        """Shift the rows that use the log's zone."""
        for table in (*self.lines.values(), *self.smi.values()):
            table.shift(seconds)


def engine_row_values(row: EngineRow) -> dict[str, float | None]:
    """Return a row of an engine as numbers by name, such as `ttft_s_p95` and `finished_stop`."""
    values: dict[str, float | None] = {**row.totals}
    for name in ("running", "waiting", "kv_cache_usage"):
        value = getattr(row, name)
        if value is not None:
            values[name] = value
    values |= {f"finished_{reason}": count for reason, count in row.finished.items()}
    for name, latency in row.latencies.items():
        for part in Latency.__slots__:
            values[f"{name}_{part}"] = getattr(latency, part)
    return values


def gpu_row_values(row: GpuRow) -> dict[str, float | None]:
    """Return a row of a GPU as numbers by name; `throttle_<reason>` is 1 where it holds."""
    values = {name: getattr(row, name) for name in GPU_VALUES}
    return values | {f"throttle_{reason}": 1.0 for reason in row.throttle}


def latency_at(table: Table, index: int) -> dict[str, Latency]:
    """Return the latencies of a row by name; those of an interval without requests are left out."""
    found = {}
    for name in LATENCIES:
        count = table.value(f"{name}_count", index)
        if count:
            parts = ("p50", "p95", "p99", "mean")
            values = {part: table.value(f"{name}_{part}", index) for part in parts}
            found[name] = Latency(**values, count=round(count))
    return found


def latency_curve(
    tables: Sequence[Table], value: str, window: tuple[float, float]
) -> list[tuple[float, float]]:
    """Return times and seconds of a recorded latency over a window.

    `value` is its name, such as `itl_s_p95`. For several engines it is their mean, weighted by
    their measurements; for percentiles that is approximate.
    """
    points = sorted(point for table in tables for point in _points(table, value, window))
    apart = 1.0 if len(tables) > 1 else 0.0
    sums: list[tuple[float, float, float]] = []
    for time, seconds, count in points:
        if sums and time - sums[-1][0] <= apart:
            first, total, weight = sums[-1]
            sums[-1] = first, total + seconds * count, weight + count
        else:
            sums.append((time, seconds * count, count))
    return [(time, total / weight) for time, total, weight in sums]


def _points(
    table: Table, value: str, window: tuple[float, float]
) -> Iterator[tuple[float, float, float]]:
    """Yield time, seconds and measurements of the rows in a window that have a value."""
    count = f"{value.rpartition('_')[0]}_count"
    for index in range(*table.span(*window)):
        seconds, measured = table.value(value, index), table.value(count, index)
        if seconds is not None and measured:
            yield table.times[index], seconds, measured


def bound_of(latency: Latency, part: str) -> float | None:
    """Return the largest value a percentile can have, given the mean; None without a mean.

    At most a share 1 − q of the measurements is mean ÷ (1 − q) or longer (Markov's inequality).
    That is far below the estimate if all of them lie in a histogram's first, wide bucket.
    """
    return None if latency.mean is None else latency.mean / (1 - QUANTILES[part])


def mixed(latencies: Iterable[Latency]) -> Latency | None:
    """Return the latency of several intervals together, None where nothing was measured.

    Mean and count are exact. A percentile is approximate: it is that of the mixture of the
    intervals' distributions, each interpolated linearly between its known percentiles. It never
    lies outside of theirs.
    """
    known = [latency for latency in latencies if latency.count and latency.p50 is not None]
    count = sum(latency.count for latency in known)
    if not count:
        return None
    means = [latency.mean * latency.count for latency in known if latency.mean is not None]
    exact = len(means) == len(known)
    return Latency(
        **_mixed_quantiles(known),
        mean=math.fsum(means) / count if exact else None,
        count=count,
    )


def _mixed_quantiles(latencies: list[Latency]) -> dict[str, float | None]:
    """Return the mixture's value at each percentile; None if some interval lacks it."""
    known = [part for part in QUANTILES if all(getattr(one, part) is not None for one in latencies)]
    found: dict[str, float | None] = dict.fromkeys(QUANTILES)
    every = sum(latency.count for latency in latencies)
    wanted = [(QUANTILES[part] * every, part) for part in known]
    level, density, at = 0.0, 0.0, 0.0
    for seconds, change, jump in sorted(_steps(latencies)):
        gained = density * (seconds - at)
        while wanted and density > 0 and wanted[0][0] <= level + gained:
            target, part = wanted.pop(0)
            found[part] = round(at + (target - level) / density, 6)
        level += gained
        while wanted and wanted[0][0] <= level + jump * (1 + _ROUNDING):
            found[wanted.pop(0)[1]] = round(seconds, 6)
        level, density, at = level + jump, density + change, seconds
    for _, part in wanted:  # left over only by rounding errors
        found[part] = round(at, 6)
    return {part: _within(value, part, latencies) for part, value in found.items()}


def _within(value: float | None, part: str, latencies: list[Latency]) -> float | None:
    """Return a combined percentile, limited to the range of its intervals' (rounding errors)."""
    if value is None:
        return None
    each: list[float] = [getattr(latency, part) for latency in latencies]
    return min(max(value, min(each)), max(each))


_ROUNDING = 1e-9
_NARROW = 1e-9
"""Percentiles of an interval that are closer than this, in seconds, count as equal."""


def _steps(latencies: Iterable[Latency]) -> Iterator[tuple[float, float, float]]:
    """Yield seconds, the change of the mixture's density there, and the measurements just there.

    Each interval's distribution is linear between its percentiles. Below the median it is as wide
    as from the median to the next percentile, but not below 0. Measurements above the last
    percentile count as equal to it.
    """
    for latency in latencies:
        known = [
            (share, seconds)
            for part, share in QUANTILES.items()
            if (seconds := getattr(latency, part)) is not None
        ]
        before, below = _least(known), 0.0
        for share, seconds in known:
            mass, width = latency.count * (share - below), seconds - before
            if width > _NARROW:
                yield before, mass / width, 0.0
                yield seconds, -mass / width, 0.0
            else:
                yield seconds, 0.0, mass
            before, below = seconds, share
        yield before, 0.0, latency.count * (1 - below)


def _least(known: list[tuple[float, float]]) -> float:
    """Return where the measurements of an interval begin.

    A straight line from 0 to the median would put half of them far too low: with few measurements,
    the median of many intervals was a fifth too low.
    """
    median = known[0][1]
    following = known[1][1] if len(known) > 1 else median
    return max(0.0, 2 * median - following)
