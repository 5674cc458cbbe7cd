"""Tokens of a run: its rates, each multiplied by the time for which it held."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from itertools import compress
from operator import mul, sub

from vllm_watch.core.arithmetic import elementwise
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.run import Run
from vllm_watch.core.series import Series, held_seconds


class Tokens(NamedTuple):
    """Tokens of one engine in one run, as far as the log shows."""

    generated: float
    prompt: float
    """Prompt tokens computed; tokens taken from the cache are not in the log's rate."""


def integrated(times: array[float], rates: Sequence[float | None], cadence: float) -> float:
    """Return rate × the time since the line before, added up (`core/series.py`, held_seconds).

    An unknown rate counts nothing.
    """
    held = held_seconds(times, cadence)
    return sum((rate or 0.0) * seconds for rate, seconds in zip(rates, held, strict=True))


def token_steps(series: Series, metric: str, start: int = 0) -> Iterator[tuple[float, float]]:
    """Yield the time and the tokens of each point from `start` on, exact also for thinned ones.

    A thinned point's tokens are reported at its last sample.
    """
    thinned = series.thinned
    times = [series.written(index, math.inf) for index in range(start, thinned)]
    times += series.times[max(start, thinned) :]
    yield from zip(times, tokens_made(series, metric, start), strict=True)


def tokens_made(series: Series, metric: str, start: int = 0) -> array[float]:
    """Return the tokens of each point from `start` on, exact also for thinned ones."""
    thinned = series.thinned
    made = array("d", [series.over_time(metric, index) for index in range(start, thinned)])
    begin = max(start, thinned)
    return made + elementwise(
        mul, series.zero_filled(metric, begin), series.held(begin, len(series))
    )


def run_tokens(run: Run) -> dict[int, Tokens]:
    """Return the tokens of each engine of a run."""
    tokens = {}
    for engine in run.engines:
        generated, prompt = (
            sum(tokens_made(run.series[engine], name), start=0.0)
            for name in ("generation_tps", "prompt_tps")
        )
        tokens[engine] = Tokens(generated, prompt)
    return tokens


def generated_between(run: Run, begin: float, end: float) -> float:
    """Return the tokens generated in (begin, end]; a point counts where its last sample is."""
    series = (run.series[engine] for engine in run.engines)
    return sum((tokens_between(each, "generation_tps", begin, end) for each in series), start=0.0)


def tokens_between(series: Series, metric: str, begin: float, end: float) -> float:
    """Return the tokens of one engine in (begin, end] by the rate `metric`."""
    first = max(0, series.span(begin, end)[0] - 1)
    steps = token_steps(series, metric, first)
    return sum(made for time, made in steps if begin < time <= end)


def busy_seconds(run: Run, begin: float = -math.inf, end: float = math.inf) -> float | None:
    """Return how long any engine of a run had running requests, None without stats lines.

    Only the time between two moments counts.
    """
    stretches: list[tuple[float, float]] = []
    for engine in run.engines:
        series = run.series[engine]
        begins = elementwise(sub, series.times, held_seconds(series.times, series.cadence))
        stretches += compress(zip(begins, series.times, strict=True), series.zero_filled("running"))
    if begin > -math.inf or end < math.inf:
        stretches = [(max(begin, since), min(end, until)) for since, until in stretches]
    if not any(len(series) for series in run.series.values()):
        return None
    total, reached = 0.0, -math.inf
    for since, until in sorted(stretches):
        if until > reached:
            total += max(0.0, until - (since if since > reached else reached))
            reached = until
    return total
