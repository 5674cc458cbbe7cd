"""The input of advice: a server at a moment, and figures from its samples."""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import reduce

from vllm_watch.config import Settings
from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.hints import TypeVar
from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.core.percentiles import median
from vllm_watch.core.run import Run
from vllm_watch.core.series import Series
from vllm_watch.health.robustfigures import rise

MANY = 1_500
"""Fewest samples for which importing numpy pays."""
_MOST_FILLS = 40
"""Samples by which a rise is judged."""
SampleColumns = tuple["array[float]", "array[float]", "array[float]"]
"""Running, waiting and KV usage of some samples; NaN is unknown."""
_Seen = TypeVar("_Seen", float, tuple[float, float] | None)


@dataclass(frozen=True, slots=True)
class Advice:
    """Advice: flags to change."""

    remedy: str
    """One short line, the number first."""
    flags: tuple[str, ...] = ()
    """Complete words of vLLM's command line."""
    formula: str = ""
    expect: str = ""
    in_turn: bool = False
    """The flags are alternatives or later steps: try one after the other."""
    heading: str = ""
    """What the finding's title begins with, up to its colon, if the rule's words do not fit."""


@dataclass(frozen=True, slots=True)
class Situation:
    """A server at a moment, with its known facts."""

    run: Run
    engine: int | None
    """The engine that the advice is about, None: the whole server."""
    time: float
    settings: Settings
    facts: Mapping[str, float]
    over: bool = False
    """No sample will follow: the server has ended, or writes none."""
    until: float | None = None
    """Until when samples are known, None: up to `time`."""
    cause_figures: Mapping[str, float] = field(default_factory=dict)
    """Numbers from the cause of death."""

    @property
    def engines(self) -> float:
        """Number of engines that a line covers: the sum of all for an aggregated one."""
        return self.facts.get("data_parallel_size", 1.0) if self.engine == ALL_ENGINES else 1.0

    def recent(self) -> list[tuple[float, float]]:
        """Return running requests and KV usage of each busy sample of the last minute.

        The engine is that of the advice; for a whole server, the one with most running requests.
        Values are per engine if a line covers several.
        """
        each = [self._recent_of(engine) for engine in self._numbers()]
        return max(each, key=lambda recent: max(recent, default=(0.0,))[0], default=[])

    def now(self) -> tuple[float, float] | None:
        """Return the medians of running requests and KV usage (0…1) of the last minute."""
        recent = self.recent()
        if not recent:
            return None
        return median(r for r, _ in recent), median(u for _, u in recent)

    def seen_capacity(self) -> float | None:
        """Return the requests that fill the cache to a level, by the last minute."""
        level = self.settings.advice.seen_capacity_kv
        return median(level * r / u for r, u in self.recent()) if self.recent() else None

    def ran_freely(self) -> float | None:
        """Return the most requests that one engine ran without a queue and without a full cache.

        They must have run for as many samples in a row as an alert needs, up to this moment; None
        if there were none. No smaller batch is advised.
        """
        hold, full = self.settings.health.hold_samples, self.settings.health.kv_cache_critical

        def look(engine: int) -> float:
            if many := self._many(engine, self.time):
                return most_held(*many, hold, full)
            most, held = 0.0, deque[float](maxlen=hold)
            for running, waiting, usage in self._rows(engine):
                if not running or waiting or usage >= full:
                    held.clear()
                    continue
                held.append(running)
                if len(held) == hold:
                    most = max(most, min(held))
            return most

        found = (self._once("ran freely", engine, look, hold, full) for engine in self._numbers())
        return max(found, default=0.0) / self.engines or None

    def fullest(self, least: float) -> tuple[float, float] | None:
        """Return running requests and KV usage of the sample with the largest requests, up to now.

        Only samples with at least `least` requests running in one engine count.
        """

        def look(engine: int) -> tuple[float, float] | None:
            rows = (
                (running, usage)
                for running, _, usage in self._rows(engine)
                if running / self.engines >= least and usage
            )
            return max(rows, key=lambda row: row[1] / row[0], default=None)

        found = [self._once("fullest", engine, look, least) for engine in self._numbers()]
        known = [(running / self.engines, usage) for running, usage in filter(None, found)]
        return max(known, key=lambda row: row[1] / row[0], default=None)

    def fills_later(self) -> float | None:
        """Return the highest known KV usage (0…1) with about as many requests running.

        "About as many" is up to a fifth more than now. None if the log has nothing later.
        """
        now = self.now()
        if now is None or self.until is None or self.until <= self.time:
            return None
        most, until = now[0] * 1.2, self.until
        found = (self._fullest_below(engine, most, until) for engine in self._numbers())
        return max((usage for usage in found if usage is not None), default=None)

    def _fullest_below(self, engine: int, most: float, until: float) -> float | None:
        """Return the highest KV usage of an engine with up to `most` requests running."""
        if many := self._many(engine, until):
            return fullest_below(*many, self.engines, most)
        rows = self._rows(engine, until)
        usages = (usage for running, _, usage in rows if 0 < running / self.engines <= most)
        return max(usages, default=None)

    def _once(self, name: str, engine: int, look: Callable[[int], _Seen], *levels: float) -> _Seen:
        """Return a result over all samples up to this moment; only new samples are read.

        A finding is drawn many times between two samples.
        """
        series = self.run.series.get(engine)
        key: tuple[object, ...] = levels
        if series is not None:
            key = (series.revision, series.amended, series.index_at(self.time), *levels)
        place = f"{name} {engine}"
        known = self.run.memo.get(place)
        if known is None or known[0] != key:
            known = self.run.memo[place] = (key, look(engine))
        return known[1]  # type: ignore[return-value]  # of the same name, so of the same kind

    def _rows(
        self, engine: int, until: float | None = None
    ) -> Iterator[tuple[float, float, float]]:
        """Yield running, waiting and KV usage of an engine's samples, to this moment or `until`."""
        known = self._columns(engine, self.time if until is None else until)
        for running, waiting, usage in zip(*known, strict=True):
            if not math.isnan(running) and not math.isnan(usage):
                yield running, 0.0 if math.isnan(waiting) else waiting, usage

    def _many(self, engine: int, until: float) -> SampleColumns | None:
        """Return the samples as columns if there are many, None if there are few."""
        known = self._columns(engine, until)
        return known if len(known[0]) > MANY else None

    def _columns(self, engine: int, until: float) -> SampleColumns:
        series = self.run.series.get(engine) or Series()
        index = series.index_at(until)
        stop = 0 if index is None else index + 1
        unknown = array("d", [math.nan]) * stop
        columns = series.columns
        return (
            columns.get("running", unknown)[:stop],
            columns.get("waiting", unknown)[:stop],
            columns.get("kv_cache_usage", unknown)[:stop],
        )

    def _numbers(self) -> list[int]:
        return self.run.engines if self.engine is None else [self.engine]

    def _recent_of(self, engine: int) -> list[tuple[float, float]]:
        series = self.run.series.get(engine)
        index = None if series is None else series.index_at(self.time)
        if series is None or index is None:
            return []
        seconds = self.settings.advice.seen_capacity_seconds
        start, end = series.span(series.times[index] - seconds + 1, series.times[index])
        pairs = zip(
            series.values("running", start, end),
            series.values("kv_cache_usage", start, end),
            strict=True,
        )
        return [(r / self.engines, u) for r, u in pairs if r and u]


def fullest_below(
    running: array[float],
    _waiting: array[float],
    usage: array[float],
    engines: float,
    most: float,
) -> float | None:
    """Return the highest KV usage with up to `most` requests running in one of the engines."""
    import numpy as np

    each = np.frombuffer(running) / engines
    found = np.frombuffer(usage)[(each > 0) & (each <= most)]
    found = found[~np.isnan(found)]
    return float(found.max()) if len(found) else None


def most_held(
    running: array[float],
    waiting: array[float],
    usage: array[float],
    hold: int,
    full: float,
) -> float:
    """Return the most requests that ran for `hold` samples in a row while more would have fit."""
    import numpy as np

    ran, waits, used = (np.frombuffer(column) for column in (running, waiting, usage))
    known = ~(np.isnan(ran) | np.isnan(used))
    ran, waits, used = ran[known], np.nan_to_num(waits[known]), used[known]
    least = np.where((ran == 0) | (waits != 0) | (used >= full), 0.0, ran)
    windows = max(0, len(least) - hold + 1)
    lowest = reduce(np.minimum, (least[at : at + windows] for at in range(hold)))
    return float(lowest.max(initial=0.0))


def kv_growth(run: Run, time: float, seconds: float) -> float | None:
    """Return the share (0…) by which KV usage per running request rose in the last `seconds`.

    The engine that grew most counts; 0 if it fell or only fluctuated, None if requests ran for less
    than that time.
    """
    fills = (_fills(run.series[engine], time, seconds) for engine in run.engines)
    return max((rise(one) for one in fills if one is not None), default=None)


def _fills(series: Series, time: float, seconds: float) -> list[float] | None:
    """Return KV usage ÷ requests running over the last `seconds`, None with less time.

    If there are many samples, only some dozens are used, which show a rise just as well.
    """
    first, last = series.index_at(time - seconds), series.index_at(time)
    if first is None or last is None:
        return None
    usage = series.values("kv_cache_usage", first, last + 1)
    ran = series.values("running", first, last + 1)
    fills = [u / r for u, r in zip(usage, ran, strict=True) if u and r]
    every = max(1, len(fills) // _MOST_FILLS)
    return fills[::every] if len(fills) > 1 else None
