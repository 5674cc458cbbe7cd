"""The verdict on a run in one line: state, since when, why, and what to change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, tzinfo

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.figures import clock, counted, percent, rate, short_time
from vllm_watch.core.patterns import lazy
from vllm_watch.core.states import FAILED, SHAPES
from vllm_watch.health.finding import Finding
from vllm_watch.health.rules import GLYPHS
from vllm_watch.reports.deathwords import death_lines, flag_words, held_at, with_condition
from vllm_watch.reports.summary import RunSummary

_LONGEST_WHY = 160
_TAGS = lazy(r"^\[[a-z_]+\] (?:[A-Z]\w+: )?")
"""vLLM's tags before a message: `[shutdown] MPClient: `."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a run, in a line."""

    glyph: str
    severity: str
    """critical, warning, note or good."""
    words: str
    remedy: str = ""
    """The advice, empty if there is none."""
    aside: str = ""
    figures: str = ""
    """The figures of a healthy run."""


def verdict_words(verdict: Verdict) -> str:
    """Return a verdict as one line of text."""
    words = f"{verdict.glyph} {verdict.words}"
    words += f": {verdict.figures}" if verdict.figures else ""
    words += f" → {verdict.remedy}" if verdict.remedy else ""
    return words + (f" ({verdict.aside})" if verdict.aside else "")


def verdict_of(summary: RunSummary, zone: tzinfo) -> Verdict:
    """Return the verdict on a run at its end; times are in `zone`."""
    loud = [finding for finding in summary.findings if finding.severity != "note"]
    if summary.state.name in FAILED:
        return _death(summary, loud, zone)
    if loud:
        worst = loud[0]
        glyph = GLYPHS[worst.severity]
        when = _when(worst, summary, zone)
        return Verdict(glyph, worst.severity, f"{worst.title}{when}", _remedy(worst), _more(loud))
    return _good(summary, zone)


def _death(summary: RunSummary, loud: list[Finding], zone: tzinfo) -> Verdict:
    """Return when it died, why or after which fault, and what to change."""
    state = summary.state
    when = "died" if state.name == "dead" else "ended without a message"
    if state.since is not None:
        when += f" {_moment(state.since, summary, zone)}"
    of_server = [one for one in loud if one.metric is None and one.severity == "critical"]
    own = next((one for one in of_server if one.since == state.since), None)
    own = own or next(iter(of_server), None)
    before = held_at((one for one in loud if one is not own), state.since)
    if before is not None and not state.cause:
        whys = [_short(state.why)] if state.why else []
        words, remedy = death_lines((when, when), whys, before, state)[0]
        return Verdict("✖", "critical", words, remedy)
    why = f": {state.cause or _short(state.why)}" if state.cause or state.why else ""
    remedy = _remedy(own) if own is not None else ""
    return Verdict("✖", "critical", f"{when}{why}", remedy, _more(loud))


def _more(loud: list[Finding]) -> str:
    """Return how many findings there are besides the worst; those of several engines are one."""
    others = len({finding.id for finding in loud}) - 1
    return f"{counted(others, 'more finding')}" if others > 0 else ""


def _moment(time: float, summary: RunSummary, zone: tzinfo) -> str:
    """Return a moment, with its date if a run extends beyond the day that it began."""
    ends = [each for each in (summary.first, summary.last) if each is not None]
    dates = {datetime.fromtimestamp(each, zone).date() for each in ends}
    date = f"{datetime.fromtimestamp(time, zone):%Y-%m-%d} " if len(dates) > 1 else ""
    return date + clock(time, zone)


def _good(summary: RunSummary, zone: tzinfo) -> Verdict:
    state = summary.state
    since = " since" if state.name in ("starting", "no-stats") else ""
    when = "" if state.since is None else f"{since} {_moment(state.since, summary, zone)}"
    facts = [*_facts(summary)]
    over = state.name in ("stopped", "finished", "starting", "no-stats")
    word = {"no-stats": "writes no stats lines"}.get(state.name, state.name)
    if over:
        tells = state.why and state.name == "starting"
        words = f"{word}{when}" + (", all well" if facts else f": {state.why}" if tells else "")
    else:
        words = "all well" if facts or not state.why else f"{word}: {state.why}"
    note = next((one for one in summary.findings if one.remedy), None)
    helps = note is not None and not note.remedy.startswith("nothing")
    glyph, severity = ("✓", "good") if facts else (SHAPES[state.name], "note")
    remedy = _remedy(note) if helps and note is not None else ""
    return Verdict(glyph, severity, words, remedy, figures=", ".join(facts))


def _facts(summary: RunSummary) -> Iterator[str]:
    figure = summary.all_engines.figure
    if (generation := figure("generation_tps", "busy_mean")) is not None:
        yield f"{rate(generation)} tok/s while busy"
    if (usage := figure("kv_cache_usage", "max")) is not None:
        yield f"KV cache up to {percent(usage)}"
    if (waiting := figure("waiting", "max")) is not None:
        yield f"up to {waiting:,.0f} waited" if waiting else "none waited"
    if summary.times is not None and summary.times.per_token is not None:
        yield f"{short_time(summary.times.per_token)} per token"


def _when(finding: Finding, summary: RunSummary, zone: tzinfo) -> str:
    """Return the beginning, or beginning and end, of a finding."""
    if finding.since is None:
        return ""
    if finding.until is None:
        return f", since {_moment(finding.since, summary, zone)}"
    begin, end = (_moment(time, summary, zone) for time in (finding.since, finding.until))
    return f", at {begin}" if begin == end else f", {begin} – {end}"


def _remedy(finding: Finding) -> str:
    """Return the flags to change, with old values and condition; without flags the advice."""
    return next(iter(with_condition(flag_words(finding), finding)), finding.remedy)


def _short(why: str) -> str:
    """Return the first sentence of a reason without vLLM's own tags, cut at a word."""
    plain = _TAGS.sub("", why.strip())
    first = re.split(r"(?<=[.;])\s", plain, maxsplit=1)[0].rstrip(".;")
    if len(first) <= _LONGEST_WHY:
        return first
    return first[:_LONGEST_WHY].rpartition(" ")[0] + " …"
