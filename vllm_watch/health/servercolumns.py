"""Signals of a whole server for many samples together: those of `serversignals.py`, in numpy.

A row is one sample of one engine; rows are in the order of time, of all engines together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.core.series import (
    DEFAULT_CADENCE,
    LONGEST_CADENCE,
    SILENCE_CADENCES,
    median_distance,
)
from vllm_watch.health.plan import Values
from vllm_watch.health.serversignals import (
    CADENCE_OF,
    MOST_SEEN,
    Engine,
    Row,
    ServerAlerts,
    ServerSignals,
)
from vllm_watch.health.signalcolumns import Bools, Floats, Indexes, distinct, sweep

_CELLS = 1 << 20
"""Engines × rows processed together, which limits memory."""


class Rows(NamedTuple):
    """Samples of all engines in the order of time, as columns; NaN is an absent value."""

    times: Floats
    engines: Indexes
    running: Floats
    waiting: Floats
    usage: Floats

    @property
    def busy(self) -> Bools:
        """Which samples have requests running or waiting."""
        return np.asarray(np.nan_to_num(self.running) + np.nan_to_num(self.waiting) != 0)

    def part(self, start: int, stop: int) -> Rows:
        """Return the samples from `start` to `stop`."""
        return Rows._make(column[start:stop] for column in self)

    def row(self, index: int) -> Row:
        """Return the sample at `index`."""
        time, engine, *values = (column[index].item() for column in self)
        return Row(time, engine, *(None if value != value else value for value in values))


def rows_of(parts: Sequence[tuple[int, Floats, Mapping[str, Floats]]]) -> Rows:
    """Return the samples of all engines in order; `parts`: number, times and values of each one."""
    columns = []
    for engine, times, values in parts:
        unknown = np.full(len(times), np.nan)
        names = ("running", "waiting", "kv_cache_usage")
        known = (values.get(name, unknown) for name in names)
        columns.append([times, np.full(len(times), float(engine)), *known])
    joined = [np.concatenate(column) for column in zip(*columns, strict=True)]
    order = np.lexsort((joined[1], joined[0]))
    times, engines, running, waiting, usage = (column[order] for column in joined)
    return Rows(times, engines.astype(np.intp), running, waiting, usage)


def advance(alerts: ServerAlerts, rows: Rows, facts: Values) -> None:
    """Judge many rows; the effect is that of `ServerAlerts.step` for each of them."""
    known = {*alerts.signals.engines, *distinct(rows.engines)}
    step = max(1, _CELLS // max(1, len(known)))
    for start in range(0, len(rows.times), step):
        _advance(alerts, rows.part(start, start + step), facts)


def _advance(alerts: ServerAlerts, rows: Rows, facts: Values) -> None:
    signals = alerts.signals
    for engine in distinct(rows.engines):
        if engine not in signals.engines:
            signals.engines[engine] = Engine()
            signals.engines[engine].newest = Row(-np.inf, engine, None, None, None)
    places = {engine: np.flatnonzero(rows.engines == engine) for engine in sorted(signals.engines)}
    cadences = np.full(len(rows.times), DEFAULT_CADENCE)
    for engine, at in places.items():
        before = list(signals.engines[engine].times)
        cadences[at] = cadence_column(before, rows.times[at], CADENCE_OF)
    table: dict[str, Floats | float] = {**facts}
    if len(signals.engines) > 1:
        table["imbalance"] = _imbalance(signals, rows, places, cadences)
    capacity = alerts.needs_capacity(facts) and "max_num_seqs" in facts
    seen = _seen_capacity(signals, rows, places, facts, counted=capacity)
    if seen is not None:
        table["seen_share"] = seen
    table["flowing"] = _flowing(signals, rows, places)
    if facts.get("data_parallel_size", 1.0) > 1:
        table["engines_missing"] = facts["data_parallel_size"] - _heard(signals, rows, places)
    sweep(alerts.watch, rows.times, table, None)
    if len(signals.engines) > 1 and alerts.plan.silence is not None:
        _silences(alerts, rows, places, cadences)
    for engine, at in places.items():
        if len(at):
            known = signals.engines[engine]
            known.newest = rows.row(int(at[-1]))
            known.times.extend(rows.times[at[-CADENCE_OF:]].tolist())
            known.cadence = float(cadences[at[-1]])


def cadence_column(before: Sequence[float], times: Floats, size: int) -> Floats:
    """Return at each of `times` the median distance of the newest `size` times up to it."""
    every = np.concatenate((np.asarray(before, float), times))
    found = np.empty(len(every))
    few = min(len(every), size - 1)
    for index in range(len(before), few):
        found[index] = median_distance(every[max(0, index + 1 - size) : index + 1].tolist())
    if len(every) >= size:
        found[size - 1 :] = window_cadences(every, size)
    return found[len(before) :]


def window_cadences(times: Floats, size: int, step: int = 1) -> Floats:
    """Return the median distance within each window of `size` times, for each `step`-th window."""
    every = np.diff(times)
    windows = np.lib.stride_tricks.sliding_window_view(every, size - 1)[::step]
    if every[0] > 0 and (every == every[0]).all():
        usual = every[0] if every[0] <= LONGEST_CADENCE else DEFAULT_CADENCE
        return np.full(len(windows), usual)
    found = np.empty(len(windows))
    block = max(1, _CELLS // size)
    for start in range(0, len(windows), block):
        gaps = np.sort(windows[start : start + block], axis=1)
        moved = (gaps > 0).sum(axis=1)
        middle = np.minimum(size - 1 - moved + moved // 2, size - 2)
        median = np.take_along_axis(gaps, middle[:, None], axis=1)[:, 0]
        usual = (moved > 0) & (median <= LONGEST_CADENCE)
        found[start : start + block] = np.where(usual, median, DEFAULT_CADENCE)
    return found


def _newest(at: Indexes, rows: int) -> Indexes:
    """Return for each of `rows` rows which of `at` is the newest up to it; −1 before the first."""
    counts = np.zeros(rows, np.intp)
    counts[at] = 1
    return np.cumsum(counts) - 1


def _held(values: Floats, first: float, newest: Indexes) -> Floats:
    """Return for each row the newest of `values` up to it, `first` if there is none yet."""
    return np.concatenate(([first], values))[newest + 1]


def _imbalance(
    signals: ServerSignals, rows: Rows, places: dict[int, Indexes], cadences: Floats
) -> Floats:
    """Return how uneven each round is; NaN at rows that do not end a round.

    A round ends with the line of the engine that has the highest number.
    """
    count = len(rows.times)
    since = rows.times - SILENCE_CADENCES * cadences
    top = np.full(count, -np.inf)
    ran, total = np.zeros(count), np.zeros(count)
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    for engine, at in places.items():
        if engine == ALL_ENGINES:
            continue
        before, newest = signals.engines[engine].newest, _newest(at, count)
        within = _held(rows.times[at], before.time, newest) >= since
        running = _held(
            rows.running[at], np.nan if before.running is None else before.running, newest
        )
        top[within] = engine
        known = within & ~np.isnan(running)
        ran += known
        total[known] += running[known]
        low = np.where(known, np.minimum(low, running), low)
        high = np.where(known, np.maximum(high, running), high)
    health = signals.settings.health
    judged = (ran >= 2) & (top == rows.engines) & (rows.engines != ALL_ENGINES)
    with np.errstate(divide="ignore", invalid="ignore"):
        allowed = np.maximum(health.imbalance_floor, health.imbalance_share * total / ran)
        return np.asarray(np.where(judged & (allowed > 0), (high - low) / allowed, np.nan))


def _heard(signals: ServerSignals, rows: Rows, places: dict[int, Indexes]) -> Floats:
    """Return how many engines have written up to each row; NaN once a line is of all engines."""
    heard = np.zeros(len(rows.times))
    for engine, at in places.items():
        known = (_newest(at, len(rows.times)) >= 0) | (len(signals.engines[engine].times) > 0)
        heard += np.where(known, np.nan, 0.0) if engine == ALL_ENGINES else known
    return heard


def _flowing(signals: ServerSignals, rows: Rows, places: dict[int, Indexes]) -> Floats:
    """Return how many requests run on all engines at each row: the sum over their newest lines."""
    flowing = np.zeros(len(rows.times))
    for engine, at in places.items():
        running = np.nan_to_num(rows.running[at])
        before = signals.engines[engine].newest.running or 0.0
        flowing[at] += np.diff(running, prepend=before)
    flowing = np.cumsum(np.concatenate(([signals.flowing], flowing)))[1:]
    signals.flowing = flowing[-1].item()
    return flowing


def _seen_capacity(
    signals: ServerSignals, rows: Rows, places: dict[int, Indexes], facts: Values, *, counted: bool
) -> Floats | None:
    """Return for each row the batch limit ÷ the capacity observed in the last minute.

    NaN at rows before the first observation; None if the capacity need not be `counted`.
    """
    settings = signals.settings.advice
    total, known = np.zeros(len(rows.times)), np.zeros(len(rows.times))
    whole = facts.get("data_parallel_size", 1.0)
    for engine, at in places.items():
        state = signals.engines[engine]
        running, usage = rows.running[at], rows.usage[at]
        at = at[(np.nan_to_num(running) != 0) & (np.nan_to_num(usage) != 0)]
        capacity = settings.seen_capacity_kv * rows.running[at] / rows.usage[at]
        before = list(state.capacities)
        times = np.concatenate(([time for time, _ in before], rows.times[at]))
        every = np.concatenate(([one for _, one in before], capacity))
        if counted and len(every):
            stops = _newest(at, len(rows.times)) + 1 + len(before)
            starts = np.searchsorted(times, rows.times - settings.seen_capacity_seconds, "right")
            starts = np.maximum(np.minimum(starts, stops - 1), stops - MOST_SEEN)
            seen = stops > 0
            total[seen] += _window_medians(every, starts[seen], stops[seen])
            known += seen
            if engine == ALL_ENGINES:  # the line is of all engines, so others need not be added
                known[seen] = -np.inf
        new = slice(max(len(before), len(every) - MOST_SEEN), None)
        state.capacities.extend(zip(times[new].tolist(), every[new].tolist(), strict=True))
        state.trim(rows.times[-1].item() - settings.seen_capacity_seconds)
    if not counted:
        return None
    engines = np.where(known < 0, int(whole), known)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(total > 0, facts["max_num_seqs"] * engines / total, np.nan))


def _window_medians(values: Floats, starts: Indexes, stops: Indexes) -> Floats:
    """Return the median of each window; windows only move forward, equal ones are computed once."""
    if not len(starts):
        return np.zeros(0)
    starts = np.maximum(starts, 0)
    fresh = np.ones(len(starts), bool)
    fresh[1:] = (np.diff(starts) != 0) | (np.diff(stops) != 0)
    first, last = starts[fresh], stops[fresh]
    sizes, found = last - first, np.empty(len(first))
    for size in distinct(sizes):
        some = np.flatnonzero(sizes == size)
        ordered = np.sort(values[first[some][:, None] + np.arange(size)], axis=1)
        found[some] = (ordered[:, (size - 1) // 2] + ordered[:, size // 2]) / 2
    return np.asarray(found[np.cumsum(fresh) - 1])


def _silences(
    alerts: ServerAlerts, rows: Rows, places: dict[int, Indexes], cadences: Floats
) -> None:
    """Begin and end the alerts of silent engines, in the order of the rows."""
    watch = alerts.plan.settings.watch
    busy = rows.busy
    shown = busy & ~np.isnan(rows.running)
    changes: list[tuple[int, int, int, float]] = []
    for engine, at in places.items():
        state = alerts.signals.engines[engine]
        stops = np.append(at, len(rows.times))
        before = state.newest if len(state.times) else None
        times = [before.time if before else -np.inf, *rows.times[at].tolist()]
        works = [before is not None and before.busy, *busy[at].tolist()]
        limits = np.maximum(
            watch.stalled_floor_seconds,
            watch.stalled_cadences * np.concatenate(([state.cadence], cadences[at])),
        )
        if len(at):
            changes += [(int(at[0]), 0, engine, 0.0)]
        ends = np.append(rows.times, np.inf)[np.minimum(stops, len(rows.times))]
        ends[-1] = rows.times[-1]
        quiet = np.flatnonzero(np.array(works) & (ends - np.array(times) > limits))
        for index in quiet.tolist():
            first = 0 if index == 0 else int(at[index - 1]) + 1
            last, since = int(stops[index]), times[index]
            apart = rows.times[first:last] - since
            silent = np.flatnonzero(
                shown[first:last] & (apart > watch.stalled_floor_seconds) & (apart > limits[index])
            )
            if len(silent):
                changes.append((first + int(silent[0]), 1, engine, since))
                if last < len(rows.times):
                    changes.append((last, 0, engine, 0.0))
    for index, begins, engine, since in sorted(changes):
        time = float(rows.times[index])
        if begins:
            alerts.fell_silent(engine, since, time)
        else:
            alerts.heard(engine, time)
