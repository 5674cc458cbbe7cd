"""Trends of many samples together: `advance` finds the spans that `EngineTrend.step` would find.

A block is the new samples of one engine, in the order of time. A *row* is the index of a sample in
the block, a *place* its index among the busy samples of the block (those with running requests).
For each busy sample, its last busy minutes are a window: a slice of all busy samples. Sums over a
window are added in the order of time, as for single samples, so that they are exactly the same.
Sudden drops and missing recoveries are followed sample by sample, but only from a row at which one
may begin until it is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from vllm_watch.core.series import SILENCE_CADENCES
from vllm_watch.health.enginetrend import (
    CADENCE_OF,
    DROP,
    EXPECTED,
    FAULTY,
    RECOVERY,
    EngineTrend,
)
from vllm_watch.health.holdcolumns import hold_changes
from vllm_watch.health.holds import AT_REST
from vllm_watch.health.plan import Values
from vllm_watch.health.robustfigures import FEWEST
from vllm_watch.health.signalcolumns import Bools, Floats, Indexes
from vllm_watch.health.signals import of_all
from vllm_watch.health.slowdown import (
    FEWEST_LINES,
    MOST_BUSY,
    Busy,
    LastMinutes,
    Minutes,
    bands,
    minutes_of,
)
from vllm_watch.health.throughputdrops import STEADY_SHARE
from vllm_watch.health.trendwindows import (
    Load,
    Samples,
    Windows,
    cadences,
    loaded,
    medians,
    starts,
    windows_of,
)

_NEARLY = 0.999
"""A sum of the same seconds in another order is never smaller than this share of the first."""


def advance(trend: EngineTrend, times: Floats, values: Mapping[str, Floats], facts: Values) -> None:
    """Take many samples; the effect is that of `EngineTrend.step` for each of them."""
    rows, unknown = len(times), np.full(len(times), np.nan)
    cadence = cadences(trend, times)
    before = trend.times[-1] if trend.times else np.nan
    distance = np.diff(times, prepend=before)
    covers = np.where(distance <= SILENCE_CADENCES * cadence, distance, cadence)
    running, rate = values.get("running", unknown), values.get("generation_tps", unknown)
    at = np.flatnonzero(~np.isnan(running) & (running != 0) & ~np.isnan(rate))
    columns = {name: column[at] for name, column in values.items()}
    load, worked = loaded(trend, times[at], covers[at], columns)
    minutes = np.maximum(trend.settings.trend.busy_minutes * 60, FEWEST_LINES * cadence[at])
    limit = worked - (minutes - cadence[at] / 2)
    known = len(trend.last)
    start = starts(load, limit, known)
    full = load.begun[start] <= limit
    samples = load.samples()
    if trend.first_minutes is None and len(at):
        own = np.arange(known + 1, known + 1 + len(at))
        ends = np.flatnonzero((load.begun[0] <= limit) | (own >= MOST_BUSY))
        if len(ends):
            some = samples.part(0, int(own[ends[0]]))
            trend.found_first(minutes_of(some), len(some), some[-1].time)
    stop = np.arange(known + 1, known + len(at) + 1)
    windows = windows_of(trend, load, start, stop)
    block = _Block(trend, times, at, load, windows, samples)
    low = block.drops()
    block.recoveries(full & ~low[at])
    steady = worked >= trend.settings.trend.steady_after_minutes * 60 - cadence[at] / 2
    block.slow(values, facts, steady)
    trend.times.extend(times[-CADENCE_OF:].tolist())
    trend.cadence, trend.fed, trend.paced = cadence[-1].item(), trend.fed + rows, False
    if len(at):
        trend.busy, trend.worked = trend.busy + len(at), worked[-1].item()
        trend.last = samples.minutes(int(start[-1]), len(samples))


class _Block:
    """A block of new samples of one engine, which is searched for each kind of trend."""

    def __init__(
        self,
        trend: EngineTrend,
        times: Floats,
        at: Indexes,
        load: Load,
        windows: Windows,
        samples: Samples,
    ) -> None:
        """Search a block.

        Args:
            trend: the state of the engine's trends before the block; it is changed.
            times: when each sample of the block was written.
            at: the rows of its busy samples.
            load: busy samples as columns: those of the last minutes before the block, then its own.
            windows: the last busy minutes of each busy sample of the block.
            samples: the busy samples of `load`, one by one.
        """
        self.trend, self.times, self.at = trend, times, at
        self.load, self.windows, self.samples = load, windows, samples
        self.known = len(samples) - len(at)
        self.place = np.full(len(times), -1)
        self.place[at] = np.arange(len(at))

    def _sample(self, row: int) -> Busy | None:
        place = int(self.place[row])
        return None if place < 0 else self.samples[self.known + place]

    def _window(self, place: int) -> list[Busy]:
        """Return the last busy minutes at a place; at −1, those at the end of the last block."""
        if place < 0:
            return self.trend.last.samples()
        return self.samples.part(int(self.windows.start[place]), int(self.windows.stop[place]))

    def _minutes(self, place: int) -> LastMinutes:
        start, stop = self.windows.start[place], self.windows.stop[place]
        return self.samples.minutes(int(start), int(stop))

    def drops(self) -> Bools:
        """Follow sudden drops; return for each row whether throughput is in a drop."""
        trend, at, windows = self.trend, self.at, self.windows
        drop, share = trend.drop, trend.settings.trend.sudden_drop_share
        last = [one.rate for one in trend.last.samples()]
        highest = np.concatenate(([max(last, default=-np.inf)], windows.highest[:-1]))
        sizes = np.concatenate(([len(last)], (windows.stop - windows.start)[:-1]))
        rates = self.load.rate[self.known :]
        # A rate that is not low against the highest one needs no median: a median is never higher.
        some = (sizes[: len(at)] >= FEWEST) & (rates < share * highest[: len(at)])
        begins = at[self._low_ones(np.flatnonzero(some))]
        low, row = np.zeros(len(self.times), bool), 0
        drop.highest = max(drop.highest, rates.max(initial=0.0).item())
        while row < len(self.times):
            window: list[Busy] = []
            if drop.base is None:
                place = int(np.searchsorted(begins, row))
                if place == len(begins):
                    break
                row = int(begins[place])
                window = self._window(int(self.place[row]) - 1)
            drop.feed(self._sample(row), window.copy)
            low[row] = drop.active is not None
            trend.step_change(DROP, self.times[row].item(), drop.active)
            row += 1
        return low

    def _low_ones(self, some: Indexes) -> Indexes:
        """Return those of the places `some` whose rate is low against the minutes before."""
        if not len(some):
            return some
        trend, load, place = self.trend.settings.trend, self.load, self.known + some
        start = np.concatenate(([0], self.windows.start[:-1]))[some]
        rate, noise, work = medians(load, start, place)
        mine = load.rate[place]
        return np.asarray(
            some[
                (load.work[place] >= (1 - trend.running_tolerance) * work)
                & (mine < trend.sudden_drop_share * rate)
                & (mine < rate - trend.outlier_deviations * noise)
                & (load.prompt[place] < rate - mine)
            ]
        )

    def recoveries(self, full: Bools) -> None:
        """Follow throughput that stays low after a pause.

        `full`: for each busy sample, whether its window is complete and outside of drops, so that
        the usual throughput can be learnt from it.
        """
        trend, row = self.trend, 0
        recovery = trend.recovery
        recovery.settle(trend.last)
        usable = full & (self.windows.near >= STEADY_SHARE)
        stirring, of = self.at, None
        while row < len(self.times):
            pause = recovery.pause
            if pause is None:
                row = self._pause(row, usable)
                if row == len(self.times):
                    return
            elif not pause.after and recovery.active is None:
                if of is not pause:
                    of, stirring = pause, self._stirring(pause.before.running, usable)
                place = int(np.searchsorted(stirring, row))
                if place == len(stirring):
                    return
                row = int(stirring[place])
            place = int(self.place[row])
            whole = place >= 0 and bool(usable[place])
            window = self._minutes(place) if whole else trend.last
            recovery.feed(self._sample(row), window, full=whole)
            recovery.settle(window)
            trend.step_change(RECOVERY, self.times[row].item(), recovery.active)
            row += 1

    def _stirring(self, before: float, usable: Bools) -> Indexes:
        """Return the rows that must be looked at one by one after a pause.

        They are needed until the throughput before and after the pause is compared. First, rows at
        which about as many requests run as `before` the pause, in groups that last for
        `busy_minutes` or reach the end of the block. Second, rows at which a different load has
        lasted long enough to be the usual one.
        """
        running, recovery = self.load.running[self.known :], self.trend.recovery
        trend = self.trend.settings.trend
        back = np.abs(running - before) <= trend.running_tolerance * before
        known = running >= recovery.running / 2 if recovery.running else np.ones_like(back)
        places = np.flatnonzero(back & known)
        if len(places):
            rows, covers = self.at[places], np.maximum(self.load.covers[self.known + places], 0)
            first = np.flatnonzero(np.diff(rows, prepend=-2) > 1)
            covered = np.add.reduceat(covers, first) + np.maximum.reduceat(covers, first) / 2
            long = covered >= trend.busy_minutes * 60 * _NEARLY
            long[-1] |= rows[-1] == len(self.times) - 1
            back[places] = np.repeat(long, np.diff(first, append=len(rows)))
        return np.asarray(self.at[(back | usable) & known])

    def _pause(self, row: int, usable: Bools) -> int:
        """Learn the usual throughput and load from `row` on, up to the next pause.

        Return the row at which the pause begins, or the number of rows if none does.
        """
        at, recovery, rows = self.at, self.trend.recovery, len(self.times)
        first = int(np.searchsorted(at, row))
        some, learnt = at[first:], usable[first:]
        newest = np.maximum.accumulate(np.where(learnt, np.arange(len(some)), -1))
        before = np.concatenate(([-1], newest[:-1]))[: len(some)]
        usual = self.windows.usual[first:]
        unknown = np.nan if recovery.running is None else recovery.running
        level = np.where(before >= 0, usual[before], unknown) if len(some) else usual
        low = some[self.load.running[self.known + first :] < level / 2]
        idle = np.flatnonzero(self.place[row:] < 0) + row
        if not recovery.steady:
            known = some[learnt]
            idle = idle[idle > known[0]] if len(known) else idle[:0]
        pause = min((int(rows_[0]) for rows_ in (low, idle) if len(rows_)), default=rows)
        stop = int(np.searchsorted(some, pause))
        if stop and newest[stop - 1] >= 0:
            place = first + int(newest[stop - 1])
            recovery.steady = tuple(self._window(place))
            recovery.running = float(self.windows.usual[place])
        return pause

    def slow(self, values: Mapping[str, Floats], facts: Values, steady: Bools) -> None:
        """Begin and end the spans of `EXPECTED` and `FAULTY`; `steady`: the run is long enough."""
        trend, windows = self.trend, self.windows
        first = trend.first_minutes
        if first is None or not len(self.at):
            expected = faulty = np.zeros(len(self.at), bool)
            apart = expected
        else:
            start = trend.busy + windows.start - self.known
            apart = (start >= trend.first_samples) & self._comparable(first)
            columns = {name: column[self.at] for name, column in values.items()}
            expected, faulty = self._verdicts(columns, facts, apart)
        for name, past in ((EXPECTED, expected), (FAULTY, faulty & steady)):
            self._spans(name, past, apart, values, facts)

    def _comparable(self, first: Minutes) -> Bools:
        """Return for which busy samples about as many requests ran as in the `first` minutes."""
        alike, windows = self.trend.settings.trend.running_tolerance, self.windows
        return (
            (np.abs(windows.running - first.running) <= alike * first.running)
            & (np.abs(windows.usual - first.usual) <= alike * first.usual)
            & (first.per_request > 0)
        )

    def _verdicts(
        self, values: Mapping[str, Floats], facts: Values, apart: Bools
    ) -> tuple[Bools, Bools]:
        """Return which busy samples are slower as expected, and which are slower than expected.

        `apart`: the samples that can be compared with the first busy minutes.
        """
        trend, windows, first = self.trend, self.windows, self.trend.first_minutes
        settings = trend.settings.trend
        none = np.zeros(len(self.at), bool)
        tokens = of_all(facts, "context_tokens", trend.engine)
        if first is None or first.per_request <= 0 or tokens is None:
            return none, none
        if "kv_cache_usage" not in values:
            return none, none
        fall = 1 - windows.per_request / first.per_request
        shown = apart & (fall > trend.least)
        context = values["kv_cache_usage"] * tokens / values["running"]
        limits = np.array([limit for limit, _, _ in bands(settings)])
        highs = np.array([*(high for _, _, high in bands(settings)), np.nan])
        high = highs[np.searchsorted(limits, context, "right")]
        noise = settings.noise_errors * np.sqrt(
            first.error * first.error + windows.error * windows.error
        )
        expected = shown & (fall <= high) & (fall - noise > settings.fall_to_4k)
        faulty = shown & (fall > high) & (fall - noise > high)
        if "prefix_cache_hit_rate" in values:
            excellent = trend.settings.health.prefix_cache_excellent
            faulty &= ~(values["prefix_cache_hit_rate"] >= excellent)
        return expected, faulty

    def _spans(
        self, name: str, past: Bools, apart: Bools, values: Mapping[str, Floats], facts: Values
    ) -> None:
        trend, rows = self.trend, len(self.times)
        hold = trend.holds.get(name, AT_REST)
        if not hold.firing and not past.any():
            return
        every = np.zeros(rows, bool)
        every[self.at] = past

        begun = 0 if hold.firing else rows
        found, seconds = self.at[past], self.times.tolist()
        hold, changes = hold_changes(
            hold, trend.lengths(name), trend.fed, seconds, found, lambda: (~every, self.place < 0)
        )
        trend.holds[name] = hold
        for change in changes:
            if change.kind == "fires":
                begun = change.row
                trend.begin_slow(name, change.since, self.times[begun].item())
            else:
                self._note_worst(name, begun, change.row, apart, values, facts)
                trend.end_slow(name, self.times[change.row].item())
                begun = rows
        self._note_worst(name, begun, rows, apart, values, facts)

    def _note_worst(
        self,
        name: str,
        start: int,
        stop: int,
        apart: Bools,
        values: Mapping[str, Floats],
        facts: Values,
    ) -> None:
        """Note a slow run's figures at its lowest rate per request in rows `start` to `stop`."""
        first, last = np.searchsorted(self.at, (start, stop)).tolist()
        rates = np.where(apart[first:last], self.windows.per_request[first:last], np.inf)
        if not len(rates) or not rates.min() < self.trend.worst[name][0]:
            return
        place = first + int(rates.argmin())
        row = int(self.at[place])
        sample = dict(_known(values, row))
        minutes = minutes_of(self._window(place))
        self.trend.note_worst(name, rates.min().item(), minutes, sample, facts)


def _known(values: Mapping[str, Floats], row: int) -> Iterator[tuple[str, float]]:
    for name, column in values.items():
        value = column[row].item()
        if value == value:
            yield name, value
