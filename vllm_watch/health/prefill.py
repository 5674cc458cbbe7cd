"""Initial values of the calculators: the selected server's own figures."""

from __future__ import annotations

from vllm_watch.config import Settings
from vllm_watch.core.enginevalues import run_values
from vllm_watch.core.run import Run
from vllm_watch.core.series import Series
from vllm_watch.health.jobs import JobWatch, answered
from vllm_watch.health.robust import rise

_MOST_FILLS = 40
"""Samples by which a rise is judged."""


def prefilled(
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
        "target_requests": _float(job.targets.requests),
        "answered": float(done),
        "tokens_per_request": generated / done if done else None,
        "at_once": running or None,
        "per_request_tps": rate / running if rate and running else None,
        "job_overhead": settings.advice.job_overhead,
        "target_tokens": _float(job.targets.tokens),
        "generated": generated,
    }


def kv_growth(run: Run, time: float, seconds: float) -> float | None:
    """Return the share (0…) by which KV usage per running request rose in the last `seconds`.

    Of the engine that grew most; 0 if it fell or only fluctuated, None with less than that time of
    running requests.
    """
    grown = []
    for engine in run.engines:
        fills = _fills(run.series[engine], time, seconds)
        if fills is not None:
            grown.append(rise(fills))
    return max(grown, default=None)


def _fills(series: Series, time: float, seconds: float) -> list[float] | None:
    """Return KV usage ÷ requests running over the last `seconds`, None with less time.

    Of many samples only some dozens are used: they show a rise as well.
    """
    first, last = series.index_at(time - seconds), series.index_at(time)
    if first is None or last is None:
        return None
    usage = series.values("kv_cache_usage", first, last + 1)
    ran = series.values("running", first, last + 1)
    fills = [u / r for u, r in zip(usage, ran, strict=True) if u and r]
    every = max(1, len(fills) // _MOST_FILLS)
    return fills[::every] if len(fills) > 1 else None


def _float(number: int | None) -> float | None:
    return None if number is None else float(number)
