"""Findings: what is wrong now, in words, with since when, what to do and which guide says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from vllm_watch.config import HealthSettings
from vllm_watch.core.metrics import ALL_ENGINES, METRIC_BY_NAME
from vllm_watch.core.run import Run
from vllm_watch.core.states import ServerState
from vllm_watch.health.alerts import AlertMachine, Span
from vllm_watch.health.rules import SEVERITIES, Rule, RuleBook, Severity, StateRule

NEAR_ZERO = "throughput-near-zero"
"""The rule that explains every trend."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should know about a server."""

    id: str
    word: str
    """One or two words for it."""
    severity: Severity
    title: str
    """What is seen, with its number and unit."""
    detail: str
    remedy: str
    """What to do about it."""
    guide: str
    """Which guide says so."""
    since: float | None
    """Epoch seconds of the first evidence."""
    engine: int | None = None
    """The engine it is about, None: the whole server."""
    until: float | None = None
    """When it ended, None while it lasts."""
    metric: str | None = None
    """The metric that shows it best: whose chart is the evidence."""
    flags: tuple[str, ...] = ()
    """What to change, as complete words of vLLM's command line: `--max-num-seqs 256`."""
    formula: str = ""
    """The arithmetic behind the flags, with this server's own figures."""
    expect: str = ""
    """What to expect from the change."""


def findings_at(
    book: RuleBook,
    settings: HealthSettings,
    run: Run,
    alerts: AlertMachine,
    state: ServerState,
    time: float,
    trends: Iterable[Finding] = (),
) -> tuple[Finding, ...]:
    """Return what is wrong with a run at `time`: the worst first, then the newest.

    `trends` are those of that moment, of the end of a server that is over.
    """
    found: list[Finding] = []
    state_rule = book.states.get(state.name)
    if state_rule is not None:
        found.append(_state_finding(state_rule, run, state, time))
    over = state.name in ("dead", "ended")
    if over and state.since is not None:
        before = [span for span in alerts.firing(state.since) if span.rule.severity != "note"]
        last_words = [
            _alert_finding(span, settings, run, state.since) for span in _earliest(before)
        ]
        last_words += _unexplained((f for f in trends if f.severity != "note"), before)
        found += [
            replace(finding, title=f"before that: {finding.title}", until=state.since)
            for finding in last_words
        ]
    elif state.name != "stopped":
        firing = _earliest(alerts.firing(time))
        found += [_alert_finding(span, settings, run, time) for span in firing]
        found += _unexplained(trends, firing)
    return tuple(sorted(_unhidden(book, found), key=_rank))


def findings_of(
    book: RuleBook,
    settings: HealthSettings,
    run: Run,
    alerts: AlertMachine,
    state: ServerState,
    time: float,
    trends: Iterable[Finding] = (),
) -> tuple[Finding, ...]:
    """Return every finding that fired in a run up to `time`, the oldest first.

    Nothing is hidden by another finding here; `until` is None for what still fires.
    """
    found = [
        replace(
            _alert_finding(span, settings, run, span.fired),
            until=None if span.until is None or span.until > time else span.until,
        )
        for span in alerts.spans()
        if span.fired <= time
    ]
    found += trends
    state_rule = book.states.get(state.name)
    if state_rule is not None:
        found.append(_state_finding(state_rule, run, state, time))
    return tuple(sorted(found, key=lambda finding: finding.since or 0.0))


def _unexplained(trends: Iterable[Finding], firing: Iterable[Span]) -> list[Finding]:
    """Leave trends out while hardly anything is generated at all: that says more."""
    return [] if any(span.rule.id == NEAR_ZERO for span in firing) else list(trends)


def _earliest(spans: Iterable[Span]) -> list[Span]:
    """Return one span per rule: the engine that has it longest speaks for the others."""
    first: dict[str, Span] = {}
    for span in spans:
        known = first.get(span.rule.id)
        if known is None or span.since < known.since:
            first[span.rule.id] = span
    return list(first.values())


def _unhidden(book: RuleBook, found: Iterable[Finding]) -> list[Finding]:
    """Leave out what another finding explains."""
    found = list(found)
    hidden: set[str] = set()
    for finding in found:
        for pattern in book.hides(finding.id):
            hidden |= {
                other.id for other in found if other.id != finding.id and pattern in ("*", other.id)
            }
    return [finding for finding in found if finding.id not in hidden]


def _rank(finding: Finding) -> tuple[int, float]:
    return -SEVERITIES.index(finding.severity), -(finding.since or 0.0)


def _state_finding(rule: StateRule, run: Run, state: ServerState, time: float) -> Finding:
    words = {
        "why": state.why.removeprefix("[shutdown] ") or "no reason given",
        **_words(_latest(run, None, time)),
    }
    return Finding(
        rule.id,
        rule.word,
        rule.severity,
        rule.title.format_map(_Words(words)),
        rule.detail.format_map(_Words(words)),
        rule.remedies.get(state.cause, rule.remedy),
        rule.guide,
        state.since,
    )


def _alert_finding(span: Span, settings: HealthSettings, run: Run, time: float) -> Finding:
    rule = span.rule
    words = _words(_latest(run, span.engine, time))
    words["value"] = words.get(rule.metric, "–")
    words["limit"] = _limit_text(rule, settings)
    words["excellent"] = shown_value("prefix_cache_hit_rate", settings.prefix_cache_excellent)
    several = len(run.engines) > 1 and span.engine != ALL_ENGINES
    return Finding(
        rule.id,
        rule.word,
        rule.severity,
        rule.title.format_map(_Words(words)),
        rule.detail.format_map(_Words(words)),
        rule.remedy,
        rule.guide,
        span.since,
        span.engine if several else None,
        metric=rule.metric,
    )


def span_title(span: Span, settings: HealthSettings, run: Run, time: float) -> str:
    """Return an alert's title with its value at `time`."""
    return _alert_finding(span, settings, run, time).title


def _limit_text(rule: Rule, settings: HealthSettings) -> str:
    test = rule.when[-1]
    level = float(getattr(settings, test.level)) if isinstance(test.level, str) else test.level
    if test.signal in METRIC_BY_NAME:
        return shown_value(test.signal, level)
    return f"{level * 100:.0f} %"


def _latest(run: Run, engine: int | None, time: float) -> dict[str, float]:
    """Return the values of the newest sample at `time`, of one engine or added up."""
    total: dict[str, float] = {}
    for number in run.engines if engine is None else [engine]:
        series = run.series.get(number)
        index = series.index_at(time) if series else None
        if series is None or index is None:
            continue
        for name, value in series.sample(index).items():
            if METRIC_BY_NAME[name].total == "sum":
                total[name] = total.get(name, 0.0) + value
            else:
                total[name] = max(total.get(name, 0.0), value)
    return total


def _words(values: Mapping[str, float]) -> dict[str, str]:
    return {name: shown_value(name, value) for name, value in values.items()}


class _Words(dict[str, str]):
    """Words of a template; what is unknown is a dash, never a wrong number."""

    def __missing__(self, key: str) -> str:
        return "–"


def shown_value(metric: str, value: float) -> str:
    """Return a value as a person reads it: per cent for ratios, thousands separated."""
    kind = METRIC_BY_NAME[metric].kind
    if kind == "ratio":
        return f"{value * 100:.0f} %"
    if kind == "rate":
        return f"{value:,.0f} {METRIC_BY_NAME[metric].unit}"
    return f"{value:,.0f}"
