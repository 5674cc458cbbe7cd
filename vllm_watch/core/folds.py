"""A chart line of a run, folded into time steps as samples arrive: hours cost as much as minutes.

A step keeps the sum of its samples, their number, the lowest and the highest. Wider steps are made
from finer ones. After late, moved or thinned samples, and with another cadence, all steps are made
again, so that they are the same whenever they are first asked for.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from vllm_watch.core.enginevalues import combined_value
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.metrics import METRIC_BY_NAME
from vllm_watch.core.run import Run
from vllm_watch.core.series import SILENCE_CADENCES, Series

HELD_CADENCES = 6
"""Samples are folded when they are this old, in cadences: until then other engines may be late."""
MOST_WIDTHS = 3
"""Most step widths for which a line is kept folded."""
MOST_LINES = 48
"""Most lines of a run that are kept folded; when one more is needed, all are dropped."""

Values = tuple[float | None, ...]
Derive = Callable[[Sequence[float], Sequence[Sequence[float | None]], float], list[float | None]]
"""Derives values from times, a column for each metric, and the longest distance that is no gap."""


class LineKind(NamedTuple):
    """What a line shows: a metric, or a value derived from several."""

    name: str
    metrics: tuple[str, ...]
    derive: Derive | None = None


class Point(NamedTuple):
    """A sample, or a bucket of thinned samples, before it is folded."""

    begin: float
    end: float
    values: Values
    """A mean for each metric."""
    low: float | None
    """Of the first metric."""
    high: float | None
    samples: int


class Step(NamedTuple):
    """The samples of a line within one time step."""

    begin: float
    end: float
    total: float
    low: float
    high: float
    samples: int


class Folded:
    """Steps of one width, the oldest first."""

    def __init__(self, width: float) -> None:
        """Begin empty; steps begin at multiples of `width`."""
        self.width = width
        self.begins, self.ends = array("d"), array("d")
        self.totals, self.lows, self.highs = array("d"), array("d"), array("d")
        self.counts = array("L")

    def add(self, step: Step) -> None:
        """Append a step, or merge it into the newest one."""
        if self.begins and self.begins[-1] // self.width == step.begin // self.width:
            self.ends[-1] = max(self.ends[-1], step.end)
            self.totals[-1] += step.total
            self.lows[-1] = min(self.lows[-1], step.low)
            self.highs[-1] = max(self.highs[-1], step.high)
            self.counts[-1] += step.samples
            return
        self.begins.append(step.begin)
        self.ends.append(step.end)
        self.totals.append(step.total)
        self.lows.append(step.low)
        self.highs.append(step.high)
        self.counts.append(step.samples)

    def steps(self, start: float = -math.inf, end: float = math.inf) -> Iterator[Step]:
        """Yield the steps that begin before `end`, from the one before `start` on."""
        first = max(0, bisect_left(self.begins, start) - 1)
        last = bisect_left(self.begins, end)
        columns = (self.begins, self.ends, self.totals, self.lows, self.highs, self.counts)
        yield from map(Step, *(column[first:last] for column in columns))


class Folds:
    """A line in steps: of one engine of a run, or of several engines combined."""

    def __init__(self, run: Run, engines: Sequence[int], kind: LineKind) -> None:
        self._run, self._engines, self._kind = run, tuple(engines), kind
        self._metrics = [METRIC_BY_NAME[name] for name in kind.metrics]
        self._widths: dict[float, Folded] = {}
        self._seen: object = None
        self._begin()

    def _begin(self) -> None:
        self._next = dict.fromkeys(self._engines, 0)
        self._newest: dict[int, Point] = {}
        self._before: tuple[float, Values] | None = None
        self.until = -math.inf
        """All samples before this time are folded."""
        self._cadence = _rounded(self._run.cadence)

    def folded(self, width: float) -> Folded:
        """Return the steps of a width, with all samples so far."""
        series = [self._run.series[engine] for engine in self._engines]
        seen = [(one.revision, one.folded) for one in series]
        if seen != self._seen or self._cadence != _rounded(self._run.cadence):
            self._seen, self._widths = seen, {}
        if width not in self._widths:
            self._add_width(width)
        self._widths[width] = self._widths.pop(width)  # now the one used last
        self._extend()
        return self._widths[width]

    def _add_width(self, width: float) -> None:
        """Make the steps of a new width from finer ones; without these, fold all samples again."""
        finer = [known for known in self._widths if known < width]
        fresh = Folded(width)
        if finer:
            for step in self._widths[max(finer)].steps():
                fresh.add(step)
        else:
            self._widths = {}
            self._begin()
        self._widths[width] = fresh
        if len(self._widths) > MOST_WIDTHS:
            del self._widths[next(iter(self._widths))]

    def _extend(self) -> None:
        """Fold complete rounds (a line of each engine): the next line is half a cadence later."""
        series = {engine: self._run.series[engine] for engine in self._engines}
        newest = max((one.times[-1] for one in series.values() if one.times), default=-math.inf)
        held = newest - HELD_CADENCES * self._cadence
        rows = sorted(
            (one.times[index], engine, index)
            for engine, one in series.items()
            for index in range(self._next[engine], len(one))
        )
        half = self._cadence / 2 if len(self._engines) > 1 else 0.0
        first = 0
        for place, (one, other) in enumerate(pairwise(rows), 1):
            if one[0] > held:
                break
            if other[0] - one[0] >= half:
                for _, engine, index in rows[first:place]:
                    self._newest[engine] = point_at(series[engine], self._kind.metrics, index)
                    self._next[engine] = index + 1
                self._fold(one[0], self._newest[one[1]])
                first = place
        self.until = max(self.until, held)

    def _fold(self, at: float, last: Point) -> None:
        """Fold a round that ends with a point."""
        near = max(SILENCE_CADENCES * self._cadence, last.end - last.begin)
        known = [one for one in self._newest.values() if at - one.end < near]
        values = tuple(
            combined_value(metric, means) if (means := _known(known, place)) else None
            for place, metric in enumerate(self._metrics)
        )
        low = high = value = values[0]
        if self._kind.derive is not None:
            before = [] if self._before is None else [self._before]
            times, columns = zip(*before, (at, values), strict=True)
            rows = list(zip(*columns, strict=True))
            low = high = value = self._kind.derive(times, rows, near)[-1]
        elif any(one.samples > 1 for one in known):
            metric = self._metrics[0]
            low = combined_value(metric, [one.low for one in known if one.low is not None] or [0.0])
            high = combined_value(
                metric, [one.high for one in known if one.high is not None] or [0.0]
            )
        self._before = at, values
        if value is None or low is None or high is None:
            return
        step = Step(at, max(at, last.end), value * last.samples, low, high, last.samples)
        for folded in self._widths.values():
            folded.add(step)


def _rounded(cadence: float) -> float:
    """Return a cadence rounded to quarters, so that small changes need no new folds."""
    return 10.0 * 1.25 ** round(math.log(max(cadence, 1e-3) / 10.0, 1.25))


def _known(points: Sequence[Point], place: int) -> list[float]:
    return [value for one in points if (value := one.values[place]) is not None]


def point_at(series: Series, metrics: Sequence[str], index: int) -> Point:
    """Return a sample of a series, or a bucket of thinned ones."""
    at = series.times[index]
    values = tuple(series.value(name, index) for name in metrics)
    if index >= series.thinned:
        return Point(at, at, values, values[0], values[0], 1)
    low, high = series.extremes(metrics[0], index) or (None, None)
    count = max(1, series.count(metrics[0], index))
    return Point(at, series.written(index, math.inf), values, low, high, count)


def folds_of(run: Run, engines: Sequence[int], kind: LineKind) -> Folds:
    """Return the folds of a line of a run, kept with it."""
    place = (kind.name, *engines)
    folds = run.folds.get(place)
    if not isinstance(folds, Folds):
        if len(run.folds) >= MOST_LINES:
            run.folds.clear()
        folds = run.folds[place] = Folds(run, engines, kind)
    return folds
