"""Trends of one engine: its samples in, spans of time in which a trend holds out (HEALTH §3)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

from vllm_watch.config import Settings
from vllm_watch.core.buckets import Keep, Tier
from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.core.records import FieldValue
from vllm_watch.core.series import DEFAULT_CADENCE, SILENCE_CADENCES, Series, median_distance
from vllm_watch.health.facts import context_tokens
from vllm_watch.health.faults import Change, NoRecovery, SuddenDrop
from vllm_watch.health.findings import Finding
from vllm_watch.health.longcontext import (
    FEWEST_LINES,
    MOST_BUSY,
    Busy,
    Minutes,
    SlowDown,
    context_per_request,
    judged,
    minutes_of,
)
from vllm_watch.health.rules import Severity

MOST_SPANS = 1_000
"""Trends kept per engine."""
TRACK_FULL_SECONDS = 3_600.0
"""Seconds for which the figures of each sample are kept, where memory is bounded."""
TRACK_TIER = Tier(120.0, 720)
"""How those of the last day are kept."""
_CADENCE_OF = 64
"""Newest lines whose distances tell the cadence."""


@dataclass(slots=True)
class TrendSpan:
    """One trend's life."""

    id: str
    engine: int
    since: float
    """First sample of it."""
    fired: float
    """The sample at which it was certain."""
    until: float | None = None
    """The sample at which it was over, None while it lasts."""
    worst: tuple[SlowDown, Mapping[str, float]] | None = None
    """Of one that is over, how slow it was at its worst (of a change, at last), and the figures."""
    told: tuple[Finding, ...] | None = None
    """What it was told as when it was certain, once that cannot change any more."""

    @property
    def severity(self) -> Severity:
        """How bad it is (HEALTH: expected is a note, faulty a warning)."""
        return "note" if self.id == "slows-as-expected" else "warning"

    def firing_at(self, time: float) -> bool:
        """Tell whether it holds at `time`."""
        return self.fired <= time and (self.until is None or time < self.until)


class EngineTrend:
    """Trends of one engine in one run."""

    def __init__(self, engine: int, settings: Settings, keep: Keep | None = None) -> None:
        """Judge with `settings`; `keep` bounds the track."""
        self.engine = engine
        self.spans: list[TrendSpan] = []
        self.track = Series(_track_of(keep))
        """What was computed at each sample: the figures behind `slow_down` and the faults."""
        self._settings = settings
        self._times: deque[float] = deque(maxlen=_CADENCE_OF)
        self._cadence = DEFAULT_CADENCE
        self._fed = 0
        self._first: list[Busy] = []
        self._last: deque[Busy] = deque()
        self._covered = 0.0
        self._worked = 0.0
        self._first_minutes: Minutes | None = None
        self._busy = 0
        self._open: dict[str, TrendSpan] = {}
        self._held: dict[str, list[float]] = {}
        self._clear: dict[str, int] = {}
        self._drop = SuddenDrop(settings.health, settings.trend)
        self._recovery = NoRecovery(settings.health, settings.trend)

    def feed(
        self, time: float, values: Mapping[str, float], config: Mapping[str, FieldValue]
    ) -> None:
        """Take the next sample; one out of order in time tells nothing of a trend."""
        if self._times and time < self._times[-1]:
            return
        sample = self._busy_sample(time, values)
        self._times.append(time)
        self._drop.feed(sample, self._last)
        if sample is not None:
            self._take(sample)
        last = self._last_minutes() if sample is not None else None
        slow = self._slow_down(last, values, config) if sample is not None else None
        # What a drop left is not learnt as usual.
        full = self._covered >= self._needed and self._drop.active is None
        self._recovery.feed(sample, self._last, full=full)
        self._note(time, slow, last, values)
        self._step_slow(time, slow, last)
        self._step_change("sudden-drop", time, self._drop.active)
        self._step_change("no-recovery", time, self._recovery.active)

    def shift(self, seconds: float) -> None:
        """Move everything: the zone of the log turned out to be another."""
        self.track.shift(seconds)
        self._times = deque((time + seconds for time in self._times), maxlen=_CADENCE_OF)
        for span in self.spans:
            span.since += seconds
            span.fired += seconds
            span.until = None if span.until is None else span.until + seconds
            span.told = None
        self._held = {
            name: [time + seconds for time in times] for name, times in self._held.items()
        }
        self._drop.shift(seconds)
        self._recovery.shift(seconds)

    def slow_down(self, time: float) -> SlowDown:
        """Return how much slower the run is at `time` than in its first minutes."""
        at = self.track.index_at(time)
        if at is None:
            return judged(None, None, None, self._settings.trend)
        row = self.track.sample(at)
        first = _minutes(row, "first")
        last = _minutes(row, "last")
        context = row.get("context")
        return judged(first, last, context, self._settings.trend, shared=bool(row.get("shared")))

    # --- one sample ---------------------------------------------------------------------------

    @property
    def _needed(self) -> float:
        """Seconds of busy minutes, half a line less: intervals are never quite a whole number.

        A server that writes rarely needs at least `FEWEST_LINES`, however long they take.
        """
        minutes = self._settings.trend.busy_minutes * 60
        return max(minutes, FEWEST_LINES * self._cadence) - self._cadence / 2

    def _busy_sample(self, time: float, values: Mapping[str, float]) -> Busy | None:
        distance = time - self._times[-1] if self._times else None
        if self._fed < 16 or self._fed % 8 == 0:
            self._cadence = median_distance([*self._times, time])
        self._fed += 1
        if distance is None or distance > SILENCE_CADENCES * self._cadence:
            distance = self._cadence
        running, rate = values.get("running"), values.get("generation_tps")
        if not running or rate is None:
            return None
        fill = values.get("kv_cache_usage")
        return Busy(
            time,
            distance,
            rate,
            running,
            running + values.get("waiting", 0.0),
            values.get("prompt_tps", 0.0),
            None if fill is None else fill / running,
        )

    def _take(self, sample: Busy) -> None:
        """Put a busy sample into the first minutes, until they are whole, and the last ones."""
        self._busy += 1
        self._worked += sample.covers
        if self._first_minutes is None:
            self._first.append(sample)
            covered = sum(one.covers for one in self._first)
            if covered >= self._needed or len(self._first) >= MOST_BUSY:
                self._first_minutes = minutes_of(self._first)
        self._last.append(sample)
        self._covered += sample.covers
        while len(self._last) > 1 and (
            self._covered - self._last[0].covers >= self._needed or len(self._last) > MOST_BUSY
        ):
            self._covered -= self._last.popleft().covers

    def _last_minutes(self) -> Minutes | None:
        """Return the last busy minutes, None while they overlap with the first."""
        apart = self._busy - len(self._last) >= len(self._first)
        return minutes_of(self._last) if self._first_minutes is not None and apart else None

    def _slow_down(
        self,
        last: Minutes | None,
        values: Mapping[str, float],
        config: Mapping[str, FieldValue],
    ) -> SlowDown:
        context = context_per_request(
            values.get("kv_cache_usage"),
            _cache_tokens(config, self.engine),
            values.get("running"),
        )
        return judged(
            self._first_minutes,
            last,
            context,
            self._settings.trend,
            shared=self._shared(values),
        )

    def _shared(self, values: Mapping[str, float]) -> bool:
        hits = values.get("prefix_cache_hit_rate")
        return hits is not None and hits >= self._settings.health.prefix_cache_excellent

    def _note(
        self,
        time: float,
        slow: SlowDown | None,
        last: Minutes | None,
        values: Mapping[str, float],
    ) -> None:
        """Remember the figures of this sample."""
        row: dict[str, float] = {}
        first = self._first_minutes
        if first is not None and last is not None:
            row |= _row(first, "first") | _row(last, "last")
        if slow is not None and slow.context is not None:
            row["context"] = slow.context
            row |= {"fill": values["kv_cache_usage"], "runs": values["running"]}
        if self._shared(values):
            row["shared"] = 1.0
        for name, change in (("drop", self._drop.active), ("recovery", self._recovery.active)):
            if change is not None:
                row |= {
                    f"{name}_before": change.before.rate,
                    f"{name}_ran": change.before.running,
                    f"{name}_now": change.now,
                    f"{name}_runs": change.running,
                }
        self.track.append(time, row)

    # --- spans --------------------------------------------------------------------------------

    def _step_slow(self, time: float, slow: SlowDown | None, last: Minutes | None) -> None:
        """Begin and end the two trends of a slow run, as alerts do (HEALTH §1).

        A fault is one in the steady state only: the first minutes of a healthy server, when all
        its requests are young, are faster than what follows. What chance alone can do (two
        standard errors of the two means, a textbook bound of 95 %) is no fall.
        """
        verdict = None
        if slow is not None and slow.fall is not None and last is not None:
            first = self._first_minutes.error if self._first_minutes is not None else 0.0
            noise = self._settings.trend.noise_errors * math.hypot(first, last.error)
            level = self._settings.trend.fall_to_4k
            if slow.verdict == "faulty" and slow.band is not None:
                level = slow.band[1]
            verdict = slow.verdict if slow.fall - noise > level else None
        hold = self._settings.health.hold_samples
        steady = self._worked >= self._settings.trend.steady_after_minutes * 60 - self._cadence / 2
        idle = slow is None
        faulty = verdict == "faulty" and steady
        # A mean over minutes is no single sample: the note needs no hold, the warning has one.
        self._hold("slows-as-expected", time, past=verdict == "expected", needed=1, idle=idle)
        self._hold("slows-too-much", time, past=faulty, needed=hold, idle=idle)

    def _hold(self, name: str, time: float, *, past: bool, needed: int, idle: bool) -> None:
        held = self._held.setdefault(name, [])
        if name in self._open:
            self._clear[name] = 0 if past else self._clear.get(name, 0) + 1
            if idle or self._clear[name] >= self._settings.health.clear_samples:
                self._end(name, time)
                held.clear()
            return
        if not past:
            held.clear()
            return
        held.append(time)
        if len(held) >= needed:
            self._begin(name, held[0], time)

    def _step_change(self, name: str, time: float, change: Change | None) -> None:
        if change is not None and name not in self._open:
            self._begin(name, change.since, time)
        elif change is None and name in self._open:
            self._end(name, time)

    def _begin(self, name: str, since: float, time: float) -> None:
        span = TrendSpan(name, self.engine, since, time)
        self._open[name] = span
        self._clear[name] = 0
        self.spans.append(span)
        del self.spans[:-MOST_SPANS]

    def _end(self, name: str, time: float) -> None:
        span = self._open.pop(name)
        span.until = max(time, span.fired)
        # What is over is told by the figures at its worst: at its end it held no more.
        low, high = self.track.span(span.fired, math.nextafter(span.until, -math.inf))
        at = min(max(low, high - 1), len(self.track) - 1)
        if name.startswith("slows"):
            rates = self.track.values("last_rate", low, high)
            known = [(rate, low + i) for i, rate in enumerate(rates) if rate is not None]
            at = min(((rate, i) for rate, i in known if self._tells(i)), default=(0.0, at))[1]
        span.worst = self.slow_down(self.track.times[at]), self.track.sample(at)

    def figures(self, span: TrendSpan, time: float) -> tuple[SlowDown, Mapping[str, float]]:
        """Return how slow a trend that lasts was at `time`, or when it could be told last."""
        low, high = self.track.span(span.fired, time)
        at = self.track.index_at(time) or 0
        if span.id.startswith("slows"):
            at = next((i for i in reversed(range(low, high)) if self._tells(i)), at)
        return self.slow_down(self.track.times[at]), self.track.sample(at)

    def _tells(self, index: int) -> bool:
        """Tell whether a fall could be told at a sample."""
        return self.slow_down(self.track.times[index]).fall is not None


def _track_of(keep: Keep | None) -> Keep | None:
    """Return how much of the figures is kept: they are means of minutes, and thinned sooner."""
    if keep is None:
        return None
    return replace(
        keep,
        full_seconds=min(keep.full_seconds, TRACK_FULL_SECONDS),
        tiers=(TRACK_TIER, *keep.tiers[1:]),
        extremes=False,
    )


def _cache_tokens(config: Mapping[str, FieldValue], engine: int) -> float | None:
    """Return the tokens that fit behind a line: those of all engines for an aggregated one."""
    tokens = context_tokens(config)
    if tokens is None:
        return None
    engines = config.get("data_parallel_size") if engine == ALL_ENGINES else 1
    return tokens * (engines if isinstance(engines, int) and engines > 0 else 1)


def _row(minutes: Minutes, name: str) -> dict[str, float]:
    return {
        f"{name}_rate": minutes.per_request,
        f"{name}_running": minutes.running,
        f"{name}_usual": minutes.usual,
    }


def _minutes(row: Mapping[str, float], name: str) -> Minutes | None:
    figures = [row.get(f"{name}_{part}") for part in ("rate", "running", "usual")]
    if None in figures:
        return None
    rate, running, middle = (figure or 0.0 for figure in figures)
    return Minutes(rate, running, middle)
