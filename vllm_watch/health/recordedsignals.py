"""Recorded rows as signals that rules compare (`[slo]`)."""

from __future__ import annotations

import math
from itertools import pairwise
from operator import mul

from vllm_watch.config import Settings
from vllm_watch.core.evidence import why_no_stats
from vllm_watch.core.recorded import QUANTILES, EngineRow, GpuRow, Latency
from vllm_watch.core.recordings import Recording, Table, bound_of
from vllm_watch.core.run import Run
from vllm_watch.core.series import Series, held_seconds

HARMFUL = ("hw_slowdown", "sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown")
"""Reasons for a lowered clock that show a fault. A power limit under full load is normal."""
WINDOW = 600.0
"""Seconds over which log and counters are compared."""
_EVERY = 60.0
"""Seconds between two such comparisons."""
_RECENT = 30.0
"""Seconds for which the waiting requests of a stats line stay valid."""
_STAMP_SECONDS = 2.0
"""Seconds by which the ends of a window may be off: stamps are whole seconds."""
_SHORT = {"ttft_s": "ttft", "itl_s": "itl", "queue_s": "queue"}
_COUNTED = {
    "generation_tps": ("generated_tokens_total", ""),
    "prompt_tps": ("prompt_tokens_total", "cached_prompt_tokens_total"),
}
"""Rates in the log, each with the counter of the same tokens and a counter to subtract."""


class RecordedSignals:
    """Makes signals of the recorded rows of one run."""

    def __init__(self) -> None:
        """Start without rows."""
        self._compared: dict[int, float] = {}
        self._seen = 0
        self._without = False

    def of_engine(
        self, row: EngineRow, run: Run, recording: Recording, settings: Settings
    ) -> dict[str, float]:
        """Return the signals of an engine's row: targets missed, log against counters."""
        signals: dict[str, float] = {}
        for name, short in _SHORT.items():
            latency = row.latencies.get(name)
            if latency is not None:
                signals |= _slo_signals(short, latency, settings)
        if self._is_without(run):
            signals["recorded_only"] = 1.0
        elif row.origin == "page" and row.time - self._compared.get(row.engine, 0.0) >= _EVERY:
            self._compared[row.engine] = row.time
            series, table = run.series.get(row.engine), recording.engines.get(row.engine)
            if series is not None and table is not None:
                signals |= difference(series, table, row.time)
        return signals

    def _is_without(self, run: Run) -> bool:
        """Return whether a run writes no stats lines; each event is checked once."""
        fresh = run.events[self._seen :]
        self._seen = len(run.events)
        self._without = self._without or any(why_no_stats(one.event) for one in fresh)
        return self._without

    def of_gpu(self, row: GpuRow, run: Run, recording: Recording) -> dict[str, float]:
        """Return the signals of a GPU's row."""
        signals = {"gpu": float(row.gpu), "throttled": 0.0}
        for name in ("utilization", "power_w", "temperature_c"):
            value = getattr(row, name)
            if value is not None:
                signals[name] = value
        if row.memory_used is not None and row.memory_total:
            signals["memory_share"] = row.memory_used / row.memory_total
        signals["throttled"] = float(sum(reason in HARMFUL for reason in row.throttle))
        waiting = _waiting(run, recording, row.time)
        if waiting is not None:
            signals["waiting"] = waiting
        return signals


def _slo_signals(short: str, latency: Latency, settings: Settings) -> dict[str, float]:
    """Return how far the worst percentile is beyond its target, if there is a target."""
    worst: dict[str, float] = {}
    for part, share in QUANTILES.items():
        target = getattr(settings.slo, f"{short}_{part}_seconds", None)
        value = getattr(latency, part)
        if target is None or value is None:
            continue
        bound = bound_of(latency, part)
        value = value if bound is None else min(value, bound)
        if value / target > worst.get(f"{short}_of_target", -1.0):
            worst = {
                f"{short}_of_target": value / target,
                f"{short}_value": value,
                f"{short}_target": target,
                f"{short}_percent": share * 100,
            }
    return worst


def _waiting(run: Run, recording: Recording, time: float) -> float | None:
    """Return how many requests wait at a time, by stats lines or the recording; None if unknown."""
    total, known = 0.0, False
    sources: list[Series | Table] = [run.series[engine] for engine in run.engines]
    for source in sources or list(recording.engines.values()):
        index = source.index_at(time)
        if index is None or time - source.times[index] > _RECENT:
            continue
        value = source.value("waiting", index)
        if value is not None:
            total, known = total + value, True
    return total if known else None


def difference(series: Series, table: Table, until: float) -> dict[str, float]:
    """Return the difference of log and counters over the ten minutes before a time.

    `counter_difference` is a share of the counter, and 0 if stamps of whole seconds explain it.
    Nothing is returned if one of the two does not cover ten minutes, or the server restarted.
    """
    last = series.index_at(until)
    if last is None or last <= series.thinned:
        return {}
    end = series.times[last]
    first = series.index_at(end - WINDOW)
    if first is None or first < series.thinned:
        return {}
    begin = series.times[first]
    worst: dict[str, float] = {}
    for rate, (counter, less) in _COUNTED.items():
        counted = _grown(table, counter, begin, end)
        taken = _grown(table, less, begin, end) if less else 0.0
        if counted is None or taken is None:
            continue
        counted -= taken
        logged, highest = _logged(series, rate, first, last)
        slack = _STAMP_SECONDS * highest
        off = max(0.0, abs(logged - counted) - slack) / counted if counted > slack else 0.0
        if off >= worst.get("counter_difference", 0.0):
            worst = {"counter_difference": off, "logged": logged, "counted": counted}
            worst["difference"] = abs(logged - counted) / counted if counted > 0 else 0.0
    return worst


def _logged(series: Series, rate: str, first: int, last: int) -> tuple[float, float]:
    """Return the tokens of the lines after `first` up to `last`, and the highest rate at an end."""
    begin = series.times[first]
    held = held_seconds(series.times[first + 1 : last + 1], series.cadence, before=begin)
    values = [value or 0.0 for value in series.values(rate, first, last + 1)]
    return sum(map(mul, values[1:], held)), max(*values[:2], *values[-2:])


def _grown(table: Table, name: str, begin: float, end: float) -> float | None:
    """Return by how much a counter grew between two times, interpolated between its rows."""
    start, stop = table.span(begin, end)
    inside = table.values(name, max(0, start - 1), min(len(table), stop + 1))
    known = [value for value in inside if value is not None]
    if len(known) < len(inside) or any(b < a for a, b in pairwise(known)):
        return None
    values = (_at(table, name, begin), _at(table, name, end))
    return None if values[0] is None or values[1] is None else values[1] - values[0]


def _at(table: Table, name: str, time: float) -> float | None:
    """Return a counter at a time, interpolated between two rows at most a minute apart."""
    index = table.index_at(time)
    if index is None:
        return None
    before = table.value(name, index)
    if table.times[index] == time or before is None:
        return before
    if index + 1 == len(table):
        return None
    after = table.value(name, index + 1)
    width = table.times[index + 1] - table.times[index]
    if after is None or width > _EVERY or not math.isfinite(width):
        return None
    return before + (after - before) * (time - table.times[index]) / width


SIGNALS = frozenset(
    {
        *("recorded_only", "counter_difference", "throttled", "utilization", "memory_share"),
        *("power_w", "temperature_c"),
        *(f"{short}_of_target" for short in _SHORT.values()),
    }
)
"""Signals that rules of the scopes `recorded` and `gpu` may compare, apart from metrics."""
