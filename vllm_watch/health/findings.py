"""Findings: what is wrong now, since when, what to do, and the guide that says so."""

from __future__ import annotations

from collections.abc import Iterable

from vllm_watch.core.dataclass import replace
from vllm_watch.core.states import FAILED, ServerState
from vllm_watch.health.explaining import explained, plain_remedies, rank
from vllm_watch.health.finding import Case, Finding
from vllm_watch.health.flags import one_per_flag
from vllm_watch.health.spans import AlertSpan
from vllm_watch.health.statefindings import state_findings

NEAR_ZERO = "throughput-near-zero"
"""The rule that explains every trend."""


def findings_at(
    case: Case,
    state: ServerState,
    time: float,
    trends: Iterable[Finding],
    *,
    worded: bool,
) -> tuple[Finding, ...]:
    """Return the problems of a run at `time`, the verdict first (`explaining.rank`).

    `trends` are those at that moment, or at the end of a server that is over. Without `worded`,
    alerts have only the fields they are ranked by.
    """
    found = state_findings(case, state, time)
    over = state.name in FAILED
    if over and state.since is not None:
        at = state.since
        before = [span for span in case.alerts.firing(at) if span.rule.severity != "note"]
        last_words = _of_alerts(case, at, before, worded=worded)
        last_words += _unexplained((f for f in trends if f.severity != "note"), before)
        found += [_before_the_end(finding, state) for finding in last_words]
    elif state.name not in ("stopped", "finished"):
        firing = case.alerts.firing(time)
        if not worded:
            return _heads(case, time, firing, found, _unexplained(trends, firing))
        found += _of_alerts(case, time, firing, worded=True)
        found += _unexplained(trends, firing)
    ranked = sorted(explained(case.book, sorted(found, key=rank)), key=rank)
    if not worded:
        return tuple(ranked)
    return tuple(one_per_flag(ranked, plain_remedies(case.book)))


def _heads(
    case: Case,
    time: float,
    firing: list[AlertSpan],
    before: list[Finding],
    trends: list[Finding],
) -> tuple[Finding, ...]:
    """Return alerts, what came `before` them, and trends, all without texts, in order.

    They are cached until one of them changes.
    """
    raised = [span for span in firing if span.raised is not None and span.raised <= time]
    key = (before, firing, trends, raised, len(case.run.engines))
    if case.alerts.heads[0] != key:
        found = before + _of_alerts(case, time, firing, worded=False) + trends
        ranked = sorted(explained(case.book, sorted(found, key=rank)), key=rank)
        case.alerts.heads = key, tuple(ranked)
    return case.alerts.heads[1]


def _of_alerts(case: Case, time: float, firing: list[AlertSpan], *, worded: bool) -> list[Finding]:
    """Return the findings of the alerts that fire at `time`, one for each rule."""
    if not firing:
        return []
    from vllm_watch.health.alertfindings import alert_finding  # texts are made only on request

    return [alert_finding(case, span, time, firing, worded=worded) for span in _earliest(firing)]


def _before_the_end(finding: Finding, state: ServerState) -> Finding:
    """Return the faults before a death as possible causes: earlier does not mean proved."""
    seen = finding.detail.partition(";")[0]  # without the remedy, which comes after the death
    detail = seen if state.cause else f"{state.perhaps_why}: {seen}"
    title = f"before that: {finding.title}"
    return replace(finding, title=title, detail=detail, until=state.since)


def _unexplained(trends: Iterable[Finding], firing: Iterable[AlertSpan]) -> list[Finding]:
    """Leave trends out while almost nothing is generated: `throughput-near-zero` is enough."""
    return [] if any(span.rule.id == NEAR_ZERO for span in firing) else list(trends)


def _earliest(spans: Iterable[AlertSpan]) -> list[AlertSpan]:
    """Return one span per rule: that of the engine for which it has lasted longest."""
    first: dict[str, AlertSpan] = {}
    for span in spans:
        known = first.get(span.rule.id)
        if known is None or span.since < known.since:
            first[span.rule.id] = span
    return list(first.values())
