"""Trends of one engine: samples in, spans with a trend out.

`EngineTrend.step` takes one sample, `trendcolumns.py` many together; a test compares both. The
figures of a moment are computed on demand from the samples around it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from vllm_watch.config import Settings
from vllm_watch.config.sections import Severity
from vllm_watch.core.copying import copied
from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.percentiles import middle_of
from vllm_watch.core.series import DEFAULT_CADENCE, SILENCE_CADENCES, median_distance
from vllm_watch.health.holds import AT_REST, Hold, HoldLengths, eased, pressed
from vllm_watch.health.plan import Values
from vllm_watch.health.signals import of_all
from vllm_watch.health.slowdown import (
    FEWEST_LINES,
    MOST_BUSY,
    Busy,
    LastMinutes,
    Minutes,
    SlowDown,
    bands,
    comparable,
    context_per_request,
    judged,
)
from vllm_watch.health.throughputdrops import Change, NoRecovery, SuddenDrop, Usual

MOST_SPANS = 1_000
"""Trends kept per engine."""
CADENCE_OF = 65
"""Newest lines whose distances give the cadence …"""
CADENCE_EACH = 8
"""… found again at each eighth line, and at each of the first sixteen."""
_NEARLY = 1e-6
"""Sums of the same rates in another order differ by a smaller share than this."""
EXPECTED, FAULTY = "slows-as-expected", "slows-too-much"
DROP, RECOVERY = "sudden-drop", "no-recovery"

Figures = tuple[SlowDown, Mapping[str, float]]
"""How slow a run is at a moment, and the numbers for the text."""


@dataclass(frozen=True, slots=True)
class TrendSpan:
    """One span of a trend."""

    id: str
    engine: int
    since: float
    """Epoch seconds of the first sample of the span."""
    fired: float
    """The sample at which the trend was certain."""
    until: float | None = None
    """The sample at which the trend was over, None while it lasts."""
    before: Usual | None = None
    """The usual figures before a change."""
    worst: Figures | None = None
    """Once it is over: how slow the run was at its worst, with figures (of a change: the last)."""

    @property
    def severity(self) -> Severity:
        """The severity: a note for `EXPECTED`, a warning for the other trends."""
        return "note" if self.id == EXPECTED else "warning"

    def firing_at(self, time: float) -> bool:
        """Return whether the trend holds at `time`."""
        return self.fired <= time and (self.until is None or time < self.until)

    def moved(self, seconds: float) -> TrendSpan:
        """Return the span with its times shifted."""
        until = None if self.until is None else self.until + seconds
        return replace(self, since=self.since + seconds, fired=self.fired + seconds, until=until)


class EngineTrend:
    """Trends of one engine in one run."""

    __slots__ = (
        *("engine", "settings", "spans", "times", "cadence", "paced", "fed", "first_minutes"),
        *("first_samples", "first_end", "last", "busy", "worked", "holds", "lasting", "worst"),
        *("drop", "recovery", "least"),
    )

    def __init__(self, engine: int, settings: Settings) -> None:
        """Judge with `settings`."""
        self.engine = engine
        self.settings = settings
        self.spans: list[TrendSpan] = []
        self.times: deque[float] = deque(maxlen=CADENCE_OF - 1)
        self.cadence = DEFAULT_CADENCE
        self.paced = False
        """Whether all lines since then came at `cadence`, so that it need not be found again."""
        self.fed = 0
        """Samples judged so far."""
        self.first_minutes: Minutes | None = None
        """The first busy minutes, None until they are complete; their samples, and their end."""
        self.first_samples, self.first_end = 0, 0.0
        self.last = LastMinutes()
        self.busy = 0
        """Busy samples so far."""
        self.worked = 0.0
        """Seconds that the busy samples cover."""
        self.holds: dict[str, Hold] = {}
        self.lasting: frozenset[str] = frozenset()
        """The trends that have begun and not ended."""
        self.worst: dict[str, tuple[float, Figures]] = {}
        """The lowest rate per request of the present slow run, and the figures then."""
        self.drop = SuddenDrop(settings.health, settings.trend)
        self.recovery = NoRecovery(settings.health, settings.trend)
        self.least = min(settings.trend.fall_to_4k, *(high for _, _, high in bands(settings.trend)))
        """Falls up to this share are no trend."""

    def copy(self) -> EngineTrend:
        """Return a copy that further samples do not change."""
        other = copied(self)
        other.spans, other.times, other.last = (
            self.spans.copy(),
            self.times.copy(),
            self.last.copy(),
        )
        other.holds, other.worst = {**self.holds}, {**self.worst}
        other.drop, other.recovery = self.drop.copy(), self.recovery.copy()
        return other

    # --- one sample ---------------------------------------------------------------------------

    def step(self, time: float, values: Values, facts: Values) -> None:
        """Take the next sample."""
        sample = self._busy_sample(time, values)
        self.times.append(time)
        drop, recovery = self.drop, self.recovery
        drop.feed(sample, self.last.samples)
        full = self._take(sample) if sample is not None else False
        # Rates after a drop do not count as usual ones.
        full = full and drop.active is None
        recovery.feed(sample, self.last, full=full)
        self._step_slow(time, sample, values, facts)
        if self.lasting or drop.active is not None or recovery.active is not None:
            self.step_change(DROP, time, drop.active)
            self.step_change(RECOVERY, time, recovery.active)
        self.fed += 1

    def needed(self, cadence: float) -> float:
        """Return the busy seconds that count as complete busy minutes.

        They are half a cadence fewer than the setting, because lines never come at exact intervals.
        A server that writes rarely needs at least `FEWEST_LINES` lines, however long they take.
        """
        return max(self.settings.trend.busy_minutes * 60, FEWEST_LINES * cadence) - cadence / 2

    def _busy_sample(self, time: float, values: Values) -> Busy | None:
        distance = time - self.times[-1] if self.times else None
        self.paced = self.paced and distance == self.cadence
        if self.fed < 2 * CADENCE_EACH or self.fed % CADENCE_EACH == 0:
            if not self.paced or self.fed < CADENCE_OF + CADENCE_EACH:
                self.cadence = median_distance([*self.times, time])
            self.paced = True
        if distance is None or distance > SILENCE_CADENCES * self.cadence:
            distance = self.cadence
        return busy_sample(time, distance, values, self.worked)

    def _take(self, sample: Busy) -> bool:
        """Add a busy sample to the first and the last minutes; return whether both are complete."""
        self.busy += 1
        self.worked = sample.begun + sample.covers
        limit = self.worked - self.needed(self.cadence)
        last = self.last
        last.add(sample)
        if self.first_minutes is None and (last.begun <= limit or len(last) >= MOST_BUSY):
            self.found_first(last.means(), len(last), sample.time)
        return last.forget(limit)

    def found_first(self, minutes: Minutes, samples: int, end: float) -> None:
        """Note the first busy minutes; they have so many `samples` and are complete at `end`."""
        self.first_minutes, self.first_samples, self.first_end = minutes, samples, end

    def _step_slow(self, time: float, sample: Busy | None, values: Values, facts: Values) -> None:
        """Begin and end the two trends of a slow run, as alerts do.

        A fault is reported in the steady state only: in the first minutes of a healthy server all
        its requests are young, and faster than later. Falls within chance (two standard errors of
        the two means, a textbook bound of 95 %) are ignored.
        """
        verdict, rate = None, None
        slow = sample is not None and self._may_be_slow(facts)
        if not (slow or self.worst):
            return
        # None while the last minutes overlap with the first.
        if sample is not None and self.apart(self.busy - len(self.last)):
            verdict = self._verdict(values, facts) if slow else None
            if verdict is not None or self.worst:
                rate = self.last.means().per_request
        if verdict is None and not self.worst:
            return
        trend = self.settings.trend
        steady = self.worked >= trend.steady_after_minutes * 60 - self.cadence / 2
        for name, past in (
            (EXPECTED, verdict == "expected"),
            (FAULTY, verdict == "faulty" and steady),
        ):
            self._hold(name, time, past=past, idle=sample is None)
            if rate is not None and name in self.worst and rate < self.worst[name][0]:
                self._note_worst(name, rate, values, facts)

    def apart(self, start: int) -> bool:
        """Return whether busy minutes from the `start`-th sample on come after the first ones."""
        return self.first_minutes is not None and start >= self.first_samples

    def _verdict(self, values: Values, facts: Values) -> str | None:
        first = self.first_minutes
        if first is None:
            return None
        last = self.last.means()
        if 1 - last.per_request / first.per_request <= self.least:
            return None
        slow = self._judged(last, values, facts)
        if slow.fall is None:
            return None
        level = self.settings.trend.fall_to_4k
        if slow.verdict == "faulty" and slow.band is not None:
            level = slow.band[1]
        return slow.verdict if slow.fall - self.noise(first.error, last.error) > level else None

    def _may_be_slow(self, facts: Values) -> bool:
        """Return False if the sums of the last minutes show that they are not slow."""
        first, last = self.first_minutes, self.last
        if first is None or first.per_request <= 0 or "context_tokens" not in facts:
            return False
        if 1 - last.rates / last.running / first.per_request <= self.least - _NEARLY:
            return False
        tolerance = self.settings.trend.running_tolerance
        return abs(middle_of(last.ran) - first.usual) <= tolerance * first.usual

    def noise(self, first: float, last: float) -> float:
        """Return the fall that chance alone can make, from the standard errors of two means."""
        return self.settings.trend.noise_errors * math.sqrt(first * first + last * last)

    def _judged(self, last: Minutes | None, values: Values, facts: Values) -> SlowDown:
        tokens = of_all(facts, "context_tokens", self.engine)
        context = context_per_request(values.get("kv_cache_usage"), tokens, values.get("running"))
        shared = self.shared(values.get("prefix_cache_hit_rate"))
        first = self.first_minutes
        return judged(first, last, context, self.settings.trend, shared=shared)

    def shared(self, hits: float | None) -> bool:
        """Return whether prefixes are shared so much that contexts are longer than they seem."""
        return hits is not None and hits >= self.settings.health.prefix_cache_excellent

    def figures(self, last: Minutes | None, values: Values, facts: Values) -> Figures:
        """Return the figures of a moment from its sample and its last busy minutes."""
        slow = self._judged(last, values, facts)
        row = {} if last is None else {"last_running": last.running}
        if slow.context is not None:
            row |= {"context": slow.context}
            row |= {"fill": values["kv_cache_usage"], "runs": values["running"]}
        return slow, row

    # --- spans --------------------------------------------------------------------------------

    def lengths(self, name: str) -> HoldLengths:
        """Return how many samples begin a slow run, and how many end it.

        The mean over minutes is smooth: the note needs no hold, the warning has one.
        """
        needed = 1 if name == EXPECTED else self.settings.health.hold_samples
        return HoldLengths(needed, needed, self.settings.health.clear_samples)

    def _hold(self, name: str, time: float, *, past: bool, idle: bool) -> None:
        hold = self.holds.get(name, AT_REST)
        if not (past or hold.firing):
            return
        lengths = self.lengths(name)
        if hold.firing:
            self.holds[name] = eased(hold, lengths, cleared=not past, idle=idle)
            if not self.holds[name].firing:
                self.end_slow(name, time)
        else:
            self.holds[name] = pressed(hold, lengths, self.fed, time)
            if self.holds[name].firing:
                self.begin_slow(name, self.holds[name].since, time)

    def begin_slow(self, name: str, since: float, time: float) -> None:
        """Begin a slow run."""
        self.worst[name] = (math.inf, (SlowDown("unknown", ""), {}))
        self._begin(TrendSpan(name, self.engine, since, time))

    def end_slow(self, name: str, time: float) -> None:
        """End a slow run; it is reported with the figures at its worst."""
        _, figures = self.worst.pop(name)
        self._end(name, time, figures)

    def _note_worst(self, name: str, rate: float, values: Values, facts: Values) -> None:
        first, last = self.first_minutes, self.last.means()
        tolerance = self.settings.trend.running_tolerance
        if first and first.per_request > 0 and comparable(first, last, tolerance):
            self.note_worst(name, rate, last, values, facts)

    def note_worst(
        self, name: str, rate: float, last: Minutes, values: Values, facts: Values
    ) -> None:
        """Remember the figures of a slow run at its lowest rate per request so far."""
        self.worst[name] = (rate, self.figures(last, values, facts))

    def step_change(self, name: str, time: float, change: Change | None) -> None:
        """Begin, continue or end a change."""
        if change is None and name not in self.lasting:
            return
        at = self._open(name)
        if change is not None and at is None:
            span = TrendSpan(name, self.engine, change.since, time, None, change.before)
            self._begin(replace(span, worst=change_figures(change)))
        elif change is not None and at is not None:
            self.spans[at] = replace(self.spans[at], worst=change_figures(change))
        elif at is not None:
            self._end(name, time, None)

    def _begin(self, span: TrendSpan) -> None:
        self.lasting |= {span.id}
        self.spans.append(span)
        del self.spans[:-MOST_SPANS]

    def _end(self, name: str, time: float, figures: Figures | None) -> None:
        at = self._open(name)
        self.lasting -= {name}
        if at is not None:
            span = self.spans[at]
            worst = span.worst if figures is None else figures
            self.spans[at] = replace(span, until=max(time, span.fired), worst=worst)

    def _open(self, name: str) -> int | None:
        """Return the index of the span of a trend that has not ended."""
        for at in range(len(self.spans) - 1, -1, -1):
            if self.spans[at].id == name:
                return at if self.spans[at].until is None else None
        return None


def busy_sample(time: float, covers: float, values: Values, begun: float) -> Busy | None:
    """Return a sample with running requests as the trends see it, None for any other."""
    running, rate = values.get("running"), values.get("generation_tps")
    if not running or rate is None:
        return None
    fill = values.get("kv_cache_usage")
    return Busy(
        time,
        covers,
        rate,
        running,
        running + values.get("waiting", 0.0),
        values.get("prompt_tps", 0.0),
        math.nan if fill is None else fill / running,
        begun,
    )


def change_figures(change: Change) -> Figures:
    """Return the numbers of a change at its newest sample."""
    return SlowDown("unknown", ""), {
        "before": change.before.rate,
        "ran": change.before.running,
        "now": change.now,
        "runs": change.running,
    }
