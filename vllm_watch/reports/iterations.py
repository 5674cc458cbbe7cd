"""Steps of a run's engines in figures and words, where the log has iteration details."""

from __future__ import annotations

from collections.abc import Iterator

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.figures import percent, short_time
from vllm_watch.core.middle import median
from vllm_watch.core.run import Run
from vllm_watch.core.steps import Steps


@dataclass(frozen=True, slots=True)
class IterationSummary:
    """The steps of one engine over a run."""

    engine: int
    steps: int
    seconds: int
    """Seconds in which there were steps."""
    steps_per_second: float
    """Over these."""
    step_time_s: float | None
    """Median over seconds amid work of one second ÷ the steps of that second."""
    decode_step_time_s: float | None
    """The same, of seconds without prompts."""
    context_tokens: int
    """Prompt tokens computed."""
    generation_tokens: int
    prefill_share: float | None
    """Share (0…1) of prompts among all tokens, None without tokens."""
    decode_only_share: float
    """Share (0…1) of steps that generated and took in no prompt."""
    most_tokens: int
    """Of one step."""
    budget_share: float | None
    """Share (0…1) of steps at 95 % of `max_num_batched_tokens` and more; None: it is unknown."""
    max_num_seqs_share: float | None
    """Share (0…1) of steps with `max_num_seqs` requests; None: it is unknown."""


def iterations_of(run: Run) -> tuple[IterationSummary, ...]:
    """Return the steps of each engine, in their order; nothing where the log has none."""
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
        total.most_tokens,
        None if total.at_budget is None else total.at_budget / total.steps,
        None if total.at_seqs is None else total.at_seqs / total.steps,
    )


def iteration_words(one: IterationSummary, *, several: bool) -> str:
    """Return the steps of an engine in words; it is named where there are several."""
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
    yield f"{one.most_tokens:,} tokens in the fullest"
    if one.budget_share is not None:
        yield f"{percent(one.budget_share)} of steps at the token limit"
    if one.max_num_seqs_share is not None:
        yield f"{percent(one.max_num_seqs_share)} at max_num_seqs"
