"""`export --times`: mean times of requests over equal steps of time, or why they are unknown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import tzinfo

from vllm_watch.core.meantimes import RequestSums, TimesGate, request_sums, times_between
from vllm_watch.core.news import News
from vllm_watch.core.run import Run
from vllm_watch.core.store import Server
from vllm_watch.reports.recorded import RecordedSummary, latencies_between, recorded_times
from vllm_watch.reports.resample import step_begins
from vllm_watch.reports.rows import WHERE, Fields, Row, row_of, runs_read

TIME_MEANS = ("queue_s", "request_s", "per_token_s")
TIME_FIELDS: Fields = {
    **WHERE,
    **dict.fromkeys(TIME_MEANS, "number"),
    **{"answered": "count", "lines": "count", "basis": "text", "unknown": "text"},
}
"""Columns of a row, in order; `answered` is the smallest number of requests behind the means of a
step, `lines` its number of stats lines.

`basis` is the source of the means: `log` (estimated), `requests` (timed one by one; queue and
tokens stay estimates), `metrics` (recorded). `unknown` is the reason of an absent mean.
"""
_DIGITS = 6
_BEFORE = 1e-3
"""Seconds: a line at the end of a step describes the time before it, so it belongs to that step."""


def time_rows(read: Iterable[News], gate: TimesGate, step: float) -> Iterator[Row]:
    """Yield the mean times of each step of logs that are read once: source by source, in order."""
    for server, run in runs_read(read):
        yield from _run_rows(server, run, gate, step)


def _run_rows(server: Server, run: Run, gate: TimesGate, step: float) -> Iterator[Row]:
    """Yield the steps of a run that have a stats line or an answered request."""
    sums = request_sums(run)
    moments = (*sums.times, *sums.answer_times, *run.answered.times)
    for begin in _begins(moments, server.clock.tz, step):
        cells = _cells(server, run, sums, (begin, begin + step), gate)
        yield {**row_of(server, run, begin), **cells}


def _begins(times: Iterable[float], tz: tzinfo, step: float) -> list[float]:
    return sorted(set(step_begins([time - _BEFORE for time in times], tz, step)))


def _cells(
    server: Server, run: Run, sums: RequestSums, span: tuple[float, float], gate: TimesGate
) -> Row:
    times, why = times_between(run, sums, *span, gate)
    _, lines, answered = sums.over(*span)
    low = math.nextafter(span[0], math.inf)
    recorded = latencies_between(server.recording.engines.values(), low, span[1])
    exact = recorded_times(RecordedSummary(recorded))
    times, why = (exact, "") if exact is not None else (times, why)
    means = (None,) * 3 if times is None else (times.queue, times.request, times.per_token)
    cells = (None if mean is None else round(mean, _DIGITS) for mean in means)
    return {
        **dict(zip(TIME_MEANS, cells, strict=True)),
        "answered": round(answered) if times is None else times.answered,
        "lines": lines,
        "basis": None if times is None else times.source,
        "unknown": why or None,
    }
