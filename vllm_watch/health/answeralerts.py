"""Requests answered with an error, as alerts: over the last minutes, from the access lines."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator

from vllm_watch.config import HealthSettings
from vllm_watch.core.dataclass import replace
from vllm_watch.core.run import Run
from vllm_watch.core.traffic import Traffic
from vllm_watch.health.plan import Plan, Values
from vllm_watch.health.spans import WHOLE_SERVER, AlertSpan, RuleWatch

SCOPE = "answers"
"""Scope of rules about the answers of a whole server."""
_MOST_PEAKS = 200
"""Moments of one alert at which its figures are remembered."""


def answer_signals(
    traffic: Traffic, settings: HealthSettings
) -> Iterator[tuple[float, dict[str, float]]]:
    """Yield the signals of each stretch of access lines, in their order.

    `answered`, `refused` (status 400 to 499) and `failed` (500 and above) of the last
    `http_seconds`. `http_failing` and `http_refusing` are their shares (0…1) of all answers, 0 if
    there are too few. `http_errors` is the larger of the two ÷ its level: from 1 on it is too high.
    """
    newest: deque[tuple[float, tuple[float, ...]]] = deque()
    for index, begin in enumerate(traffic.begins):
        newest.append((begin, tuple(column[index] for column in traffic.counts)))
        while newest and begin - newest[0][0] > settings.http_seconds:
            newest.popleft()
        good, refused, failed = (sum(counts[kind] for _, counts in newest) for kind in range(3))
        answered = good + refused + failed
        failing = failed / answered if failed >= settings.http_failed_least else 0.0
        refusing = refused / answered if refused >= settings.http_refused_least else 0.0
        over = max(failing / settings.http_failed, refusing / settings.http_refused)
        yield (
            begin,
            {
                "answered": answered,
                "refused": refused,
                "failed": failed,
                "http_failing": failing,
                "http_refusing": refusing,
                "http_errors": over,
            },
        )


class AnswerAlerts:
    """Alerts about the answers of one run."""

    def __init__(self) -> None:
        """Start without requests."""
        self.spans: list[AlertSpan] = []
        """Empty while all answers were good."""
        self._key: tuple[object, ...] = ()

    def advance(self, run: Run, plan: Plan) -> bool:
        """Judge the answers of a run; return whether they have changed."""
        traffic = run.traffic
        bad = any(status >= "400" for status in run.served)
        if not (bad or self._key):
            return False
        newest = tuple(column[-1] for column in traffic.counts) if len(traffic) else ()
        key = (bad, len(traffic), traffic.begins[:1], newest, id(plan)) if bad else ()
        if key == self._key:
            return False
        self._key, self.spans = key, _judged(traffic, plan) if bad else []
        return True


def _judged(traffic: Traffic, plan: Plan) -> list[AlertSpan]:
    health = plan.settings.health
    watch = RuleWatch(WHOLE_SERVER, plan.recorded[SCOPE], health)
    before = -math.inf
    for time, signals in answer_signals(traffic, health):
        watch.step(max(time, before), signals.get, idle=False)
        before = max(time, before)
        _keep_figures(watch, before, signals)
    # If no further answers come, the alert ends when the last ones leave the window.
    end = before + health.http_seconds
    return [replace(one, until=end) if one.until is None else one for one in watch.spans]


def _keep_figures(watch: RuleWatch, time: float, signals: Values) -> None:
    """Keep the worst figures of an alert up to each moment: they are not stored elsewhere.

    Of equal shares, that of more requests counts.
    """
    for at, span in enumerate(watch.spans):
        known = span.figures or {}
        worse = _worse(signals) > _worse(known)
        if span.firing_at(time) and worse:
            figures = dict(signals)
            peaks = (*span.peaks, (time, figures))[-_MOST_PEAKS:]
            watch.spans[at] = replace(span, figures=figures, peaks=peaks)


def _worse(figures: Values) -> tuple[float, float]:
    """Return how bad figures are: the share of errors, then the number of answers."""
    return figures.get("http_errors", 0.0), figures.get("answered", 0.0)
