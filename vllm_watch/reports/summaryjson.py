"""A summary as JSON (docs/schemas/summary.json): stable names, null for what is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import tzinfo

from vllm_watch.core.figures import iso
from vllm_watch.core.meantimes import MeanTimes
from vllm_watch.core.metrics import METRICS
from vllm_watch.core.recorded import LATENCIES
from vllm_watch.health.finding import Finding
from vllm_watch.reports.benchmarks import BenchmarkSpan
from vllm_watch.reports.configuration import shown_capacity, shown_flags
from vllm_watch.reports.cost import Cost
from vllm_watch.reports.iterations import IterationSummary
from vllm_watch.reports.recorded import GpuSummary, RecordedSummary, Spread
from vllm_watch.reports.summary import EngineSummary, Figures, RunSummary
from vllm_watch.reports.unknowns import unknowns_of

SCHEMA = 1
"""Version of the schema: increased when a field is renamed, removed or changes its meaning."""
_DIGITS = 6

Json = dict[str, object]


def summary_json(summaries: Sequence[RunSummary]) -> Json:
    """Return what `summary --json` writes."""
    return {"schema": SCHEMA, "servers": [run_json(summary) for summary in summaries]}


def run_json(summary: RunSummary) -> Json:
    """Return one run; an earlier run has the same form."""
    return {
        "server": summary.server,
        "source": summary.source,
        "model": summary.model,
        "port": summary.port,
        "version": summary.version,
        "state": summary.state.name,
        "state_since": iso(summary.state.since, summary.tz),
        "state_why": summary.state.why or None,
        "ready_after_s": summary.ready_after,
        "run": summary.run,
        "runs": summary.runs,
        "first": iso(summary.first, summary.tz),
        "last": iso(summary.last, summary.tz),
        "zone_assumed": summary.zone_assumed,
        "startup": [
            {"phase": phase.name, "seconds": phase.seconds, "begin": iso(phase.begin, summary.tz)}
            for phase in summary.phases
        ],
        "config": shown_flags(summary.configuration),
        "capacity": shown_capacity(summary.configuration),
        "engines": [_engine(engine, summary.tz) for engine in summary.engines],
        "together": _engine(summary.all_engines, summary.tz),
        "requests": {
            "total": summary.requests,
            "by_status": dict(summary.served),
            "polls": summary.polls,
        },
        "refused": [asdict(refusal) for refusal in summary.refusals],
        "times": _times(summary.times),
        "latency": _latency(summary.recorded),
        "iterations": [_rounded(one) for one in summary.iterations] or None,
        "gpus": [_gpu(gpu) for gpu in summary.recorded.gpus] or None,
        "cost": _rounded(summary.cost),
        "benchmarks": [_benchmark(span, summary.tz) for span in summary.benchmarks],
        "errors": summary.errors,
        "findings": [finding_json(finding, summary.tz) for finding in summary.findings],
        "unknown": [asdict(unknown) for unknown in unknowns_of(summary)],
        "unrecognised_lines": summary.unrecognised,
        "warnings": list(summary.warnings),
        "earlier_runs": [run_json(run) for run in summary.earlier],
    }


def finding_json(finding: Finding, tz: tzinfo) -> Json:
    """Return a finding with its times in the log's zone."""
    return {
        "id": finding.id,
        "severity": finding.severity,
        "title": finding.title,
        "detail": finding.detail,
        "remedy": finding.remedy,
        "guide": finding.guide,
        "since": iso(finding.since, tz),
        "until": iso(finding.until, tz),
        "engine": finding.engine,
        "metric": finding.metric,
        "flags": list(finding.flags),
        "formula": finding.formula or None,
        "expect": finding.expect or None,
        "costs": list(finding.costs),
        "spans": [[iso(end, tz) for end in span] for span in finding.lasted],
        "explains": [finding_json(one, tz) for one in finding.explains],
    }


def _times(times: MeanTimes | None) -> Json | None:
    if times is None:
        return None
    per_token = times.per_token
    return {
        "queue_s": None if times.queue is None else round(times.queue, _DIGITS),
        "request_s": round(times.request, _DIGITS),
        "per_token_s": None if per_token is None else round(per_token, _DIGITS),
        "answered": times.answered,
        "source": times.source,
    }


def _latency(recorded: RecordedSummary) -> Json | None:
    """Return the latencies by name, null for those not measured."""
    if not recorded.latency:
        return None
    return {
        name: asdict(recorded.latency[name]) if name in recorded.latency else None
        for name in LATENCIES
    }


def _gpu(gpu: GpuSummary) -> Json:
    return {
        "gpu": gpu.gpu,
        "name": gpu.name,
        "uuid": gpu.uuid,
        "samples": gpu.samples,
        "memory_total": gpu.memory_total,
        **{name: _rounded(spread) for name, spread in gpu.figures.items()},
        "throttled": {why: round(share, _DIGITS) for why, share in gpu.throttled.items()},
    }


def _rounded(figures: IterationSummary | Cost | Figures | Spread | None) -> Json | None:
    """Return figures by their names, None for unknown ones."""
    if figures is None:
        return None
    return {
        name: round(value, _DIGITS) if isinstance(value, float) else value
        for name, value in asdict(figures).items()
    }


def _benchmark(span: BenchmarkSpan, tz: tzinfo) -> Json:
    return {
        "name": span.benchmark.name,
        "begin": iso(span.begin, tz),
        "end": iso(span.end, tz),
        "client": {name: round(value, _DIGITS) for name, value in span.benchmark.figures.items()},
        "log": {name: round(value, _DIGITS) for name, value in span.log.items()},
        "times": _times(span.times),
    }


def _engine(engine: EngineSummary, tz: tzinfo) -> Json:
    return {
        "engine": engine.engine,
        "samples": engine.samples,
        "busy_samples": engine.busy_samples,
        "first": iso(engine.first, tz),
        "last": iso(engine.last, tz),
        **{metric.name: _rounded(engine.figures[metric.name]) for metric in METRICS},
        "generated_tokens": engine.generated_tokens,
        "prompt_tokens": engine.prompt_tokens,
    }
