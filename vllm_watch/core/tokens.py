"""Tokens from rates: what a run generated, integrated over its stats lines (DESIGN §7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from vllm_watch.core.run import Run

SILENCE_CADENCES = 1.5
"""A distance of more cadences than this is a silence, over which no rate holds."""


class Tokens(NamedTuple):
    """Tokens of one engine in one run, as far as the log tells."""

    generated: float
    """Tokens generated."""
    prompt: float
    """Prompt tokens computed; those taken from the cache are not in the log's rate."""


def integrated(
    times: Sequence[float],
    rates: Sequence[float | None],
    cadence: float,
    end_of_silence: float = SILENCE_CADENCES,
) -> float:
    """Return rate × the time since the line before, added up.

    The first line and the first after a silence (more than `end_of_silence` cadences) count one
    cadence; an unknown rate counts nothing.
    """
    total = 0.0
    before: float | None = None
    for time, rate in zip(times, rates, strict=True):
        distance = cadence if before is None else time - before
        if distance > end_of_silence * cadence:
            distance = cadence
        if rate is not None:
            total += rate * distance
        before = time
    return total


def run_tokens(run: Run) -> dict[int, Tokens]:
    """Return the tokens of each engine of a run."""
    tokens = {}
    for engine in run.engines:
        series = run.series[engine]
        generated, prompt = (
            integrated(series.times, series.values(name, 0, len(series)), series.cadence)
            for name in ("generation_tps", "prompt_tps")
        )
        tokens[engine] = Tokens(generated, prompt)
    return tokens
