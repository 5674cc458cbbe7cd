"""Calculators: batch size, capacity, time for a job, decode rate. Pure arithmetic.

Each is data: its inputs and one function from them to a result. The screen draws them, and
`inputs_of` fills them with the figures of a server.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from vllm_watch.config import Settings
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.enginevalues import run_values
from vllm_watch.core.figures import counted, rough_span
from vllm_watch.core.run import Run
from vllm_watch.health.jobs import JobWatch, answered
from vllm_watch.health.situation import kv_growth

GROWTH_LIMIT = 0.10
"""From this rise (0…1) of KV usage per request on, contexts grow ([advice] kv_growth_limit)."""
Inputs = Mapping[str, float | None]
"""Name of an input to its value: ratios 0…1, None if unknown."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a calculator."""

    text: str
    """The result in words, or the missing inputs."""
    formula: str = ""
    """The arithmetic, with the inputs' figures."""
    flag: str = ""
    """Complete words of vLLM's command line to copy, empty if there are none."""
    value: float | None = None
    """The result itself, None while an input is missing."""


@dataclass(frozen=True, slots=True)
class Field:
    """One input."""

    name: str
    label: str
    unit: str = ""
    """`%` for ratios: shown and typed in per cent, 0…1 inside."""
    least: float = 0.0
    """Values have to be above this."""
    most: float = math.inf
    or_zero: bool = False
    """True where 0 is allowed, too."""
    asked: bool = False
    """True if only the user knows the value."""
    optional: bool = False
    """True if the result does not need the value."""

    @property
    def scale(self) -> float:
        """Factor from the value to the number shown."""
        return 100.0 if self.unit == "%" else 1.0


@dataclass(frozen=True, slots=True)
class Calculator:
    """One question, answered from its inputs."""

    id: str
    title: str
    fields: tuple[Field, ...]
    work_out: Callable[[Mapping[str, float]], Result]
    guide: str

    def result(self, inputs: Inputs) -> Result:
        """Return the result, or the inputs that are missing."""
        missing = [
            field.label
            for field in self.fields
            if inputs.get(field.name) is None and not field.optional
        ]
        if missing:
            return Result(f"needs {', '.join(missing)}")
        return self.work_out({name: value for name, value in inputs.items() if value is not None})


# --- the arithmetic ---------------------------------------------------------------------------


def batch_estimate(running: float, kv_cache_usage: float, target: float) -> int:
    """Return how many requests fill the KV cache to `target` (0…1) (presets guide).

    8 running at 1.6 %, for 60 %: 8 × 60 ÷ 1.6 = 300.

    Raises:
        ZeroDivisionError: the cache is empty.
    """
    # Rounded first, so that a binary rounding error (299.9999…) does not lower the result by one.
    return max(1, math.floor(round(running * target / kv_cache_usage, 6)))


def power_of_two(number: int) -> int:
    """Return the largest power of two that does not exceed a number of at least 1: 300 → 256."""
    return 1 << (number.bit_length() - 1)


def recommended_batch(whole: float, share: float) -> int:
    """Return `--max-num-seqs` for the capacity `whole` (long-context guide): 90 %, 33.96 → 30."""
    return max(1, math.floor(round(whole * share, 6)))


def job_seconds(
    requests: float, tokens: float, at_once: float, per_request: float, overhead: float
) -> float:
    """Return how long a job takes, in seconds (long-context guide).

    `at_once` requests run at the same time. Batches = requests ÷ `at_once`; time = batches × tokens
    ÷ rate, plus `overhead` (0…1) for prefill and queueing. The guide's example, 908 rollouts ×
    32,000 tokens, 24 in parallel, 650 tok/s, comes to 37.83 × 49.2 s = 1,863 s, and with 20 % to
    2,235 s: 37 minutes and a quarter. The guide's result is right only if 650 tok/s is the rate of
    *each* request. As the rate of the whole server (the guide uses 650 tok/s so elsewhere), the
    29.1 million tokens would take 12.4 hours, 14.9 with the overhead. `per_request` is the rate of
    each request: generation throughput ÷ running, which a log shows.

    Raises:
        ZeroDivisionError: `at_once` or `per_request` is 0.
    """
    return requests / at_once * tokens / per_request * (1 + overhead)


# --- the calculators --------------------------------------------------------------------------


def _decode(known: Mapping[str, float]) -> Result:
    """Return tokens per second per running request (chunked prefill guide): 315.2 ÷ 8 ≈ 39.4."""
    rate, running = known["generation_tps"], known["at_once"]
    value = rate / running
    return Result(
        f"{value:.1f} tok/s per request",
        f"{rate:,.1f} ÷ {running:g} = {value:.1f}",
        value=value,
    )


def _batch(known: Mapping[str, float]) -> Result:
    running, usage, target = known["running"], known["kv_cache_usage"], known["target_kv"]
    estimate = batch_estimate(running, usage, target)
    flag = power_of_two(estimate)
    filled = usage * flag / running
    formula = (
        f"{running:g} × {target * 100:g} ÷ {usage * 100:g} = {estimate:,}; "
        f"the power of two below: {flag:,}"
    )
    growth = known.get("kv_growth")
    grows = growth is not None and growth >= known.get("kv_growth_limit", GROWTH_LIMIT)
    if grows and flag > running:
        # Growing contexts will fill the cache: no larger batch is advised.
        now = counted(estimate, "request")
        words = f"{now} now, but their contexts grow: wait until they stop growing"
        return Result(words, formula, value=float(estimate))
    unknown = growth is None and flag > running
    doubt = "; whether contexts still grow is not known" if unknown else ""
    words = f"{counted(estimate, 'request')}; {flag:,} fill it to about {filled * 100:.0f} %{doubt}"
    return Result(words, formula, f"--max-num-seqs {flag}", float(estimate))


def _capacity(known: Mapping[str, float]) -> Result:
    """Return how many requests of full length fit into all engines (long-context guide).

    8.49 × 4 ≈ 34: `max_concurrency` is the X of `Maximum concurrency … per request: X.XXx`.
    """
    one, engines, share = known["max_concurrency"], known["engines"], known["capacity_share"]
    whole = one * engines
    flag = recommended_batch(whole, share)
    own = recommended_batch(one, share)
    each = f"; vLLM applies the flag per engine: {own} each" if engines > 1 else ""
    return Result(
        f"{whole:.0f} requests of full length; {flag} recommended if all are that long{each}",
        f"{one:g} × {engines:g} = {whole:.2f}; × {share * 100:g} % = {whole * share:.2f} → {flag}",
        f"--max-num-seqs {own}",
        whole,
    )


def _job(known: Mapping[str, float]) -> Result:
    left = max(0.0, known["target_requests"] - known["answered"])
    seconds = job_seconds(
        left,
        known["tokens_per_request"],
        known["at_once"],
        known["per_request_tps"],
        known["job_overhead"],
    )
    batches = left / known["at_once"]
    return Result(
        f"about {rough_span(seconds)} for {left:,.0f} requests",
        f"{left:,.0f} ÷ {known['at_once']:g} = {batches:.1f} batches; "
        f"× {known['tokens_per_request']:,.0f} ÷ {known['per_request_tps']:.1f} tok/s "
        f"+ {known['job_overhead'] * 100:g} %",
        value=seconds,
    )


def _tokens(known: Mapping[str, float]) -> Result:
    left = max(0.0, known["target_tokens"] - known["generated"])
    seconds = left / known["generation_tps"]
    done = min(1.0, known["generated"] / known["target_tokens"])
    return Result(
        f"about {rough_span(seconds)} left, {done * 100:.0f} % done",
        f"({known['target_tokens']:,.0f} − {known['generated']:,.0f}) "
        f"÷ {known['generation_tps']:,.1f} tok/s",
        value=seconds,
    )


_RATE = Field("generation_tps", "generation", "tok/s")
CALCULATORS: tuple[Calculator, ...] = (
    Calculator(
        "decode",
        "Decode rate per request",
        (_RATE, Field("at_once", "running")),
        _decode,
        "chunked prefill guide",
    ),
    Calculator(
        "batch",
        "Batch size for a KV usage",
        (
            Field("running", "running, per engine"),
            Field("kv_cache_usage", "KV usage now", "%", most=1.0),
            Field("target_kv", "KV usage wanted", "%", most=1.0),
            Field("kv_growth", "recent growth", "%", or_zero=True, optional=True),
        ),
        _batch,
        "presets guide",
    ),
    Calculator(
        "capacity",
        "Capacity and --max-num-seqs",
        (
            Field("max_concurrency", "maximum concurrency"),
            Field("engines", "engines"),
            Field("capacity_share", "share to use", "%", most=1.0),
        ),
        _capacity,
        "long-context guide",
    ),
    Calculator(
        "job",
        "Time for a job of requests",
        (
            Field("target_requests", "requests", asked=True),
            Field("answered", "answered so far", or_zero=True),
            Field("tokens_per_request", "tokens per request"),
            Field("at_once", "at once"),
            Field("per_request_tps", "each at", "tok/s"),
            Field("job_overhead", "prefill and queue", "%", or_zero=True),
        ),
        _job,
        "long-context guide",
    ),
    Calculator(
        "tokens",
        "Time for a job of tokens",
        (
            Field("target_tokens", "tokens", asked=True),
            Field("generated", "generated so far", or_zero=True),
            _RATE,
        ),
        _tokens,
        "long-context guide",
    ),
)
"""Every calculator, in the order of the screen."""


def inputs_of(
    source: str, run: Run, time: float, settings: Settings, job: JobWatch
) -> dict[str, float | None]:
    """Return the inputs of every calculator at `time`; None if the log lacks one.

    `at_once` and `per_request_tps` are the present values. `tokens_per_request` is generated tokens
    ÷ answered requests, so it is right only once requests end.
    """
    engines = max(1, len(run.engines))
    values = run_values(run, time)
    now = {name: values.get(name) for name in ("generation_tps", "running", "kv_cache_usage")}
    running, rate = now["running"], now["generation_tps"]
    done = answered(run, time)
    generated = job.generated(source, run, time)
    known = run.configuration
    return {
        **now,
        "running": None if running is None else running / engines,
        "target_kv": settings.advice.batch_target_kv,
        "kv_growth": kv_growth(run, time, settings.advice.kv_growth_seconds),
        "kv_growth_limit": settings.advice.kv_growth_limit,
        "max_concurrency": known.max_concurrency,
        "engines": float(known.data_parallel_size or engines),
        "capacity_share": settings.advice.capacity_share,
        "target_requests": job.targets.requests,
        "answered": float(done),
        "tokens_per_request": generated / done if done else None,
        "at_once": running or None,
        "per_request_tps": rate / running if rate and running else None,
        "job_overhead": settings.advice.job_overhead,
        "target_tokens": job.targets.tokens,
        "generated": generated,
    }
