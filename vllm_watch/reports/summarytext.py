"""A summary for people: text for a terminal, Markdown for an issue or a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import tzinfo

from vllm_watch.core.naming import visible
from vllm_watch.health.rules import GLYPHS
from vllm_watch.reports.findingwords import FindingWords, advice_words, findings_in_words
from vllm_watch.reports.summary import RunSummary
from vllm_watch.reports.summarywords import (
    ENGINE_HEADS,
    FIGURE_HEADS,
    FLEET_HEADS,
    engine_rows,
    facts_beside_findings,
    figure_rows,
    fleet_rows,
    headline,
    summary_facts,
    unknown_words,
)
from vllm_watch.reports.text import cut, markdown, markdown_table, text_table, wrapped
from vllm_watch.reports.verdict import verdict_of, verdict_words

Paint = Callable[[str, str], str]
"""Colours a text by its role: a state, a severity, `title`, `dim`."""
_LABEL = 10
_INDENT = " " * 2


def summary_text(
    summaries: Sequence[RunSummary], zone: tzinfo, width: int, paint: Paint
) -> Iterator[str]:
    """Yield the lines of a summary, none wider than `width` columns; times are in `zone`."""
    if len(summaries) > 1:
        heads, *rows = text_table(FLEET_HEADS, fleet_rows(summaries), width)
        yield paint("dim", heads)
        yield from map(visible, rows)
        yield ""
    for summary in summaries:
        for earlier in summary.earlier:
            yield from _run(earlier, zone, width, paint)
        yield from _run(summary, zone, width, paint)


def _run(summary: RunSummary, zone: tzinfo, width: int, paint: Paint) -> Iterator[str]:
    title = cut(visible(summary.server), width)
    yield paint("title", title)
    for line in wrapped(visible(headline(summary, zone)), width - 2):
        yield _INDENT + paint(summary.state.name, line)
    verdict = verdict_of(summary, zone)
    for number, line in enumerate(wrapped(visible(verdict_words(verdict)), width - 4)):
        yield _INDENT + ("  " if number else "") + paint(verdict.severity, line)
    for warning in summary.warnings:
        yield from _labelled("doubtful", warning, width, lambda text: paint("warning", text))
    yield ""
    for texts in findings_in_words(summary.findings, zone):
        yield from _finding(texts, width, paint)
    if summary.findings:
        yield ""
    for label, words in facts_beside_findings(summary, zone):
        yield from _labelled(label, words, width, str)
    if summary.all_engines.samples:
        yield ""
        yield from _table(FIGURE_HEADS, figure_rows(summary.all_engines), width, paint)
    rows = engine_rows(summary)
    if rows:
        yield ""
        yield from _table(ENGINE_HEADS, rows, width, paint)
    yield ""
    for number, words in enumerate(unknown_words(summary)):
        yield from _labelled("" if number else "unknown", words, width, str)
    yield ""


def _labelled(label: str, words: str, width: int, paint: Callable[[str], str]) -> Iterator[str]:
    for number, line in enumerate(wrapped(visible(words), width - _LABEL - 2)):
        yield f"{_INDENT}{label if number == 0 else '':<{_LABEL}}{paint(line)}"


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], width: int, paint: Paint
) -> Iterator[str]:
    head, *lines = text_table(heads, rows, width - len(_INDENT))
    yield _INDENT + paint("dim", head)
    for line in lines:
        yield _INDENT + line


def _finding(words: FindingWords, width: int, paint: Paint) -> Iterator[str]:
    finding = words.finding
    head = f"{GLYPHS[finding.severity]} {finding.severity}: {words.title}, {words.span}"
    for number, line in enumerate(wrapped(visible(head), width - 4)):
        yield _INDENT + ("  " if number else "") + paint(finding.severity, line)
    texts = [finding.detail, *advice_words(words)]
    for text in filter(None, texts):
        for line in wrapped(visible(text), width - 4):
            yield "    " + line


def summary_markdown(summaries: Sequence[RunSummary], zone: tzinfo) -> Iterator[str]:
    """Yield the lines of a summary as Markdown."""
    if len(summaries) > 1:
        yield from markdown_table(FLEET_HEADS, fleet_rows(summaries))
        yield ""
    for summary in summaries:
        for run in (*summary.earlier, summary):
            yield from _run_markdown(run, zone)


def _run_markdown(summary: RunSummary, zone: tzinfo) -> Iterator[str]:
    yield f"## {markdown(summary.server)}"
    yield ""
    yield markdown(headline(summary, zone))
    yield ""
    yield f"**{markdown(verdict_words(verdict_of(summary, zone)))}**"
    yield ""
    for warning in summary.warnings:
        yield f"> doubtful: {markdown(warning)}"
        yield ""
    yield from _findings_markdown(summary, zone)
    yield from markdown_table(("what", "from the log"), summary_facts(summary, zone), numbers=False)
    yield ""
    if summary.all_engines.samples:
        yield from markdown_table(FIGURE_HEADS, figure_rows(summary.all_engines))
        yield ""
    rows = engine_rows(summary)
    if rows:
        yield from markdown_table(ENGINE_HEADS, rows)
        yield ""
    unknown = unknown_words(summary)
    if unknown:
        yield "Unknown:"
        yield ""
        yield from (f"- {markdown(words)}" for words in unknown)
        yield ""


def _findings_markdown(summary: RunSummary, zone: tzinfo) -> Iterator[str]:
    for words in findings_in_words(summary.findings, zone):
        finding = words.finding
        head = f"**{finding.severity}: {markdown(words.title)}**, {markdown(words.span)}"
        yield f"- {GLYPHS[finding.severity]} {head}"
        for text in filter(None, (finding.detail, *advice_words(words))):
            yield f"  - {markdown(text)}"
    if summary.findings:
        yield ""
