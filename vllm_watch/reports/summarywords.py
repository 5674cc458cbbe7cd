"""A summary as texts and cells, shared by plain text, Markdown and HTML."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

from vllm_watch.core.figures import (
    UNKNOWN,
    clock,
    count,
    counted,
    duration,
    flag_value,
    percent,
    rate,
    short_time,
)
from vllm_watch.core.metrics import METRICS, Metric
from vllm_watch.core.refusals import refusal_words
from vllm_watch.core.startup import Phase
from vllm_watch.reports.benchmarks import benchmark_words
from vllm_watch.reports.configuration import ALWAYS, shown_flags
from vllm_watch.reports.iterations import iteration_words
from vllm_watch.reports.recorded import gpu_words, latency_words
from vllm_watch.reports.summary import EngineSummary, RunSummary
from vllm_watch.reports.unknowns import unknowns_of

FIGURE_HEADS = ("", "last", "mean", "busy mean", "p50", "p95", "max")
"""Heads of the table of figures; the first column names the metric and its unit."""
ENGINE_HEADS = (
    "engine", "samples", "gen tok/s busy mean", "running busy mean", "KV max", "generated tokens",
)  # fmt: skip
FLEET_HEADS = ("server", "state", "ready", "gen tok/s busy mean", "peak", "KV max", "requests")

_PARTS = ("last", "mean", "busy_mean", "p50", "p95", "max")
_ALWAYS_SHOWN = METRICS[:6]
Facts = list[tuple[str, str]]


_TOLD = frozenset({"idle", "busy", "ready", "starting"})
"""States of which the verdict says all."""


def summary_facts(summary: RunSummary, zone: tzinfo) -> Facts:
    """Return label and words of all facts apart from figures and findings."""
    facts = [
        ("log", summary.source),
        ("time", _time(summary, zone)),
        ("why", summary.state.why if summary.state.name not in _TOLD else ""),
        ("config", " · ".join(_config(summary))),
        ("capacity", " · ".join(_capacity(summary))),
        ("start-up", _startup(summary)),
        ("requests", _requests(summary)),
        ("refused", _refused(summary)),
        ("errors", f"{summary.errors:,} in the log" if summary.errors else "none in the log"),
        ("times", _times(summary)),
        ("latency", latency_words(summary.recorded)),
        ("steps", _steps(summary)),
        ("GPUs", " · ".join(gpu_words(gpu) for gpu in summary.recorded.gpus)),
        ("tokens", _tokens(summary)),
        ("cost", _cost(summary)),
        *(("benchmark", benchmark_words(span, zone)) for span in summary.benchmarks),
    ]
    return [(label, words) for label, words in facts if words]


def facts_beside_findings(summary: RunSummary, zone: tzinfo) -> Facts:
    """Return the same without the reason of a state that a finding gives already."""
    details = [finding.detail for finding in summary.findings if finding.detail]
    return [
        (label, words)
        for label, words in summary_facts(summary, zone)
        if label != "why"
        or not any(detail in words or words.removesuffix(".") in detail for detail in details)
    ]


def unknown_words(summary: RunSummary) -> list[str]:
    """Return what the log does not show, and why: a line each."""
    return [f"{one.what}: {one.why}" for one in unknowns_of(summary)]


def headline(summary: RunSummary, zone: tzinfo) -> str:
    """Return the state, its beginning and its cause."""
    parts: list[str] = [summary.state.name]
    if summary.state.since is not None and math.isfinite(summary.state.since):
        parts[0] += f" since {clock(summary.state.since, zone)}"
    if summary.version:
        parts.append(f"vLLM {summary.version}")
    if summary.runs > 1:
        parts.append(f"run {summary.run + 1} of {summary.runs}")
    return " · ".join(parts)


def figure_rows(engine: EngineSummary) -> list[tuple[str, ...]]:
    """Return a row of cells per metric: the six of every stats line, and others that occur."""
    rows = []
    for metric in METRICS:
        figures = engine.figures[metric.name]
        label = f"{metric.label} ({metric.unit})" if metric.unit else metric.label
        if figures is not None:
            values = (getattr(figures, name) for name in _PARTS)
            rows.append((label, *(value_words(metric, value) for value in values)))
        elif metric in _ALWAYS_SHOWN:
            rows.append((label, *[UNKNOWN] * 6))
    return rows


def engine_rows(summary: RunSummary) -> list[tuple[str, ...]]:
    """Return a row of cells per engine, nothing if there is only one."""
    return [_engine_row(engine) for engine in summary.engines] if len(summary.engines) > 1 else []


def fleet_rows(summaries: Sequence[RunSummary]) -> list[tuple[str, ...]]:
    """Return a row of cells per server."""
    rows: list[tuple[str, ...]] = []
    for summary in summaries:
        figure = summary.all_engines.figure
        rows.append(
            (
                summary.server,
                summary.state.name,
                duration(summary.ready_after),
                rate(figure("generation_tps", "busy_mean")),
                rate(figure("generation_tps", "max")),
                percent(figure("kv_cache_usage", "max")),
                count(summary.requests),
            )
        )
    return rows


def value_words(metric: Metric, value: float | None) -> str:
    """Return a value in its unit: per cent for ratios."""
    if value is None:
        return UNKNOWN
    if metric.kind == "ratio":
        return f"{value * 100:.1f}"
    if metric.kind == "count":
        return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"
    return rate(value)


def _engine_row(engine: EngineSummary) -> tuple[str, ...]:
    running = engine.figure("running", "busy_mean")
    return (
        str(engine.engine),
        f"{engine.samples:,}",
        rate(engine.figure("generation_tps", "busy_mean")),
        UNKNOWN if running is None else f"{running:,.1f}",
        percent(engine.figure("kv_cache_usage", "max")),
        _whole(engine.generated_tokens),
    )


def _time(summary: RunSummary, zone: tzinfo) -> str:
    known = summary.first is not None and summary.last is not None and summary.zone_assumed
    return time_words(summary, zone) + (f"; timestamps in {summary.tz}, assumed" if known else "")


def time_words(summary: RunSummary, zone: tzinfo, aside: str = "") -> str:
    """Return first and last stamp of a run, how long it lasted and, in the brackets, an `aside`."""
    if summary.first is None or summary.last is None:
        return "no line has a timestamp"
    first, last = (datetime.fromtimestamp(each, zone) for each in (summary.first, summary.last))
    long = duration((last - first).total_seconds())
    day = "" if first.date() == last.date() else f"{last:%Y-%m-%d} "
    return f"{first:%Y-%m-%d %H:%M:%S} – {day}{last:%H:%M:%S} {last:%Z} ({long}{aside})"


def _config(summary: RunSummary) -> Iterator[str]:
    for name, value in shown_flags(summary.configuration).items():
        if value is not None and (name in ALWAYS or not isinstance(value, dict | list)):
            yield f"{name} {config_words(value)}"


def config_words(value: object) -> str:
    """Return the value of a flag for display."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    return flag_value(value)


def _capacity(summary: RunSummary) -> Iterator[str]:
    known = summary.configuration
    tokens, full, length = known.kv_cache_tokens, known.max_concurrency, known.for_tokens
    if tokens is not None:
        yield f"{tokens:,} KV cache tokens"
    if full is not None:
        yield f"{full:.2f} requests of {f'{length:,} tokens' if length else 'full length'} at once"


def ready_words(summary: RunSummary) -> str:
    """Return whether a run became ready, and how long that took."""
    if summary.ready_after is not None:
        return f"ready after {duration(summary.ready_after)}"
    return "ready, the log does not say when" if summary.worked else "never ready"


def phase_words(phase: Phase, last: float | None) -> str:
    """Return a phase of a start-up with the time that it took; `last`: the run's newest stamp."""
    if phase.end is not None:
        return f"{phase.name} {duration(phase.seconds)}"
    if phase.over or last is None:
        return f"{phase.name} (end unknown)"
    return f"{phase.name} {duration(last - phase.begin)} (not finished)"


def _startup(summary: RunSummary) -> str:
    phases = ", ".join(phase_words(phase, summary.last) for phase in summary.phases)
    if summary.ready_after is None and not phases:
        return ""
    return ready_words(summary) + (f": {phases}" if phases else "")


def _requests(summary: RunSummary) -> str:
    if summary.requests is None:
        return "unknown: the log has no access lines"
    parts = [f"{number:,} answered with {status}" for status, number in summary.served.items()]
    if summary.polls:
        parts.append(f"{summary.polls:,} polls of /metrics, /health")
    return " · ".join(parts) or "none"


def _refused(summary: RunSummary) -> str:
    """Return why requests were refused, with the accepted value."""
    known = summary.configuration
    return " · ".join(refusal_words(one, known) for one in summary.refusals)


def _tokens(summary: RunSummary) -> str:
    whole = summary.all_engines
    if not whole.samples:
        return "unknown: no stats line"
    numbers = (
        ("generated", whole.generated_tokens),
        ("prompt tokens computed", whole.prompt_tokens),
    )
    words = (f"{what} unknown" if n is None else f"{n:,} {what}" for what, n in numbers)
    return f"{', '.join(words)} ({counted(whole.samples, 'sample')}, {whole.busy_samples:,} busy)"


def _whole(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"


def _times(summary: RunSummary) -> str:
    """Return mean times of requests, or why they are unknown if there were requests."""
    times = summary.times
    if times is None:
        return ""  # the reason is listed as unknown
    if times.source == "requests":
        exact = f"{short_time(times.request)} per request (mean of {times.answered:,} timed ones)"
        if times.queue is None:
            return f"{exact}; in the queue, per token: unknown, {summary.times_unknown}"
        return (
            f"{exact}; about {short_time(times.queue)} of it in the queue, "
            f"{short_time(times.per_token)} per output token (estimated)"
        )
    words = (
        f"{short_time(times.queue)} in the queue, {short_time(times.request)} per request, "
        f"{short_time(times.per_token)} per output token"
    )
    if times.source == "metrics":
        return f"{words} (means, recorded)"
    return f"about {words} (means, estimated from the log)"


def _steps(summary: RunSummary) -> str:
    several = len(summary.iterations) > 1
    return " · ".join(iteration_words(one, several=several) for one in summary.iterations)


def _cost(summary: RunSummary) -> str:
    cost = summary.cost
    if cost is None:
        return ""
    parts = [f"{cost.total:,.2f} for {cost.gpus} GPU x {cost.hours:.2f} h at {cost.gpu_hourly:g}"]
    if cost.per_million_tokens is not None:
        parts.append(f"{cost.per_million_tokens:,.2f} per million generated tokens")
    if cost.idle_share is not None:
        parts.append(f"{percent(cost.idle_share)} of the time without requests")
    return " · ".join(parts)
