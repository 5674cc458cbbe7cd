"""The last busy minutes of many samples, as columns: the input of trends."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from vllm_watch.core.hints import Any, NamedTuple
from vllm_watch.core.series import median_distance
from vllm_watch.health.enginetrend import (
    CADENCE_EACH,
    CADENCE_OF,
    EngineTrend,
)
from vllm_watch.health.robustfigures import NORMAL
from vllm_watch.health.servercolumns import window_cadences
from vllm_watch.health.signalcolumns import Floats, Indexes
from vllm_watch.health.slowdown import MOST_BUSY, Busy, LastMinutes

_CELLS = 1 << 16
"""Samples × samples of their minutes processed together: few enough for a processor's cache."""


class Load(NamedTuple):
    """Busy samples as columns: those of the last minutes before, then the new ones."""

    time: Floats
    covers: Floats
    rate: Floats
    running: Floats
    work: Floats
    prompt: Floats
    per_request_kv: Floats
    begun: Floats

    def samples(self) -> Samples:
        """Return the samples one by one."""
        return Samples(self)


class Samples:
    """Busy samples, created only when asked for, because most are never needed alone."""

    def __init__(self, load: Load) -> None:
        """Create samples from the columns of `load`."""
        self._load = load

    def __len__(self) -> int:
        """Return how many samples there are."""
        return len(self._load.time)

    def __getitem__(self, at: int) -> Busy:
        """Return the sample at index `at`."""
        return self.part(at, at + 1)[0]

    def part(self, start: int, stop: int) -> list[Busy]:
        """Return the samples from `start` to `stop`."""
        rows = zip(*(column[start:stop].tolist() for column in self._load), strict=True)
        return [Busy(*row) for row in rows]

    def minutes(self, start: int, stop: int) -> LastMinutes:
        """Return the samples from `start` to `stop` as the last busy minutes."""
        columns = np.stack([column[start:stop] for column in self._load], axis=1)
        return LastMinutes(columns.ravel().tolist())


class Windows(NamedTuple):
    """The last busy minutes of each new busy sample, as figures."""

    start: Indexes
    """The index in `Load` of the first sample of the minutes."""
    stop: Indexes
    """The index after their last sample."""
    highest: Floats
    """Highest throughput."""
    per_request: Floats
    running: Floats
    """Mean and …"""
    usual: Floats
    """… median number running."""
    near: Floats
    """Share of samples near that median."""
    error: Floats
    """Standard error of the mean rate ÷ the mean rate."""


def cadences(trend: EngineTrend, times: Floats) -> Floats:
    """Return for each row the cadence that was known when the row came."""
    before, fed, rows = list(trend.times), trend.fed, len(times)
    every = np.concatenate((before, times))
    found, newest = np.empty(rows), np.zeros(rows, np.intp)
    whole = -(-(max(fed, CADENCE_OF - 1)) // CADENCE_EACH) * CADENCE_EACH - fed
    for index in range(min(rows, whole)):
        number = fed + index
        if number < 2 * CADENCE_EACH or number % CADENCE_EACH == 0:
            some = every[max(0, len(before) + index + 1 - CADENCE_OF) : len(before) + index + 1]
            found[index], newest[index] = median_distance(some.tolist()), index + 1
    first = len(before) + whole + 1 - CADENCE_OF
    if whole < rows:
        found[whole::CADENCE_EACH] = window_cadences(every[first:], CADENCE_OF, CADENCE_EACH)
        newest[whole::CADENCE_EACH] = np.arange(whole, rows, CADENCE_EACH) + 1
    return np.concatenate(([trend.cadence], found))[np.maximum.accumulate(newest)]


def loaded(
    trend: EngineTrend, times: Floats, covers: Floats, values: Mapping[str, Floats]
) -> tuple[Load, Floats]:
    """Return the busy samples, and the busy seconds of the run up to the end of each new one."""
    zero = np.zeros(len(times))
    running = values.get("running", zero)
    fill = values["kv_cache_usage"] / running if "kv_cache_usage" in values else zero + np.nan
    worked = np.cumsum(np.concatenate(([trend.worked], covers)))
    fresh = (
        times,
        covers,
        values.get("generation_tps", zero),
        running,
        running + np.nan_to_num(values.get("waiting", zero)),
        np.nan_to_num(values.get("prompt_tps", zero)),
        fill,
        worked[:-1],
    )
    before = np.array(trend.last.packed()).reshape(-1, len(fresh)).T
    return Load(*(np.concatenate(pair) for pair in zip(before, fresh, strict=True))), worked[1:]


def starts(load: Load, limit: Floats, known: int) -> Indexes:
    """Return where the last busy minutes of each new sample begin."""
    own = np.arange(known, known + len(limit))
    start = np.searchsorted(load.begun, limit, "right") - 1
    start = np.maximum(np.minimum(start, own), own + 1 - MOST_BUSY)
    return np.maximum.accumulate(np.maximum(start, 0))


def windows_of(trend: EngineTrend, load: Load, start: Indexes, stop: Indexes) -> Windows:
    """Return the figures of the last busy minutes of each new sample."""
    columns = [np.empty(len(start)) for _ in range(6)]
    widest = int((stop - start).max(initial=1))
    block = max(1, _CELLS // widest)
    for first in range(0, len(start), block):
        some = slice(first, first + block)
        parts = _window_block(trend, load, start[some], stop[some])
        for column, part in zip(columns, parts, strict=True):
            column[some] = part
    return Windows(start, stop, *columns)


def _window_block(
    trend: EngineTrend, load: Load, start: Indexes, stop: Indexes
) -> tuple[Floats, ...]:
    """Return the figures of `Windows` for some samples in a row."""
    size = stop - start
    rate, running = (_ending(column, stop, int(size.max())) for column in (load.rate, load.running))
    out = None
    if size.min() < size.max():
        out = np.arange(size.max()) < (size.max() - size)[:, None]
        highest = _folded(np.maximum, np.where(out, -np.inf, rate))
        rate, running = np.where(out, 0.0, rate), np.where(out, 0.0, running)
    else:
        highest = _folded(np.maximum, rate)
    rates, ran = _folded(np.add, rate), _folded(np.add, running)
    mean = rates / size
    usual = _middles(running, out, size)
    tolerance = trend.settings.trend.running_tolerance * usual
    squares, near = np.zeros(len(size)), np.zeros(len(size), np.intp)
    for at in range(rate.shape[1]):  # in the order of time; a whole column is quicker than a row
        off, alike = rate[:, at] - mean, np.abs(running[:, at] - usual) <= tolerance
        if out is not None:
            off[out[:, at]], alike[out[:, at]] = 0.0, False
        squares += off * off
        near += alike
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(size > 1, np.sqrt(squares / (size - 1) / size), 0.0)
        share = np.where(mean > 0, error / mean, 0.0)
    return highest, rates / ran, ran / size, usual, near / size, share


def _folded(fold: Callable[..., object], values: Any) -> Any:
    """Return the sum, or the maximum, of each row, in the order of time: `np.sum` adds in pairs."""
    found = values[:, 0].copy()
    for column in values.T[1:]:
        fold(found, column, out=found)
    return found


def _ending(column: Floats, stop: Indexes, wide: int) -> Any:
    """Return one row for each index in `stop` (consecutive): the `wide` values before the index."""
    first, last = int(stop[0]) - wide, int(stop[-1])
    values = np.concatenate((np.zeros(max(0, -first)), column[max(0, first) : last]))
    return np.lib.stride_tricks.sliding_window_view(values, wide)


def medians(load: Load, start: Indexes, stop: Indexes) -> tuple[Floats, Floats, Floats]:
    """Return the usual figures in some stretches of busy samples, like `throughputdrops.usual`.

    They are the median rate and its robust standard deviation, and the median running or waiting.
    """
    columns = [np.empty(len(start)) for _ in range(3)]
    block = max(1, _CELLS // int((stop - start).max(initial=1)))
    for first in range(0, len(start), block):
        some = slice(first, first + block)
        size = stop[some] - start[some]
        places, out = start[some][:, None] + np.arange(int(size.max())), None
        if size.min() < size.max():
            out = places >= stop[some][:, None]
            places = np.minimum(places, len(load.rate) - 1)
        rate = load.rate[places]
        middle = _middles(rate, out, size)
        off = _middles(np.abs(rate - middle[:, None]), out, size)
        work = _middles(load.work[places], out, size)
        for column, part in zip(columns, (middle, NORMAL * off, work), strict=True):
            column[some] = part
    rates, noise, work = columns
    return rates, noise, work


def _middles(values: Any, out: Any, size: Indexes) -> Floats:
    """Return the median of the first `size` values of each row; the others are `out`."""
    if out is None:
        ordered, wide = np.sort(values, axis=1), values.shape[1]
        return np.asarray((ordered[:, (wide - 1) // 2] + ordered[:, wide // 2]) / 2)
    ordered, rows = np.sort(np.where(out, np.inf, values), axis=1), np.arange(len(size))
    return np.asarray((ordered[rows, (size - 1) // 2] + ordered[rows, size // 2]) / 2)
