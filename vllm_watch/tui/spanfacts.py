"""Figures of a marked time range: means, tokens, times, cost."""

from __future__ import annotations

from datetime import tzinfo

from vllm_watch.config import Settings
from vllm_watch.core.enginevalues import combined_value
from vllm_watch.core.figures import clock, count, duration, percent, rate, short_time
from vllm_watch.core.meantimes import request_sums, times_between
from vllm_watch.core.metrics import METRIC_BY_NAME
from vllm_watch.core.run import Run
from vllm_watch.core.store import Server
from vllm_watch.core.tokens import tokens_between
from vllm_watch.tui.cardfacts import Facts
from vllm_watch.tui.requestfacts import cost_facts

Figures = tuple[float | None, float | None]
"""Mean and highest value of a metric over the stretch."""


def span_facts(
    server: Server, engine: int | None, span: tuple[float, float], settings: Settings, tz: tzinfo
) -> Facts:
    """Return the figures of a server, or of one engine, in a stretch of our clock.

    Means are those of the stats lines written in it; unknown values are left out.
    """
    start, end = server.clock.own_window(span)
    run = server.run_at(end)
    engines = run.engines if engine is None else [engine] if engine in run.series else []
    begin_end = f"{clock(span[0], tz)} – {clock(span[1], tz)}"
    lines = [
        ("SPAN", (begin_end, duration(span[1] - span[0]))),
        ("MEAN", _means(run, engines, start, end)),
        ("TOKENS", _tokens(run, engines, start, end)),
        ("TIMES", _times(run, engine, start, end, settings)),
        ("COST", () if engine is not None else cost_facts(run, end, (start, end), settings.cost)),
    ]
    return tuple((label, facts) for label, facts in lines if facts)


def _figures(run: Run, engines: list[int], metric: str, start: float, end: float) -> Figures:
    """Return the mean and the highest value of a metric, engines combined."""
    means, highs = [], []
    for engine in engines:
        series = run.series[engine]
        first, last = series.span(start, end)
        values = [value for value in series.values(metric, first, last) if value is not None]
        if values:
            means.append(sum(values) / len(values))
            highs.append(max(values))
    if not means:
        return None, None
    of = METRIC_BY_NAME[metric]
    return combined_value(of, means), combined_value(of, highs)


def _means(run: Run, engines: list[int], start: float, end: float) -> tuple[str, ...]:
    facts = []
    for metric, words in ("generation_tps", "tok/s generated"), ("prompt_tps", "tok/s of prompts"):
        mean, _ = _figures(run, engines, metric, start, end)
        if mean is not None:
            facts.append(f"{rate(mean)} {words}")
    usage, fullest = _figures(run, engines, "kv_cache_usage", start, end)
    if usage is not None:
        facts.append(f"KV cache {percent(usage)}, up to {percent(fullest)}")
    for metric, word in ("running", "run"), ("waiting", "wait"):
        mean, high = _figures(run, engines, metric, start, end)
        if mean is not None:
            facts.append(f"{count(mean)} {word}, up to {count(high)}")
    return tuple(facts)


def _tokens(run: Run, engines: list[int], start: float, end: float) -> tuple[str, ...]:
    made, of_prompts = (
        sum(tokens_between(run.series[engine], metric, start, end) for engine in engines)
        for metric in ("generation_tps", "prompt_tps")
    )
    return (f"{made:,.0f} generated", f"{of_prompts:,.0f} of prompts") if engines else ()


def _times(
    run: Run, engine: int | None, start: float, end: float, settings: Settings
) -> tuple[str, ...]:
    """Return the mean times of all engines' requests: answers are not distinguished by engine."""
    if engine is not None and len(run.engines) > 1:
        return ()
    gate = settings.times.gate()
    times, why = times_between(run, request_sums(run, start), start, end, gate)
    if times is None:
        return (f"unknown: {why}",) if why else ()
    parts = (
        (times.request, "per request"),
        (times.queue, "in the queue"),
        (times.per_token, "per token"),
    )
    return tuple(
        f"about {short_time(seconds)} {what}" for seconds, what in parts if seconds is not None
    )
