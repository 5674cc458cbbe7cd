"""Alerts about engine steps, if the log has iteration details."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vllm_watch.config import HealthSettings
from vllm_watch.core.dataclass import dataclass, field, replace
from vllm_watch.core.percentiles import median
from vllm_watch.core.run import Run
from vllm_watch.core.steps import Second, Steps
from vllm_watch.health.plan import Plan
from vllm_watch.health.spans import AlertSpan, RuleWatch

SCOPE = "steps"
"""Scope of rules about the steps of an engine."""
WINDOW = 10.0
"""Seconds of steps judged as one row: one stats interval of vLLM."""
_FEWEST_SECONDS = 4
"""Seconds without prompts, at one batch, needed to know the time of a step."""
_FEWEST_STEPS = 10
"""Fewest steps a second for which stamps of whole seconds are fine enough."""
_SAME_BATCH = 0.2
"""Two seconds have the same batch if their running requests differ by at most this share."""
_BATCH_FACTOR = 1.25
"""Batches that differ by less than this are compared."""
_LEARNT = 3
"""Windows needed to learn the usual time of a step at a batch."""
_DRIFT, _DRIFTS_BELOW = 0.1, 1.5
"""Contexts grow: a time below 1.5 × the usual one moves the usual one by a tenth of the way."""
_KEPT = 4
"""Windows that can be judged again without judging all of them."""
_GONE_SECONDS = 60.0
"""Without further steps, an alert ends after this time."""


@dataclass(slots=True)
class UsualSteps:
    """The usual time of a step without prompts, for each size of the batch."""

    first: dict[int, list[float]] = field(default_factory=dict)
    usual: dict[int, float] = field(default_factory=dict)

    def compare(self, batch: float, seconds: float) -> float | None:
        """Return the usual time at a batch, None if unknown; learn from `seconds`."""
        size = round(math.log(batch, _BATCH_FACTOR))
        usual = self.usual.get(size)
        if usual is None:
            seen = self.first.setdefault(size, [])
            seen.append(seconds)
            if len(seen) == _LEARNT:
                self.usual[size] = median(seen)
            return None
        if seconds < usual * _DRIFTS_BELOW:
            self.usual[size] += _DRIFT * (seconds - usual)
        return usual

    def copy(self) -> UsualSteps:
        """Return a copy that further windows do not change."""
        return UsualSteps({size: [*seen] for size, seen in self.first.items()}, dict(self.usual))


def window_signals(
    times: Sequence[float], rows: Sequence[Second], usual: UsualSteps
) -> dict[str, float]:
    """Return the signals of the seconds of a window, in their order.

    `budget_share` is the share (0…1) of steps at `max_num_batched_tokens`. `step_ratio` is the time
    of a step without prompts ÷ the usual one at the same batch, with `step_time` and `step_usual`
    in seconds and `step_batch` in requests. Unknown signals are left out.
    """
    signals: dict[str, float] = {}
    known = [(row.at_budget, row.steps) for row in rows if row.at_budget is not None]
    steps = sum(count for _, count in known)
    if steps >= _FEWEST_STEPS:
        signals["budget_share"] = sum(full for full, _ in known) / steps
    decoding = [
        (row.steps, row.decode_requests / row.decode_steps)
        for at, row in enumerate(rows)
        if 0 < at < len(rows) - 1 and all(_follows(times, rows, one) for one in (at, at + 1))
    ]
    if len(decoding) < _FEWEST_SECONDS:
        return signals
    batch = median(requests for _, requests in decoding)
    rates = [count for count, requests in decoding if _alike(requests, batch)]
    if len(rates) < _FEWEST_SECONDS:
        return signals
    time = 1 / median(rates)
    if time * _FEWEST_STEPS > 1 and round(math.log(batch, _BATCH_FACTOR)) not in usual.usual:
        return signals
    before = usual.compare(batch, time)
    if before is not None:
        signals |= {"step_ratio": time / before, "step_time": time}
        signals |= {"step_usual": before, "step_batch": batch}
    return signals


def _follows(times: Sequence[float], rows: Sequence[Second], at: int) -> bool:
    """Return whether a second and the one before it have no prompts, and the same batch."""
    one, other = rows[at - 1], rows[at]
    if times[at] - times[at - 1] > 1 or not _decodes(one) or not _decodes(other):
        return False
    return _alike(one.decode_requests / one.steps, other.decode_requests / other.steps)


def _decodes(row: Second) -> bool:
    return row.decode_steps == row.steps


def _alike(one: float, other: float) -> bool:
    return abs(one - other) <= _SAME_BATCH * max(one, other)


class _EngineAlerts:
    """Alerts about the steps of one engine, window by window as they arrive."""

    def __init__(self, engine: int, plan: Plan, steps: Steps) -> None:
        health: HealthSettings = plan.settings.health
        self.plan = plan
        self.watch = RuleWatch(engine, plan.recorded[SCOPE], health)
        self.origin = (steps.times[0], steps.dropped_seconds)
        self._usual = UsualSteps()
        self._end = math.floor(steps.times[0] / WINDOW) * WINDOW
        self._before: list[tuple[float, RuleWatch, UsualSteps]] = []
        """The state before each of the newest windows: lines of a step may come late."""

    def advance(self, steps: Steps) -> None:
        """Judge the complete windows."""
        newest = steps.times[-1]
        while self._end + WINDOW <= newest:
            self._before.append((self._end, self.watch.copy(), self._usual.copy()))
            del self._before[:-_KEPT]
            begin, self._end = self._end, self._end + WINDOW
            first, last = steps.places(begin, self._end)
            if first == last:
                later = steps.times[last]
                self._end = math.floor(later / WINDOW) * WINDOW
                continue
            times, rows = steps.times[first:last], steps.rows[first:last]
            signals = window_signals(times, rows, self._usual)
            if signals:
                self.watch.step(self._end, signals.get, idle=False)
            for at, span in enumerate(self.watch.spans):
                if span.fired == self._end and span.figures is None:
                    self.watch.spans[at] = replace(span, figures=signals)

    def rewind(self, time: float) -> bool:
        """Go back to the state before the window of a second; return whether it is still kept."""
        while self._before and self._end > time:
            self._end, self.watch, self._usual = self._before.pop()
        return self._end <= time


class StepAlerts:
    """Alerts about the steps of a run."""

    def __init__(self) -> None:
        """Start without steps."""
        self.spans: list[AlertSpan] = []
        self._engines: dict[int, _EngineAlerts] = {}

    def advance(self, run: Run, plan: Plan) -> bool:
        """Judge a run up to its newest whole window; return whether its alerts have changed."""
        found: list[AlertSpan] = []
        for engine, steps in run.steps.items():
            known = self._engines.get(engine)
            origin = (steps.times[0], steps.dropped_seconds)
            moved = known is not None and known.origin != origin
            late, steps.changed_from = steps.changed_from, math.inf
            if known is not None and not known.rewind(late) and not steps.dropped_seconds:
                known = None
            if known is None or known.plan is not plan or (moved and not steps.dropped_seconds):
                known = self._engines[engine] = _EngineAlerts(engine, plan, steps)
            known.advance(steps)
            found += (self._ended(span, run, steps) for span in known.watch.spans)
        before, self.spans = self.spans, found
        return found != before

    def _ended(self, span: AlertSpan, run: Run, steps: Steps) -> AlertSpan:
        """Return a span that ends if no step has followed for a minute."""
        gone = steps.times[-1] + _GONE_SECONDS
        if span.until is None and run.newest_stamp is not None and run.newest_stamp > gone:
            return replace(span, until=gone)
        return span
