"""The findings of a run on a page, with evidence, and the recommended start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import tzinfo

from vllm_watch.core.run import Run
from vllm_watch.health.finding import Finding
from vllm_watch.health.flags import DROP
from vllm_watch.health.rules import GLYPHS
from vllm_watch.reports.excerpt import LogLine, evidence_lines
from vllm_watch.reports.findingwords import FindingWords, cost_words, findings_in_words
from vllm_watch.reports.markup import Markup, advice, element
from vllm_watch.reports.nextstart import Change, line_notes, next_start
from vllm_watch.reports.plot import Axis
from vllm_watch.reports.startline import start_line
from vllm_watch.reports.summary import RunSummary

_LONGEST = 300
_SPAN_WIDTH, _SPAN_HEIGHT = 160.0, 10.0
Evidence = Callable[[float], Sequence[LogLine]]
"""Returns the lines of a log around a moment."""


def findings_section(
    summary: RunSummary, axis: Axis | None, zone: tzinfo, evidence: Evidence
) -> Iterator[Markup]:
    """Yield the findings, the worst first."""
    yield element("h3", "Findings")
    if not summary.findings:
        yield element("p", "none: the log shows nothing wrong", class_="good")
    for in_words in findings_in_words(summary.findings, zone):
        yield _finding(in_words, axis, evidence)


def _finding(in_words: FindingWords, axis: Axis | None, evidence: Evidence) -> Markup:
    finding = in_words.finding
    head = element(
        "p",
        element("b", f"{GLYPHS[finding.severity]} {in_words.title}"),
        element("span", _span_svg(finding, axis), in_words.span, class_="span"),
        class_="head",
    )
    remedy: Markup | str = ""
    if finding.remedy or finding.flags:
        more = [part for flag in finding.flags for part in (" ", element("code", flag))]
        words = {word for flag in finding.flags for word in flag.split() if word != DROP}
        plain = all(word in finding.remedy for word in words)
        remedy = element(
            "p", "→ ", advice(finding.remedy), *(() if plain else more), class_="remedy"
        )
    rows = [
        ("because", finding.formula),
        ("expect", finding.expect),
        ("cost", cost_words(finding)),
        ("explains", in_words.explains),
        ("source", finding.guide),
    ]
    cells = [
        part
        for label, words in rows
        if words
        for part in (element("dt", label), element("dd", words))
    ]
    detail = element("p", finding.detail) if finding.detail else ""
    return element(
        "div", head, detail, remedy, element("dl", *cells) if cells else "",
        *_lines(finding, evidence), class_=f"finding {finding.severity}",
    )  # fmt: skip


def _span_svg(finding: Finding, axis: Axis | None) -> Markup | str:
    """Return when a finding fired, as marks over the time of the run."""
    if axis is None or finding.since is None:
        return ""
    bars = []
    for since, until in finding.lasted:
        if since is None:
            continue
        begin = min(1.0, max(0.0, axis.share(since)))
        end = 1.0 if until is None else min(1.0, max(begin, axis.share(until)))
        width = max(2.0, (end - begin) * _SPAN_WIDTH)
        x = min(begin * _SPAN_WIDTH, _SPAN_WIDTH - width)
        bars.append(
            element("rect", class_=finding.severity, x=x, y=0, width=width, height=_SPAN_HEIGHT)
        )
    whole = element("rect", class_="whole", x=0, y=0, width=_SPAN_WIDTH, height=_SPAN_HEIGHT)
    box = f"0 0 {_SPAN_WIDTH:g} {_SPAN_HEIGHT:g}"
    return element("svg", whole, *bars, class_="when", viewBox=box, aria_hidden="true")


def _lines(finding: Finding, evidence: Evidence) -> Iterator[Markup]:
    """Yield the lines of the log that show a finding: its errors, or its stats lines."""
    if finding.severity == "note" or finding.since is None:
        return
    for line in evidence_lines(finding, evidence(finding.since)):
        words = line.text if len(line.text) <= _LONGEST else line.text[:_LONGEST] + " …"
        yield element("code", words, class_="line")


def next_start_section(summary: RunSummary, run: Run) -> Iterator[Markup]:
    """Yield the line of the next start with its changes; nothing if there are none."""
    start = next_start(summary.server, summary.source, run, summary.findings)
    if not start.changes:
        return
    yield element("h3", "Recommended start")
    yield element("ul", *map(_change, start.changes), class_="changes")
    if start.given is None:
        yield element("p", f"no line to copy: {start.why_not}", class_="quiet")
        return
    line = start_line(start.given, start.flags)
    button = element("button", "copy", class_="copy", type="button", hidden="hidden")
    yield element("div", element("code", line), button, class_="command")
    for note in line_notes(start):
        yield element("p", note, class_="quiet")


def _change(change: Change) -> Markup:
    more = [f"why: {change.finding.title}"]
    if change.not_known:
        more.append(f"not known: {change.not_known}")
    if change.otherwise:
        more.append(f"if not enough: {' then '.join(change.otherwise)}")
    return element(
        "li",
        element("code", change.flag),
        f" {change.was} → ",
        element("b", change.becomes),
        " ",
        element("span", "; ".join(more), class_="quiet"),
    )
