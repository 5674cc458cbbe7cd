"""Steps of a run's engines in figures and words, if the log has iteration details."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.figures import percent, short_time
from vllm_watch.core.news import News
from vllm_watch.core.percentiles import median
from vllm_watch.core.run import Run
from vllm_watch.core.steps import Second, Steps
from vllm_watch.reports.rows import WHERE, Fields, Row, row_of, runs_read


@dataclass(frozen=True, slots=True)
class IterationSummary:
    """The steps of one engine over a run."""

    engine: int
    steps: int
    seconds: int
    """Seconds in which there were steps."""
    steps_per_second: float
    """In these seconds."""
    step_time_s: float | None
    """Median step time: one second ÷ its steps, for seconds whose neighbours have steps, too."""
    decode_step_time_s: float | None
    """The same for seconds without prompts."""
    context_tokens: int
    """Prompt tokens computed."""
    generation_tokens: int
    prefill_share: float | None
    """Share (0…1) of prompts among all tokens, None without tokens."""
    decode_only_share: float
    """Share (0…1) of steps that generated tokens without processing a prompt."""
    tokens_per_step: float
    """Mean of prompts and answers."""
    most_tokens: int
    """The largest step."""
    budget_share: float | None
    """Share (0…1) of steps with at least 95 % of `max_num_batched_tokens`; None: unknown."""
    max_num_seqs_share: float | None
    """Share (0…1) of steps with `max_num_seqs` requests; None: unknown."""


ITERATION_FIELDS: Fields = {
    **WHERE,
    "engine": "text",
    **{one.name: "count" for one in fields(Second)},
}
"""Columns of `export --iterations`: counts of a second, described in `core/steps.py`."""
STEP_METRICS = {"step_time_s": "s", "steps_per_second": "per s", "tokens_per_step": "tok"}
"""Figures of the steps in one second, all engines together, with their units."""


def iteration_rows(read: Iterable[News]) -> Iterator[Row]:
    """Yield the seconds of each engine of logs that are read once: source by source, in order."""
    for server, run in runs_read(read):
        found = [
            (time, engine, second)
            for engine, steps in run.steps.items()
            for time, second in zip(steps.times, steps.rows, strict=True)
        ]
        for time, engine, second in sorted(found, key=lambda entry: entry[:2]):
            yield {**row_of(server, run, time), "engine": engine, **asdict(second)}


def step_points(run: Run, metric: str, begin: float, end: float) -> list[tuple[float, float]]:
    """Return each second with steps in a span with one of `STEP_METRICS`."""
    seconds: dict[float, list[Second]] = {}
    for steps in run.steps.values():
        low, high = steps.places(begin, math.nextafter(end, math.inf))
        for time, row in zip(steps.times[low:high], steps.rows[low:high], strict=True):
            seconds.setdefault(time, []).append(row)
    return [(time, _second(metric, rows)) for time, rows in sorted(seconds.items())]


def _second(metric: str, engines: Sequence[Second]) -> float:
    steps = sum(row.steps for row in engines)
    if metric == "steps_per_second":
        return float(steps)
    if metric == "step_time_s":
        return len(engines) / steps
    return sum(row.context_tokens + row.generation_tokens for row in engines) / steps


def of_all_engines(iterations: Sequence[IterationSummary], name: str) -> float | None:
    """Return a figure of steps over all engines, weighted by their steps; None if unknown."""
    known = [(one.steps, value) for one in iterations if (value := getattr(one, name)) is not None]
    steps = sum(count for count, _ in known)
    return sum(count * value for count, value in known) / steps if steps else None


def iterations_of(run: Run) -> tuple[IterationSummary, ...]:
    """Return the steps of each engine, in their order; empty if the log has none."""
    return tuple(_of_engine(engine, steps) for engine, steps in sorted(run.steps.items()))


def _of_engine(engine: int, steps: Steps) -> IterationSummary:
    total, seconds = steps.total(), len(steps.rows) + steps.dropped_seconds
    tokens = total.context_tokens + total.generation_tokens
    amid = [row for _, row in steps.whole()]
    times = [1 / row.steps for row in amid]
    decoding = [1 / row.steps for row in amid if row.decode_steps == row.steps]
    return IterationSummary(
        engine,
        total.steps,
        seconds,
        total.steps / seconds,
        median(times) if times else None,
        median(decoding) if decoding else None,
        total.context_tokens,
        total.generation_tokens,
        total.context_tokens / tokens if tokens else None,
        total.decode_steps / total.steps,
        tokens / total.steps,
        total.most_tokens,
        None if total.at_budget is None else total.at_budget / total.steps,
        None if total.at_seqs is None else total.at_seqs / total.steps,
    )


def iteration_words(one: IterationSummary, *, several: bool) -> str:
    """Return the steps of an engine in words, with its number if there are several."""
    return ", ".join(_parts(one, several=several))


def _parts(one: IterationSummary, *, several: bool) -> Iterator[str]:
    if several:
        yield f"engine {one.engine}"
    yield f"{one.steps:,} in {one.seconds:,} s ({one.steps_per_second:,.0f} a second)"
    if one.step_time_s is not None:
        yield f"{short_time(one.step_time_s)} each"
    if one.decode_step_time_s is not None:
        yield f"{short_time(one.decode_step_time_s)} without prompts"
    if one.prefill_share is not None:
        yield f"{percent(one.prefill_share)} of tokens are prompts"
    yield f"{one.tokens_per_step:,.0f} tokens each, {one.most_tokens:,} in the fullest"
    if one.budget_share is not None:
        yield f"{percent(one.budget_share)} of steps at the token limit"
    if one.max_num_seqs_share is not None:
        yield f"{percent(one.max_num_seqs_share)} at max_num_seqs"
