"""Findings: what is wrong now, in words, with since when, what to do and which guide says so."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from vllm_watch.config import HealthSettings, Settings
from vllm_watch.core.metrics import ALL_ENGINES, METRIC_BY_NAME
from vllm_watch.core.run import Run
from vllm_watch.core.states import STATS_ARE_OFF, ServerState
from vllm_watch.health.advice import ADVICE, Situation, one_per_flag
from vllm_watch.health.alerts import WHOLE_SERVER, AlertMachine, Span
from vllm_watch.health.longcontext import context_per_request, thousands
from vllm_watch.health.rules import RECORDED_SCOPES, SEVERITIES, Rule, RuleBook, Severity
from vllm_watch.health.shown import shown_value

SLOW_START = "slow-start"
"""What stands for a start-up that takes too long, which is no state of its own."""
NO_STATS: Literal["no-stats"] = "no-stats"
"""The state of a server whose stats lines are switched off."""
UNPROVED = "cause not proved"
"""Said of a fault that a server had when it died of something that its log does not name."""
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


@dataclass(frozen=True, slots=True)
class Case:
    """A run, and all that it is judged by."""

    book: RuleBook
    settings: Settings
    run: Run
    alerts: AlertMachine
    facts: Mapping[str, float]
    """What the start-up told, as numbers."""

    def situation(self, engine: int | None, time: float) -> Situation:
        """Return what advice starts from."""
        known = None if engine == WHOLE_SERVER else engine
        return Situation(self.run, known, time, self.settings, self.facts)


def findings_at(
    case: Case, state: ServerState, time: float, trends: Iterable[Finding] = ()
) -> tuple[Finding, ...]:
    """Return what is wrong with a run at `time`: the worst first, then the newest.

    `trends` are those of that moment, of the end of a server that is over.
    """
    found = _state_findings(case, state, time)
    over = state.name in ("dead", "ended")
    if over and state.since is not None:
        at = state.since
        before = [span for span in case.alerts.firing(at) if span.rule.severity != "note"]
        last_words = [_alert_finding(case, span, at, before) for span in _earliest(before)]
        last_words += _unexplained((f for f in trends if f.severity != "note"), before)
        found += [_before_the_end(finding, state) for finding in last_words]
    elif state.name not in ("stopped", "finished"):
        firing = case.alerts.firing(time)
        found += [_alert_finding(case, span, time, firing) for span in _earliest(firing)]
        found += _unexplained(trends, firing)
    ranked = sorted(_unhidden(case.book, found), key=_rank)
    return tuple(one_per_flag(ranked, lambda finding: _plain(case.book, finding)))


def _before_the_end(finding: Finding, state: ServerState) -> Finding:
    """Return what was wrong when a server died, as that: what came before is no proof."""
    seen = finding.detail.partition(";")[0]  # what follows tells how to go on
    detail = seen if state.cause else f"{UNPROVED}: {seen}"
    title = f"before that: {finding.title}"
    return replace(finding, title=title, detail=detail, until=state.since)


def findings_of(
    case: Case, state: ServerState, time: float, trends: Iterable[Finding] = ()
) -> tuple[Finding, ...]:
    """Return every finding that fired in a run up to `time`, the oldest first.

    Nothing is hidden by another finding here; `until` is None for what still fires. The figures
    of a title are those at which it fired, the advice is that of its end.
    """
    spans = [span for span in case.alerts.spans() if span.fired <= time]
    found = []
    for span in spans:
        if span.returned is not None and span.returned <= time:
            continue  # it came back: one finding with a count
        over = span.until is not None and span.until <= time
        last = time if span.until is None or not over else _before(case, span, span.until)
        finding = _alert_finding(case, span, span.fired, spans, advised=last)
        until = span.until if over else None
        found.append(
            replace(finding, since=span.since if span.begun is None else span.begun, until=until)
        )
    found += trends
    found += _state_findings(case, state, time)
    if state.name not in (NO_STATS, "starting"):
        found += _stats_were_off(case, state, time)
    return tuple(sorted(found, key=lambda finding: finding.since or 0.0))


def _stats_were_off(case: Case, state: ServerState, time: float) -> list[Finding]:
    """Return the finding of a run that wrote no stats lines and is over now (DESIGN §3)."""
    off = next(
        (at for at, one in case.run.placed() if one.event.kind == "no_stats" and at is not None),
        None,
    )
    if off is None or off > time or case.run.series:
        return []
    was = ServerState(NO_STATS, off, STATS_ARE_OFF)
    return [replace(found, until=state.since) for found in _state_findings(case, was, time)]


def _before(case: Case, span: Span, time: float) -> float:
    """Return the last sample before an alert ended: there it was still so."""
    engines = case.run.engines if span.engine == WHOLE_SERVER else [span.engine]
    times = []
    for engine in engines:
        series = case.run.series.get(engine)
        index = series.span(span.since, time)[1] if series else 0
        times += [
            t for t in (series.times[max(0, index - 3) : index] if series else ()) if t < time
        ]
    return max(times, default=span.fired)


def _plain(book: RuleBook, finding: Finding) -> str:
    """Return the remedy of a finding without a number."""
    return next((rule.remedy for rule in book.rules if rule.id == finding.id), finding.remedy)


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


def _state_findings(case: Case, state: ServerState, time: float) -> list[Finding]:
    """Return the finding that a state is in itself, if it is one."""
    name: str = state.name
    limit = case.settings.watch.starting_limit_seconds
    since = state.since
    if name == "starting" and since is not None and time - since > limit:
        name, since = SLOW_START, since + limit
    rule = case.book.states.get(name)
    if rule is None:
        return []
    words = {
        "why": state.why.removeprefix("[shutdown] ") or "no reason given",
        "limit": f"{limit / 60:.0f}",
        **_words(_latest(case.run, None, time)),
    }
    compute = ADVICE.get(rule.advices.get(state.cause, ""))
    advice = compute(case.situation(None, time)) if compute else None
    return [
        Finding(
            rule.id,
            rule.word,
            rule.severity,
            rule.title.format_map(_Words(words)),
            rule.detail.format_map(_Words(words)),
            advice.remedy if advice else rule.remedies.get(state.cause, rule.remedy),
            rule.guide,
            since,
            flags=advice.flags if advice else (),
            formula=advice.formula if advice else "",
            expect=advice.expect if advice else "",
        )
    ]


def _alert_finding(
    case: Case,
    span: Span,
    time: float,
    beside: Iterable[Span] = (),
    *,
    advised: float | None = None,
) -> Finding:
    """Return what an alert says at `time`; its advice with the figures of `advised`."""
    rule, run = span.rule, case.run
    words = _Words(span_words(case, span, time))
    critical = rule.critical_with and any(
        other.rule.id == rule.critical_with
        and other.engine == span.engine
        and _overlap(other, span)
        for other in beside
    )
    title = rule.critical_title if critical else rule.title
    compute = ADVICE.get(rule.advice)
    advice = compute(case.situation(span.engine, advised or time)) if compute else None
    several = len(run.engines) > 1 and span.engine not in (ALL_ENGINES, WHOLE_SERVER)
    flapping = f" ({span.times} times)" if span.times > 1 else ""
    return Finding(
        rule.id,
        rule.critical_word if critical else rule.word,
        "critical" if critical else rule.severity,
        title.format_map(words) + flapping,
        rule.detail.format_map(words),
        advice.remedy if advice else rule.remedy,
        rule.guide,
        span.since,
        span.engine if several else None,
        metric=rule.metric,
        flags=advice.flags if advice else (),
        formula=advice.formula if advice else "",
        expect=advice.expect if advice and advice.expect else rule.expect,
    )


def _overlap(one: Span, other: Span) -> bool:
    """Tell whether two alerts fired at the same time."""
    one_end = math.inf if one.until is None else one.until
    other_end = math.inf if other.until is None else other.until
    return one.fired < other_end and other.fired < one_end


def span_words(case: Case, span: Span, time: float) -> dict[str, str]:
    """Return the words that a rule's texts may hold, with the figures of `time`."""
    rule, run = span.rule, case.run
    values, ran = _figures(run, span, time)
    words = {name: f"{value:,.4g}" for name, value in case.facts.items()}
    for name in ("max_num_seqs", "max_model_len", "max_num_batched_tokens"):
        if name in case.facts:
            words[name] = f"{case.facts[name]:,.0f}"
    if "over_capacity" in case.facts:
        words["capacity"] = f"{case.facts['max_num_seqs'] / case.facts['over_capacity']:.1f}"
    words |= _words(values)
    words["value"] = words.get(rule.metric, "–")
    words["limit"] = _limit_text(rule, case.settings.health)
    words["excellent"] = shown_value(
        "prefix_cache_hit_rate", case.settings.health.prefix_cache_excellent
    )
    printed = "preemptions" in values
    words["how"] = "the line counts them" if printed else "inferred: running fell, waiting rose"
    context = context_per_request(
        values.get("kv_cache_usage"), case.facts.get("context_tokens"), values.get("running")
    )
    if context is not None:
        words["context"] = thousands(context)
    if len(ran) > 1:
        words |= {"least": f"{min(ran):.0f}", "most": f"{max(ran):.0f}"}
        words["mean"] = f"{sum(ran) / len(ran):.0f}"
    return words


def span_over(case: Case, span: Span, beside: Iterable[Span]) -> tuple[str, bool]:
    """Return what to say of an alert that has ended, and whether that is good news.

    It is none where nothing was left to judge it by, or where something critical goes on.
    """
    time = span.fired if span.until is None else span.until
    words = _Words(span_words(case, span, time))
    texts = {
        "cleared": span.rule.over.format_map(words),
        "few prompts": f"{span.rule.word}: too few prompts to judge",
        "idle": f"{span.rule.word}: over, nothing runs",
    }
    goes_on = next(
        (
            other.rule.word
            for other in beside
            if other.rule.severity == "critical"
            and other.firing_at(time)
            and (other.engine == span.engine or WHOLE_SERVER in (other.engine, span.engine))
        ),
        None,
    )
    text = texts[span.ending]
    if goes_on is not None:
        return f"{text}; {goes_on} goes on", False
    return text, span.ending != "few prompts"


def remember(run: Run, spans: Iterable[Span]) -> None:
    """Keep the figures at which alerts fired: their samples are thinned one day."""
    for span in spans:
        span.figures, span.ran = _figures(run, span, span.fired)


def _figures(run: Run, span: Span, time: float) -> tuple[Mapping[str, float], tuple[float, ...]]:
    """Return the values behind an alert at `time`, and the running requests of each engine."""
    recorded = span.rule.scope in RECORDED_SCOPES
    if span.figures is not None and (time == span.fired or recorded):
        return span.figures, span.ran
    values = _latest(run, None if span.engine == WHOLE_SERVER else span.engine, time)
    return values, tuple(_latest(run, one, time).get("running", 0.0) for one in run.engines)


def span_finding(case: Case, span: Span, beside: Iterable[Span]) -> Finding:
    """Return an alert as the finding that it was when it fired, `beside` the others."""
    return _alert_finding(case, span, span.fired, beside)


def _limit_text(rule: Rule, settings: HealthSettings) -> str:
    if not rule.when:
        return "–"
    test = rule.when[-1]
    level = test.level
    if isinstance(level, str):
        if not hasattr(settings, level):
            return "–"
        level = float(getattr(settings, level))
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
