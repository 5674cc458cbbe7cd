"""Runs judged by either evaluator: by columns, sample by sample, or cut into pieces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal
from unittest.mock import patch

from vllm_watch.config import Settings
from vllm_watch.core.records import Event, Sample
from vllm_watch.core.run import Run
from vllm_watch.health import judgement
from vllm_watch.health.enginetrend import TrendSpan
from vllm_watch.health.finding import Finding
from vllm_watch.health.judgement import Judgement
from vllm_watch.health.plan import plan_of
from vllm_watch.health.rules import builtin_rules
from vllm_watch.health.spans import AlertSpan

By = Literal["columns", "samples"]


def judged_run(run: Run, settings: Settings | None = None, by: By = "columns") -> Judgement:
    """Judge a run with only one evaluator."""
    found = Judgement(run, plan_of(builtin_rules().rules, settings or Settings()))
    for series in run.series.values():
        series.unjudged = 0
    extend(found, by)
    return found


def extend(found: Judgement, by: By) -> None:
    """Judge new samples with only one evaluator."""
    few = 0 if by == "columns" else 10**9
    with patch.object(judgement, "few_rows", lambda: few):
        found.extend()


def run_with(
    samples: Iterable[tuple[float, int, Mapping[str, float]]], events: Iterable[Event] = ()
) -> Run:
    """Return a run of samples (time, engine, values) that comes after some events."""
    run = Run(0)
    for event in events:
        run.add_event(event, None)
    for time, engine, values in samples:
        run.add_sample(Sample(time, engine, values), None)
    return run


def found_in(found: Judgement) -> tuple[list[AlertSpan], list[TrendSpan]]:
    """Return every span of a judgement, in an order that does not depend on the evaluator."""
    trends = found.trend_spans(found.run.series)
    alerts = sorted(found.spans(), key=lambda span: (span.fired, span.rule.id, span.engine))
    return alerts, sorted(trends, key=lambda span: (span.fired, span.id, span.engine))


def ids(found: Iterable[Finding]) -> list[str]:
    """Return the ids of findings."""
    return [finding.id for finding in found]
