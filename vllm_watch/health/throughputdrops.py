"""Sudden drops of throughput, and throughput that stays low after a pause.

Both detectors take the samples of one engine in time order and remember some minutes only. Medians
and MADs (`health/robustfigures.py`) measure "usual" and "noise": the Hampel identifier, which calls
a value an outlier more than 3 scaled MADs off the median of its neighbours.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Sequence

from vllm_watch.config.judgementsections import HealthSettings, TrendSettings
from vllm_watch.core.copying import copied
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.percentiles import median, middle_of
from vllm_watch.health.robustfigures import FEWEST, spread
from vllm_watch.health.slowdown import FEWEST_LINES, MOST_BUSY, Busy, LastMinutes

STEADY_SHARE = 0.75
"""Minutes are steady if this share of their samples has about their median number running."""


class Usual(NamedTuple):
    """The usual figures of some minutes."""

    rate: float
    """Median generation throughput, tokens per second."""
    noise: float
    """Its robust standard deviation."""
    running: float
    """Median number running."""
    work: float
    """Median number running or waiting."""
    per_request_kv: float | None
    """Median KV cache usage per running request."""


class Change(NamedTuple):
    """The evidence of a fault."""

    since: float
    """Epoch seconds of its first sample."""
    before: Usual
    now: float
    """Generation throughput, tokens per second: of a drop the lowest since it was certain."""
    running: float


def usual(samples: Sequence[Busy]) -> Usual:
    """Return the usual figures of some samples.

    Raises:
        ValueError: there are none.
    """
    rates = [sample.rate for sample in samples]
    fills = [fill for sample in samples if (fill := sample.per_request_kv) == fill]
    return Usual(
        median(rates),
        spread(rates),
        median(sample.running for sample in samples),
        median(sample.work for sample in samples),
        median(fills) if fills else None,
    )


class SuddenDrop:
    """A drop to near zero within a line or two, while the load stays.

    A sample is low if four things are true. Its throughput is below `sudden_drop_share` of the
    median of the busy minutes before it. It is more than `outlier_deviations` robust deviations
    below that median. There is as much work (running + waiting, −20 %). Prompts do not explain it:
    their throughput is less than what is missing. `hold_samples` low samples in a row are a drop.
    It is over after `clear_samples` at twice that share or more, or with less work. Low samples do
    not count as usual, so a drop does not become usual while it lasts.
    """

    __slots__ = ("_clear", "_health", "_low", "_trend", "active", "base", "highest")

    def __init__(self, health: HealthSettings, trend: TrendSettings) -> None:
        """Judge with these settings."""
        self._health, self._trend = health, trend
        self.base: Usual | None = None
        """The usual figures before the present low samples."""
        self._low: list[float] = []
        self._clear = 0
        self.highest = 0.0
        """Highest throughput of the run."""
        self.active: Change | None = None
        """The present drop."""

    def feed(self, sample: Busy | None, before: Callable[[], Sequence[Busy]]) -> None:
        """Take the next sample, None for an idle one; `before` returns the busy minutes before."""
        if sample is None:
            self._forget()
            return
        base = self.base
        if base is None:
            share = self._trend.sudden_drop_share
            if sample.rate > self.highest:
                self.highest = sample.rate
            # A median never exceeds the highest value, so most samples need no median.
            if sample.rate >= share * self.highest or len(window := before()) < FEWEST:
                return
            if sample.rate >= share * max([one.rate for one in window]):
                return
            base = usual(window)
        if self.active is not None:
            self._follow(sample, base)
        elif self._is_low(sample, base):
            self.base = base
            self._low.append(sample.time)
            if len(self._low) >= self._health.hold_samples:
                self.active = Change(self._low[0], base, sample.rate, sample.running)
                self._clear = 0
        else:
            self._forget()

    def _is_low(self, sample: Busy, base: Usual) -> bool:
        trend = self._trend
        return (
            sample.work >= (1 - trend.running_tolerance) * base.work
            and sample.rate < trend.sudden_drop_share * base.rate
            and sample.rate < base.rate - trend.outlier_deviations * base.noise
            and sample.prompt < base.rate - sample.rate
        )

    def _follow(self, sample: Busy, base: Usual) -> None:
        trend = self._trend
        back = sample.rate >= 2 * trend.sudden_drop_share * base.rate
        gone = sample.work < (1 - trend.running_tolerance) * base.work
        self._clear = self._clear + 1 if back or gone else 0
        if self._clear >= self._health.clear_samples:
            self._forget()
        elif self.active is not None and sample.rate < self.active.now:
            self.active = self.active._replace(now=sample.rate, running=sample.running)

    def copy(self) -> SuddenDrop:
        """Return a copy that further samples do not change."""
        other = copied(self)
        other._low = self._low.copy()
        return other

    def _forget(self) -> None:
        self.base, self._low, self.active = None, [], None


@dataclass(slots=True)
class _Pause:
    """The busy minutes before a pause, and the samples since the load came back."""

    before: Usual
    after: deque[Busy]


class NoRecovery:
    """Throughput that stays low although the load came back, as with a leak.

    Before a pause (nothing running, or under half the usual number) the busy minutes are kept.
    Later, about as many requests run again (±20 %) for as many minutes, with contexts no longer
    than before (KV usage per request, +20 %). Then the median throughput has to be at least
    `recovery_share` of the median before, or within `outlier_deviations` robust deviations of it.
    If the KV usage is unknown, no fault is reported: longer contexts could explain it.
    """

    __slots__ = (
        *("_clear", "_health", "_trend"),
        *("active", "learnt", "pause", "running", "steady"),
    )

    def __init__(self, health: HealthSettings, trend: TrendSettings) -> None:
        """Judge with these settings."""
        self._health, self._trend = health, trend
        self.steady: Sequence[Busy] = ()
        """The newest steady minutes."""
        self.learnt = False
        """Whether the busy minutes up to now are the steady ones, and not yet in `steady`."""
        self.running: float | None = None
        """Their median number running."""
        self.pause: _Pause | None = None
        self._clear = 0
        self.active: Change | None = None
        """The present lack of recovery."""

    def feed(self, sample: Busy | None, window: LastMinutes, *, full: bool) -> None:
        """Take the next sample, None for an idle one.

        `window`: the last busy minutes, this sample included; `full`: they are complete.
        """
        learnt, self.learnt = self.learnt, False
        if sample is None or (self.running and sample.running < self.running / 2):
            if learnt:
                self.steady = window.samples() if sample is None else window.before()
            self._pausing()
            return
        if self.pause is not None:
            self._returning(sample, self.pause)
        # While the load is back, the last minutes still include those of the pause.
        if full and not (self.pause is not None and self.pause.after):
            self._learn(window.ran)
        if learnt and not self.learnt:
            self.steady = window.before()

    def settle(self, window: LastMinutes) -> None:
        """Keep the steady minutes, if they are those of `window`, before it is replaced."""
        if self.learnt:
            self.steady, self.learnt = window.samples(), False

    def copy(self) -> NoRecovery:
        """Return a copy that further samples do not change."""
        other = copied(self)
        if self.pause is not None:
            other.pause = _Pause(self.pause.before, self.pause.after.copy())
        return other

    def _pausing(self) -> None:
        self.active, self._clear = None, 0
        if self.pause is not None:
            self.pause.after.clear()
        elif self.steady:
            self.pause = _Pause(usual(self.steady), deque())

    def _returning(self, sample: Busy, pause: _Pause) -> None:
        trend = self._trend
        away = abs(sample.running - pause.before.running)
        if away > trend.running_tolerance * pause.before.running:
            pause.after.clear()
            self.active = None
            return
        pause.after.append(sample)
        minutes = max(trend.busy_minutes * 60, FEWEST_LINES * sample.covers) - sample.covers / 2
        covered = sum(one.covers for one in pause.after)
        while len(pause.after) > 1 and (
            covered - pause.after[0].covers >= minutes or len(pause.after) > MOST_BUSY
        ):
            covered -= pause.after.popleft().covers
        if covered < minutes:
            return
        now = usual(pause.after)
        if not self._short_of(now, pause.before):
            self._clear += 1
            if self.active is None or self._clear >= self._health.clear_samples:
                self.pause = self.active = None
            return
        self._clear = 0
        since = pause.after[0].time if self.active is None else self.active.since
        self.active = Change(since, pause.before, now.rate, now.running)

    def _short_of(self, now: Usual, before: Usual) -> bool:
        trend = self._trend
        if now.per_request_kv is None or before.per_request_kv is None:
            return False
        return (
            now.per_request_kv <= (1 + trend.running_tolerance) * before.per_request_kv
            and now.rate < trend.recovery_share * before.rate
            and now.rate < before.rate - trend.outlier_deviations * before.noise
        )

    def _learn(self, ran: Sequence[float]) -> None:
        """Remember steady minutes; steady minutes at another load end the comparison."""
        tolerance, running = self._trend.running_tolerance, middle_of(ran)
        far = tolerance * running
        if max(ran[-1] - running, running - ran[0]) > far:
            last = bisect_right(ran, far, key=lambda one: one - running)
            near = last - bisect_left(ran, -far, key=lambda one: one - running)
            if near < len(ran) * STEADY_SHARE:
                return
        if self.pause is not None:
            before = self.pause.before.running
            if abs(running - before) <= tolerance * before:
                return
            self.pause = self.active = None
        self.steady, self.running, self.learnt = (), running, True
