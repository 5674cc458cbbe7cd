"""The findings of a whole run: each once with its spans, worst first, one number for each flag.

The screen shows the problems of a moment; this is the same over a whole run. At every moment a
finding hides those it explains. So a finding is nested while another one explains it, and is shown
separately for the rest of the time.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from vllm_watch.core.dataclass import dataclass, field, replace
from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.core.series import Series
from vllm_watch.core.states import ServerState
from vllm_watch.health.alertfindings import alert_finding, last_held, raised_to
from vllm_watch.health.explaining import ancestors, plain_remedies, weight, with_explained
from vllm_watch.health.finding import Case, Finding
from vllm_watch.health.flags import one_per_flag, without_advice
from vllm_watch.health.rules import SEVERITIES
from vllm_watch.health.spans import WHOLE_SERVER, AlertSpan
from vllm_watch.health.statefindings import states_of_run

Interval = tuple[float, float]
"""Beginning and end in epoch seconds; infinity: not ended."""


@dataclass(slots=True)
class _Group:
    """All findings of one id in one engine."""

    id: str
    engine: int
    whole: bool
    """True if the findings are about the start-up: an explanation then holds for the whole run."""
    intervals: list[Interval]
    spans: list[AlertSpan] = field(default_factory=list)
    """Of an alert."""
    findings: list[Finding] = field(default_factory=list)
    """Of a trend or a state, in the order of the intervals."""


def run_findings(
    case: Case,
    state: ServerState,
    time: float,
    trends: Iterable[Finding],
    since: float,
) -> tuple[Finding, ...]:
    """Return every finding of a run up to `time` that lasted after `since`: the worst first.

    Each id appears once for each engine, with its spans; what another one explains is nested under
    that. If several findings advise one flag, the value of the worst finding is kept; among equally
    bad ones that of the longest. `until` is None if it still fires.
    """
    case = replace(case, until=time)
    groups = _groups(case, state, time, trends)
    groups = [group for group in groups if group.intervals[-1][1] >= since]
    below: dict[int, list[Finding]] = {}
    kept: list[tuple[_Group, list[Interval]]] = []
    for group in groups:
        rest = group.intervals
        for above in _above(case, group, groups):
            rest, taken = _taken(case, group, above, rest)
            if taken:
                nested = _finding(case, group, taken, time)
                below.setdefault(id(above), []).append(nested)
        if rest:
            kept.append((group, rest))
    found = [
        with_explained(_finding(case, group, rest, time), below.pop(id(group), ()))
        for group, rest in kept
    ]
    longest = sorted(found, key=lambda one: (*weight(one)[:2], *_longest(one, time)))
    return _one_number_each(case, _verdict_first(case, _of_one_word(case, longest), time))


def _verdict_first(case: Case, found: Sequence[Finding], time: float) -> list[Finding]:
    """Return findings in the order of `explaining.rank`, but the longest instead of the newest.

    A finding is also listed for the time in which nothing explained it. Its cause comes first, too.
    """
    ids = [one.id for one in found]
    caused = {name: bool(ancestors(name, case.book, ids)) for name in ids}
    return sorted(
        found,
        key=lambda one: (*weight(one)[:2], caused[one.id], weight(one)[2], *_longest(one, time)),
    )


def _of_one_word(case: Case, ranked: Sequence[Finding]) -> list[Finding]:
    """Merge findings with the same word or advice if either explains the other.

    It is one problem seen by two rules. The worse one (if they are equally bad, the longer one)
    gets the time of both, and the other one is nested under it.
    """
    kept: list[Finding] = []
    for finding in ranked:
        for at, other in enumerate(kept):
            names = finding.id, other.id
            related = any(set(names) & set(case.book.hides(name)) for name in names)
            alerts = finding.metric is not None and other.metric is not None
            same = finding.word == other.word or (alerts and finding.flags == other.flags != ())
            if related and same and finding.engine == other.engine:
                kept[at] = _joined(other, finding, case.settings.health.flap_seconds)
                break
        else:
            kept.append(finding)
    return kept


def _joined(first: Finding, second: Finding, pause: float) -> Finding:
    """Return the first finding with the time of both, the second one nested under it."""
    known = [
        (-math.inf if begin is None else begin, math.inf if end is None else end)
        for one in (first, second)
        for begin, end in one.lasted
    ]
    spans = _spans(joined(known, pause))
    whole = replace(first, since=spans[0][0], until=spans[-1][1], spans=spans)
    below = (one for one in second.explains if one.id != first.id)
    return with_explained(whole, (replace(second, explains=()), *below))


def _spans(intervals: Iterable[Interval]) -> tuple[tuple[float | None, float | None], ...]:
    return tuple(
        (None if math.isinf(begin) else begin, None if math.isinf(end) else end)
        for begin, end in intervals
    )


def _groups(case: Case, state: ServerState, time: float, trends: Iterable[Finding]) -> list[_Group]:
    groups: dict[tuple[str, int, float], _Group] = {}
    for span in case.alerts.spans():
        if span.fired > time:
            continue
        whole = span.rule.scope == "server" and not span.rule.each_round
        device = (span.figures or {}).get("gpu", -1.0) if span.rule.scope == "gpu" else -1.0
        group = _Group(span.rule.id, span.engine, whole, [])
        group = groups.setdefault((span.rule.id, span.engine, device), group)
        over = span.until is not None and span.until <= time
        group.intervals.append((span.since, span.until if over and span.until else math.inf))
        group.spans.append(span)
    for finding in (*trends, *states_of_run(case, state, time)):
        engine = WHOLE_SERVER if finding.engine is None else finding.engine
        group = _Group(finding.id, engine, False, [])
        group = groups.setdefault((finding.id, engine, -1.0), group)
        until = math.inf if finding.until is None else finding.until
        group.intervals.append((-math.inf if finding.since is None else finding.since, until))
        group.findings.append(finding)
    for group in groups.values():
        group.intervals = joined(group.intervals, case.settings.health.flap_seconds)
    return list(groups.values())


def joined(intervals: Iterable[Interval], pause: float) -> list[Interval]:
    """Return intervals in order; those at most `pause` seconds apart are merged."""
    kept: list[Interval] = []
    for begin, end in sorted(intervals):
        if kept and begin - kept[-1][1] <= pause:
            kept[-1] = (kept[-1][0], max(end, kept[-1][1]))
        else:
            kept.append((begin, end))
    return kept


def split(
    intervals: Sequence[Interval], others: Sequence[Interval], pause: float
) -> tuple[list[Interval], list[Interval]]:
    """Return the parts of `intervals` outside of the others, and the parts within.

    The others are extended by half a pause on both sides; a rest up to one pause counts as within.
    """
    wide = joined(((low - pause / 2, high + pause / 2) for low, high in others), 0.0)
    lows, highs = [low for low, _ in wide], [high for _, high in wide]
    outside: list[Interval] = []
    inside: list[Interval] = []
    for begin, end in intervals:
        near = wide[bisect_left(highs, begin) : bisect_right(lows, end)]
        cuts = [(max(low, begin), min(high, end)) for low, high in near]
        within = [(low, high) for low, high in cuts if low < high or low == high in (begin, end)]
        edges = [begin, *(edge for cut in within for edge in cut), end]
        rest = list(zip(edges[::2], edges[1::2], strict=True))
        kept = [one for one in rest if one[1] - one[0] > pause] if within else [(begin, end)]
        short = [one for one in rest if one not in kept]
        outside += kept
        inside += joined([*within, *short], 0.0) if within else []
    return outside, inside


def _above(case: Case, group: _Group, groups: Sequence[_Group]) -> list[_Group]:
    """Return the findings that explain a group, in the order of explanation."""
    servers = {WHOLE_SERVER, ALL_ENGINES}
    near = [
        other
        for other in groups
        if other.engine == group.engine or servers & {other.engine, group.engine}
    ]
    names = ancestors(group.id, case.book, (other.id for other in near))
    return [other for name in names for other in near if other.id == name]


def _taken(
    case: Case, group: _Group, above: _Group, rest: list[Interval]
) -> tuple[list[Interval], list[Interval]]:
    """Split `rest` into the part outside of what `above` explains, and the part within."""
    outside, inside = split(rest, above.intervals, case.settings.health.flap_seconds)
    return ([], rest) if group.whole and inside else (outside, inside)


def _finding(case: Case, group: _Group, intervals: list[Interval], time: float) -> Finding:
    """Return a group as one finding for a part of its time."""
    spans = _spans(intervals)
    if group.spans:
        finding = _of_alerts(case, _within(group.spans, intervals) or group.spans, time)
        settled = group.spans[-1].rule.settled
        if settled and spans[-1][1] is not None:
            finding = without_advice(finding, settled)
    else:
        finding = max(group.findings, key=lambda one: (_worse(one), one.since or 0.0))
    return replace(finding, since=spans[0][0], until=spans[-1][1], spans=spans)


def _within(spans: Iterable[AlertSpan], intervals: Sequence[Interval]) -> list[AlertSpan]:
    """Return the alerts within some of `intervals`, which are sorted and do not overlap."""
    begins = [begin for begin, _ in intervals]

    def near(span: AlertSpan) -> bool:
        at = bisect_right(begins, math.inf if span.until is None else span.until)
        return at > 0 and span.since <= intervals[at - 1][1]

    return [span for span in spans if near(span)]


def _of_alerts(case: Case, spans: list[AlertSpan], time: float) -> Finding:
    """Return the longest of the worst alerts, with its figures at its worst."""
    every, ids = case.alerts.spans(), spans[0].rule.raised_with
    others = [other for other in every if other.rule.id in ids]
    raised = [span for span in spans if raised_to(span, time, others)]
    span = max(raised or spans, key=lambda span: _end(span, time) - span.since)
    worst, last = _worst_moment(case, span, time), last_held(case, span, time)
    found = alert_finding(case, span, worst, every, advised=last, counted=False)
    if found.flags or last == worst:
        return found
    other = alert_finding(case, span, worst, every, advised=worst, counted=False)
    return other if other.flags else found


def _end(span: AlertSpan, time: float) -> float:
    return time if span.until is None else min(span.until, time)


def _series(case: Case, span: AlertSpan) -> Series | None:
    """Return the samples of an alert's engine; for a whole server, of its fullest engine."""
    if span.engine != WHOLE_SERVER:
        return case.run.series.get(span.engine)
    return max((case.run.series[one] for one in case.run.engines), key=len, default=None)


def _worst_moment(case: Case, span: AlertSpan, time: float) -> float:
    """Return when the metric of an alert was at its worst.

    If the rule of the alert fires above a level, this is the time of the highest value; if the rule
    fires below a level, it is the middle of the alert. The samples that ended it do not count.
    """
    reached = [at for at, _ in span.peaks if at <= _end(span, time)]
    series = _series(case, span)
    if reached or series is None:
        return max(reached, default=span.fired)
    low, high = series.span(span.since, _end(span, time))
    if span.until is not None and span.until <= time:
        ending = case.settings.health.clear_samples if span.ending == "cleared" else 1
        high = max(low + 1, high - ending)
    test = next((test for test in span.rule.when if test.signal == span.rule.metric), None)
    if high - low < 2 or (test is None and not span.rule.raised_with):
        return span.fired
    values = series.values(span.rule.metric, low, high)
    known = [(value, low + at) for at, value in enumerate(values) if value is not None]
    if test is None or test.comparison in ("at_least", "above"):
        return series.times[max(known)[1]] if known else span.fired
    return series.times[(low + high) // 2]


def _longest(finding: Finding, time: float) -> tuple[float, float]:
    """Return the sort key of findings that count the same: the longest first, then the earliest."""
    lasted = sum(
        (time if end is None else end) - begin for begin, end in finding.spans if begin is not None
    )
    return -lasted, finding.since or 0.0


def _worse(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)


def _one_number_each(case: Case, found: list[Finding]) -> tuple[Finding, ...]:
    """Return findings, each flag advised once, also among nested ones."""
    plain = plain_remedies(case.book)
    values: dict[str, str] = {}
    kept = one_per_flag(found, plain, values)
    return tuple(
        replace(one, explains=tuple(one_per_flag(one.explains, plain, values))) for one in kept
    )
