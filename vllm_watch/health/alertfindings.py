"""Alerts as findings: their texts with the figures of a moment, and their advice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter

from vllm_watch.config import HealthSettings
from vllm_watch.config.sections import Severity
from vllm_watch.core.dataclass import replace
from vllm_watch.core.enginevalues import newest_values
from vllm_watch.core.figures import counted
from vllm_watch.core.hints import TypeAlias
from vllm_watch.core.metrics import ALL_ENGINES, METRIC_BY_NAME
from vllm_watch.core.run import Run
from vllm_watch.health.finding import Case, Finding
from vllm_watch.health.flags import with_advice
from vllm_watch.health.rules import RECORDED_SCOPES, SAMPLED_SCOPES, SEVERITIES, Rule
from vllm_watch.health.signalwords import Words, in_words, shown_value
from vllm_watch.health.slowdown import context_per_request, thousands
from vllm_watch.health.spans import WHOLE_SERVER, AlertSpan

Rise: TypeAlias = "tuple[float, Severity, AlertSpan]"
"""When an alert became a warning or grew worse, how severe it was then, and by which alert."""


_WHOLE = frozenset(
    {
        *("max_num_seqs", "max_model_len", "max_num_batched_tokens"),
        *("num_gpu_blocks", "num_gpu_blocks_override"),
    }
)
"""Signals from the start-up that are whole numbers."""


def alert_finding(
    case: Case,
    span: AlertSpan,
    time: float,
    others: Iterable[AlertSpan],
    *,
    advised: float | None = None,
    counted: bool = True,
    worded: bool = True,
) -> Finding:
    """Return an alert as a finding at `time`; its advice uses the figures of `advised`.

    `others` are the other alerts. With `counted`, the text says how often it came back. Without
    `worded`, it has only the fields it is ranked by: texts and advice take ten times as long.
    """
    rule, run = span.rule, case.run
    raised = raised_to(span, advised or time, others)
    several = len(run.series) > 1 and len(run.engines) > 1
    engine = span.engine if several and span.engine not in (ALL_ENGINES, WHOLE_SERVER) else None
    word = rule.raised_word if raised else rule.word
    severity = raised or rule.severity
    if not worded:
        head = rule.id, word, severity, word, "", "", rule.guide, span.since, engine
        return Finding(*head, metric=rule.metric)
    words = Words(span_words(case, span, time))
    advice = case.advice(rule.advice, span.engine, advised or time, {})
    finding = Finding(
        rule.id,
        word,
        severity,
        _title(span, words, raised=raised is not None, counted=counted),
        rule.detail.format_map(words),
        rule.raised_remedy if raised else rule.remedy,
        rule.guide,
        span.since,
        engine,
        metric=rule.metric,
        expect=rule.expect.format_map(words),
    )
    return with_advice(finding, advice, case.facts)


def _title(span: AlertSpan, words: Words, *, raised: bool, counted: bool = True) -> str:
    title = span.rule.raised_title if raised else span.rule.title
    flapping = f" ({span.times} times)" if counted and span.times > 1 else ""
    return title.format_map(words) + flapping


def raised_to(span: AlertSpan, time: float, others: Iterable[AlertSpan]) -> Severity | None:
    """Return how severe an alert has become by `time`, by its samples or with other alerts.

    None if it has not become worse.
    """
    by_itself = span.raised is not None and span.raised <= time
    return span.rule.raised if by_itself or _raising(span, others) else None


def _raising(span: AlertSpan, others: Iterable[AlertSpan]) -> list[AlertSpan]:
    """Return the alerts that make another one worse: they fire at the same time."""
    ids = span.rule.raised_with
    raising = (one for one in others if one.rule.id in ids) if ids else ()
    return [one for one in raising if _near(one, span) and overlap(one, span)]


def _near(one: AlertSpan, other: AlertSpan) -> bool:
    """Tell whether two alerts are about the same engine, or one about the whole server."""
    return one.engine == other.engine or WHOLE_SERVER in (one.engine, other.engine)


def overlap(one: AlertSpan, other: AlertSpan) -> bool:
    """Return whether two alerts fired at the same time."""
    one_end = math.inf if one.until is None else one.until
    other_end = math.inf if other.until is None else other.until
    return one.fired < other_end and other.fired < one_end


def span_words(case: Case, span: AlertSpan, time: float) -> dict[str, str]:
    """Return the values for the placeholders of a rule's texts, with the figures of `time`."""
    rule, run = span.rule, case.run
    values, ran = figures_at(run, span, time)
    words = {name: f"{value:,.4g}" for name, value in case.facts.items()}
    for name in _WHOLE & case.facts.keys():
        words[name] = f"{case.facts[name]:,.0f}"
    if "over_capacity" in case.facts:
        words["capacity"] = f"{case.facts['max_num_seqs'] / case.facts['over_capacity']:.1f}"
    words |= in_words(values)
    if "kv_override" in case.facts:
        words["kv_override"] = f"{case.facts['kv_override']:,.0f}"
    words["of_answered"] = _of_answered(values)
    words["holds_up"] = _holds_up(values)
    words["reasons"] = _reasons(case, span, time) if rule.scope == "answers" else ""
    words["heard"] = f"{len(ran)}"
    words["value"] = words.get(rule.metric, "–")
    words["limit"] = _limit_text(rule, case.settings.health)
    words |= _levels(case.settings.health)
    printed = "preemptions" in values
    words["how"] = "counted by vLLM" if printed else "inferred: running fell, waiting rose"
    context = context_per_request(
        values.get("kv_cache_usage"), case.facts.get("context_tokens"), values.get("running")
    )
    if context is not None:
        words["context"] = thousands(context)
    if len(ran) > 1:
        words |= {"least": f"{min(ran):.0f}", "most": f"{max(ran):.0f}"}
        words["mean"] = f"{sum(ran) / len(ran):.0f}"
    return words


def _holds_up(values: Mapping[str, float]) -> str:
    """Return what the log says about requests that wait although there is room."""
    deferred = values.get("deferred", 0.0)
    if not deferred:
        return "the log does not say what they wait for"
    return f"{counted(round(deferred), 'waiting request')} deferred for another reason than memory"


def _reasons(case: Case, span: AlertSpan, time: float) -> str:
    """Return why requests were refused, the most frequent reasons first.

    They are counted as the alert's figures are: until the moment that these are of.
    """
    from vllm_watch.core.refusals import refusal_words, refusals_of

    until = next((at for at, _ in reversed(span.peaks) if at <= time), span.fired)
    known = case.run.configuration
    reasons = refusals_of(case.run, until, until - case.settings.health.http_seconds)[:3]
    return "".join(f"; {refusal_words(one, known)}" for one in reasons)


def _over(case: Case, span: AlertSpan, goes_on: str | None) -> tuple[str, bool]:
    """Return the text for an alert that has ended, while a critical one continues."""
    time = span.fired if span.until is None else span.until
    words = Words(span_words(case, span, time))
    what = span.rule.title.format_map(words).partition(":")[0]
    texts = {
        "cleared": span.rule.over.format_map(words),
        "few prompts": f"{what}: no longer judged, too few new prompts",
        "idle": f"{what}: over, no requests are running",
    }
    text = texts[span.ending]
    if goes_on is not None:
        return f"{text}; {goes_on} continues", False
    return text, span.ending != "few prompts"


def _going_on(span: AlertSpan, others: Iterable[AlertSpan]) -> str | None:
    """Return the word of a critical alert that continues when another one ends."""
    time = span.fired if span.until is None else span.until
    return next(
        (
            other.rule.word
            for other in others
            if other.rule.severity == "critical" and other.firing_at(time) and _near(other, span)
        ),
        None,
    )


def figures_at(
    run: Run, span: AlertSpan, time: float
) -> tuple[Mapping[str, float], tuple[float, ...]]:
    """Return the values of an alert at `time`, and the running requests of engines then."""
    recorded = span.rule.scope in RECORDED_SCOPES
    if span.figures is not None and (time == span.fired or recorded):
        reached = (figures for at, figures in reversed(span.peaks) if at <= time)
        return next(reached, span.figures), span.ran
    for at, figures, ran in span.later:
        if at == time:
            return figures, ran
    values = newest_values(run, None if span.engine == WHOLE_SERVER else span.engine, time)
    heard = ((run.series[one], run.series[one].index_at(time)) for one in run.engines)
    each = (one.value("running", index) or 0.0 for one, index in heard if index is not None)
    return values, tuple(each)


def with_figures(run: Run, span: AlertSpan, others: Sequence[AlertSpan]) -> AlertSpan:
    """Return an alert with the figures of all moments at which it is put into words."""
    figures, ran = figures_at(run, span, span.fired)
    shown = (each for at, *_ in rises(span, others) for each in (at, begun_at(span, others, at)))
    moments = {*shown, span.until} - {None}
    later = ((at, *figures_at(run, span, at)) for at in moments - {span.fired} if at is not None)
    return replace(span, figures=figures, ran=ran, later=tuple(sorted(later, key=itemgetter(0))))


def last_held(case: Case, span: AlertSpan, time: float) -> float:
    """Return the time of the last sample at which an alert was still true."""
    if span.until is None or span.until > time:
        return time
    engines = case.run.engines if span.engine == WHOLE_SERVER else [span.engine]
    times: list[float] = []
    for engine in engines:
        series = case.run.series.get(engine)
        index = series.span(span.since, span.until)[1] if series else 0
        times += series.times[max(0, index - 3) : index] if series else ()
    return max((t for t in times if t < span.until), default=span.fired)


def shown_rises(span: AlertSpan, spans: Sequence[AlertSpan]) -> list[Rise]:
    """Return the same as `rises`, but nothing for an alert that another one explains."""
    if any(span.rule.id in one.rule.hides and one.firing_at(span.fired) for one in spans):
        return []
    return rises(span, spans)


def rises(span: AlertSpan, others: Sequence[AlertSpan]) -> list[Rise]:
    """Return when an alert became a warning, and when it grew worse, and by which alert.

    It is as severe as the worst that it explains (`explaining.py`). At one moment the worst counts.
    """
    steps = [(span.fired, _severity(span, others, span.fired), span)]
    if span.rule.raised is not None:
        moments = [span.raised, *(max(span.fired, one.fired) for one in _raising(span, others))]
        known = [max(span.fired, moment) for moment in moments if moment is not None]
        steps += [(moment, span.rule.raised, span) for moment in sorted(known)[:1]]
    steps += [
        (one.fired, _severity(one, others, one.fired), one)
        for one in others
        if one.rule.id in span.rule.hides and span.firing_at(one.fired)
    ]
    found: list[Rise] = []
    reached = SEVERITIES.index("note")
    for step in sorted(steps, key=lambda step: (step[0], -SEVERITIES.index(step[1]))):
        if SEVERITIES.index(step[1]) > reached:
            reached = SEVERITIES.index(step[1])
            found.append(step)
    return found


def begun_at(span: AlertSpan, others: Sequence[AlertSpan], time: float) -> float:
    """Return when what an alert says at `time`, one of its rises, was first true.

    An alert fires only after some samples, but began at the first of them.
    """
    if time != span.fired:
        return time
    raising = [one.since for one in _raising(span, others) if one.fired <= time]
    if span.raised is not None and span.raised <= time:
        raising.append(span.raised)
    return max(span.since, min(raising, default=span.since))


def alert_title(case: Case, span: AlertSpan, others: Sequence[AlertSpan], time: float) -> str:
    """Return the title of an alert that rose at `time`, with the figures of its begin; cached.

    Figures that no sample has are those of `time`.
    """
    raised = raised_to(span, time, [one for one in others if one.fired <= time]) is not None
    texts = case.alerts.alert_texts
    key = ("title", span.rule.id, span.engine, time, span.times, raised, len(case.alerts.startup))
    if key not in texts:
        sampled = span.rule.scope in SAMPLED_SCOPES
        words = span_words(case, span, begun_at(span, others, time) if sampled else time)
        texts[key] = _title(span, Words(words), raised=raised), ""
    return texts[key][0]


def _severity(span: AlertSpan, others: Iterable[AlertSpan], time: float) -> Severity:
    """Return how severe an alert was at `time`, by itself and beside others."""
    known = [one for one in others if one.fired <= time]
    return raised_to(span, time, known) or span.rule.severity


def over_words(case: Case, span: AlertSpan, others: Iterable[AlertSpan]) -> tuple[str, bool]:
    """Return the text for an alert that has ended, and whether that is good; cached."""
    texts, goes_on = case.alerts.alert_texts, _going_on(span, others)
    known = len(case.alerts.startup)
    key = ("over", span.rule.id, span.engine, span.fired, span.until, goes_on, known)
    if key not in texts:
        text, good = _over(case, span, goes_on)
        texts[key] = text, "good" if good else ""
    text, how = texts[key]
    return text, bool(how)


def _of_answered(values: Mapping[str, float]) -> str:
    """Return how many requests failed and were refused; zeros are left out."""
    counts = {"failed": values.get("failed", 0.0), "were refused": values.get("refused", 0.0)}
    texts = [f"{number:,.0f} {how}" for how, number in counts.items() if number]
    if not texts:
        return f"answered requests: {values.get('answered', 0.0):,.0f}"
    first, *more = texts
    number, _, how = first.partition(" ")
    return ", ".join([f"{number} of {values.get('answered', 0.0):,.0f} requests {how}", *more])


def _levels(health: HealthSettings) -> dict[str, str]:
    """Return the levels that texts of other rules use."""
    low = shown_value("kv_cache_usage", health.kv_cache_low).removesuffix(" %")
    high = shown_value("kv_cache_usage", health.kv_cache_healthy_high)
    return {
        "excellent": shown_value("prefix_cache_hit_rate", health.prefix_cache_excellent),
        "healthy": f"{low}–{high}",
        "kv_healthy": high,
        "imbalance": f"{health.imbalance_share * 100:g} %",
        "http_window": f"{health.http_seconds / 60:g} min",
        "kv_critical": shown_value("kv_cache_usage", health.kv_cache_critical),
    }


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
