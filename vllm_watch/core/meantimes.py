"""Mean times of requests by Little's law, from a log that states no times.

Requests in the system, summed over time, divided by the requests that left it, is the mean time
that each spent there (J. D. C. Little, 1961). The stats lines say how many wait and run; the
access lines say how many were answered. Only means follow from that, never percentiles.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import add, mul, sub

from vllm_watch.core.arithmetic import above, added_up, elementwise
from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.figures import counted
from vllm_watch.core.hints import Literal, TypeAlias
from vllm_watch.core.run import Run
from vllm_watch.core.series import SILENCE_CADENCES, Series
from vllm_watch.core.tokens import tokens_made


@dataclass(frozen=True, slots=True)
class TimesGate:
    """How much a stretch of log must hold before its mean times are shown."""

    answered: int = 30
    """Requests answered, minus those that are still in flight at the end."""
    lines: int = 10
    """Stats lines, of all engines together."""
    aborted_share: float = 0.05
    """Requests that ended without an answer, as a share (0…1) of those answered, at most."""


@dataclass(frozen=True, slots=True)
class MeanTimes:
    """Mean times over a stretch of log, in seconds: estimates, a few per cent off at best."""

    queue: float | None
    """Mean time that a request waited before it ran, None where only whole requests are timed."""
    request: float
    """Mean time from a request's arrival to its last token."""
    per_token: float | None
    """Mean time between two tokens of one request, None where nothing was generated.

    With speculative decoding it is per token, not per step.
    """
    answered: int
    """Requests answered in the stretch."""
    lines: int
    """Stats lines in the stretch."""
    source: Literal["log", "requests", "metrics"] = "log"
    """How they are known: estimated, timed request by request, or taken from the metrics page."""


@dataclass(frozen=True, slots=True)
class RequestSums:
    """Running sums up to each stats line of all engines; a window is the difference of two."""

    times: array[float]
    """Epoch seconds of each stats line, sorted."""
    waiting: array[float]
    """Request seconds spent waiting, up to and including each line."""
    running: array[float]
    """Request seconds spent running."""
    generated: array[float]
    """Tokens generated."""
    in_flight: array[float]
    """Requests of all engines that run or wait at each line."""
    answer_times: array[float]
    """Epoch seconds at which each batch of answers was seen, sorted."""
    answers: array[float]
    """Requests answered without an error, up to and including each batch."""

    def over(self, start: float, end: float) -> tuple[MeanTimes | None, int, float]:
        """Return the times of the lines in (start, end], the number of lines and the answers.

        The times are None where no request was answered.
        """
        first, last = bisect_right(self.times, start), bisect_right(self.times, end)
        lines = last - first
        answered = self._answers_between(start, end, last)
        if lines < 1 or answered < 1:
            return None, lines, answered
        waited = _difference(self.waiting, first, last)
        ran = _difference(self.running, first, last)
        made = _difference(self.generated, first, last)
        times = MeanTimes(
            waited / answered,
            (waited + ran) / answered,
            ran / made if made > 0 else None,
            round(answered),
            lines,
        )
        return times, lines, answered

    def _answers_between(self, start: float, end: float, last: int) -> float:
        """Return the answers in a window; answers after the newest line count as well."""
        begin = bisect_left(self.answer_times, start)
        newest = last == len(self.times)
        stop = len(self.answers) if newest else bisect_left(self.answer_times, end)
        return _difference(self.answers, begin, stop) if stop > begin else 0.0

    def in_flight_at(self, time: float) -> float:
        """Return the requests that run or wait at a time, 0 before the first line."""
        index = bisect_right(self.times, time) - 1
        return self.in_flight[index] if index >= 0 else 0.0


def request_sums(run: Run, since: float = -math.inf) -> RequestSums:
    """Return the sums of a run from a moment on, over the samples that are kept one by one."""
    parts = [_engine_columns(run.series[engine], since) for engine in run.engines]
    times, waiting, running, generated, in_flight = parts[0] if len(parts) == 1 else _merged(parts)
    answer_times, answers = run.traffic.answered(since)
    return RequestSums(
        times,
        added_up(waiting),
        added_up(running),
        added_up(generated),
        in_flight,
        answer_times,
        added_up(answers),
    )


def mean_times(
    sums: RequestSums, start: float, end: float, gate: TimesGate
) -> tuple[MeanTimes | None, str]:
    """Return the mean times over a window, or None and why they are unknown.

    Args:
        sums: those of a run.
        start: epoch seconds after which lines count; `-inf` for the whole run.
        end: epoch seconds up to which they count; `inf` for the whole run.
        gate: what the window must hold.
    """
    times, lines, answered = sums.over(start, end)
    if lines < gate.lines:
        return None, f"only {counted(lines, 'stats line')}; {gate.lines} are needed"
    # A stream's access line is written at its start, so a request in flight may count already.
    in_flight = sums.in_flight_at(end)
    if times is None or answered - in_flight < gate.answered:
        known = f"{counted(round(answered), 'request')} answered"
        if not answered or not in_flight:
            only = "only " if answered else ""
            return None, f"{only}{known}; {gate.answered} are needed"
        began = f"{counted(round(answered), 'answer')} began"
        way = f"but {counted(round(in_flight), 'request')} ran or waited at the end"
        return None, f"{began}, {way}: {gate.answered} finished requests are needed"
    return times, ""


def run_times(run: Run, gate: TimesGate) -> tuple[MeanTimes | None, str]:
    """Return the mean times over a whole run, or None and why they are unknown."""
    return times_between(run, request_sums(run), -math.inf, math.inf, gate)


def times_between(
    run: Run, sums: RequestSums, start: float, end: float, gate: TimesGate
) -> tuple[MeanTimes | None, str]:
    """Return the mean times of a run over (start, end], or None and why they are unknown.

    If the log times enough requests one by one, their mean replaces the estimate. The words then
    say why the other times are unknown, if they are.
    """
    times, why = mean_times(sums, start, end, gate)
    count, mean, aborted = run.answered.over(start, end)
    if times is not None and aborted > gate.aborted_share * times.answered:
        words = f"{counted(aborted, 'request')} aborted: the mean would include their time"
        times, why = None, words
    if mean is None or count < gate.answered:
        return times, why
    if times is None:
        return MeanTimes(None, mean, None, count, 0, "requests"), why
    return replace(times, request=mean, answered=count, source="requests"), ""


def token_paces(
    times: Sequence[float],
    rates: Sequence[float | None],
    counts: Sequence[float | None],
    gap: float,
) -> list[float | None]:
    """Return seconds per output token at each stats line: running requests ÷ tokens per second.

    By Little's law this is the mean time per token of the running requests. A rate covers the time
    since the line before it. The number of requests is averaged over the same time, if that was
    within `gap` seconds.
    """
    paces: list[float | None] = []
    before: tuple[float, float | None] | None = None
    for at, tokens, count in zip(times, rates, counts, strict=True):
        mean = count
        if before is not None and before[1] is not None and count is not None:
            mean = (before[1] + count) / 2 if at - before[0] <= gap else count
        before = at, count
        paces.append(None if not tokens or not mean else mean / tokens)
    return paces


_Columns: TypeAlias = "tuple[array[float], array[float], array[float], array[float], array[float]]"
"""Times, request seconds waiting and running, tokens generated, requests in flight."""


def _merged(parts: Sequence[_Columns]) -> _Columns:
    """Return the lines of several engines in the order of time, with all engines' requests."""
    rows: list[tuple[float, int, float, float, float, float]] = sorted(
        (time, place, *rest)
        for place, (times, *columns) in enumerate(parts)
        for time, *rest in zip(times, *columns, strict=True)
    )
    newest = [0.0] * len(parts)
    found: _Columns = (array("d"), array("d"), array("d"), array("d"), array("d"))
    for time, place, waited, ran, made, requests in rows:
        newest[place] = requests
        for column, value in zip(found, (time, waited, ran, made, sum(newest)), strict=True):
            column.append(value)
    return found


def _engine_columns(series: Series, since: float) -> _Columns:
    """Return what each line of an engine adds; between lines requests change linearly.

    The first line, and the first after a silence, hold for one cadence (`core/tokens.py`). Lines
    are read from two before `since` on, so that the first line after it has a predecessor.
    """
    first = max(series.thinned, series.span(since, math.inf)[0] - 2)
    times, cadence = series.times[first:], series.cadence
    waiting, running = series.zero_filled("waiting", first), series.zero_filled("running", first)
    made = tokens_made(series, "generation_tps", first)
    held = array("d", [math.inf] if times else []) + elementwise(sub, times[1:], times[:-1])
    silent = above(held, SILENCE_CADENCES * cadence)
    for at in silent:
        held[at] = cadence
    halves = elementwise(mul, held, array("d", [0.5]) * len(held))
    waited, ran = (_over(halves, values, silent) for values in (waiting, running))
    return times, waited, ran, made, elementwise(add, waiting, running)


def _over(halves: array[float], values: array[float], silent: Sequence[int]) -> array[float]:
    """Return half the seconds × (a value + the one before it; after a silence twice the value)."""
    before = array("d", [0.0]) + values[:-1] if values else array("d")
    for at in silent:
        before[at] = values[at]
    return elementwise(mul, halves, elementwise(add, before, values))


def _difference(sums: array[float], first: int, last: int) -> float:
    """Return the sum over the entries `first` … `last` − 1, from running sums."""
    if last <= first:
        return 0.0
    return sums[last - 1] - (sums[first - 1] if first else 0.0)
