"""The lower part of a run on a page: start-up, figures, configuration, what is unknown, events."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import tzinfo

from vllm_watch.core.figures import clock
from vllm_watch.core.keptevents import KeptEvent
from vllm_watch.core.run import Run
from vllm_watch.reports.benchmarks import benchmark_words
from vllm_watch.reports.configuration import shown_flags
from vllm_watch.reports.markup import Markup, element
from vllm_watch.reports.summary import RunSummary
from vllm_watch.reports.summarywords import (
    ENGINE_HEADS,
    FIGURE_HEADS,
    config_words,
    engine_rows,
    facts_beside_findings,
    figure_rows,
    phase_words,
    ready_words,
)
from vllm_watch.reports.unknowns import unknowns_of

MOST_EVENTS = 300
"""Most events of one run in the page, the newest ones."""
_LONGEST_EVENT = 600
_CONFIG_EVENTS = frozenset({"version", "model", "args", "config", "engine_config"})
"""Events that the configuration table shows already, without secrets."""
_ELSEWHERE = frozenset({"log", "time", "config", "start-up", "unknown", "benchmark"})
"""Facts with a separate place in the page."""
_BAR_WIDTH, _BAR_HEIGHT = 1060.0, 24.0
_PHASE_INKS = 6
"""Colours of the phases of a start-up; repeated after the last."""


def startup_section(summary: RunSummary) -> Iterator[Markup]:
    """Yield the phases of the start-up as a bar; nothing if the log has none."""
    if not summary.phases or summary.first is None or summary.last is None:
        return
    # A phase whose end is unknown is not drawn.
    ends = [
        p.end if p.end is not None else p.begin if p.over else summary.last for p in summary.phases
    ]
    begin, end = summary.phases[0].begin, max(ends)
    yield element("h3", f"Start-up: {ready_words(summary)}")
    keys, bars = [], []
    for number, (phase, until) in enumerate(zip(summary.phases, ends, strict=True)):
        ink, words = f"phase{number % _PHASE_INKS}", phase_words(phase, summary.last)
        keys.append(element("span", element("i", class_=ink), words, class_="key"))
        if end > begin:
            x, width = ((at - begin) / (end - begin) * _BAR_WIDTH for at in (phase.begin, until))
            title = element("title", words)
            bars.append(
                element(
                    "rect", title, class_=ink, x=x, y=0, width=max(0.0, width - x - 1),
                    height=_BAR_HEIGHT,
                )
            )  # fmt: skip
    box = f"0 0 {_BAR_WIDTH:g} {_BAR_HEIGHT:g}"
    bar = element("svg", *bars, class_="phases", viewBox=box, preserveAspectRatio="none")
    yield element("figure", bar, element("figcaption", *keys), class_="whole")


def figures_section(summary: RunSummary, zone: tzinfo) -> Iterator[Markup]:
    """Yield the tables of metrics and of engines, and other facts."""
    yield element("h3", "Figures")
    if summary.all_engines.samples:
        yield table(FIGURE_HEADS, figure_rows(summary.all_engines))
        if rows := engine_rows(summary):
            yield table(ENGINE_HEADS, rows)
    facts = [fact for fact in facts_beside_findings(summary, zone) if fact[0] not in _ELSEWHERE]
    why = f"{summary.state.name}: "  # the state is far above this list
    yield _list(
        [("state", why + words) if label == "why" else (label, words) for label, words in facts]
    )
    if summary.benchmarks:
        yield element("h3", "Benchmarks")
        words = [element("li", benchmark_words(one, zone)) for one in summary.benchmarks]
        yield element("ul", *words)


def configuration_section(summary: RunSummary) -> Iterator[Markup]:
    """Yield the flags in columns."""
    shown = shown_flags(summary.configuration)
    known = [(key, value) for key, value in shown.items() if value is not None]
    if known:
        yield element("h3", "Configuration")
        yield _list([(key, config_words(value)) for key, value in known], class_="columns")


def unknown_section(summary: RunSummary) -> Iterator[Markup]:
    """Yield what the log does not show, and why."""
    unknown = unknowns_of(summary)
    if unknown:
        yield element("h3", "Unknown")
        yield _list([(one.what, one.why) for one in unknown], class_="unknown")


def log_section(run: Run, zone: tzinfo) -> Iterator[Markup]:
    """Yield the events of the log, collapsed."""
    events = [item for item in run.placed() if item[1].event.kind not in _CONFIG_EVENTS]
    placed = sorted(events, key=lambda item: math.inf if item[0] is None else item[0])
    if not placed:
        return
    shown = placed[-MOST_EVENTS:]
    head = f"Events in the log: {len(placed):,}"
    if len(shown) < len(placed):
        head += f", the newest {MOST_EVENTS:,} shown"
    rows = [_event(time, kept, zone) for time, kept in shown]
    whole = wide_table(("time", "kind", "line"), rows, "words events")
    yield element("details", element("summary", head), whole)


def _event(time: float | None, kept: KeptEvent, zone: tzinfo) -> Markup:
    event = kept.event
    bad = event.level in ("ERROR", "CRITICAL") or event.kind in ("dead", "killed", "traceback")
    lines = event.text.strip().splitlines() or [""]
    more = [line for each in (*lines[:-1], *kept.lines) for line in (each, element("br"))]
    return element(
        "tr",
        element("td", "unknown" if time is None else clock(time, zone)),
        element("td", event.kind.replace("_", " "), class_="critical" if bad else None),
        element("td", lines[-1].strip()[:_LONGEST_EVENT], element("pre", *more) if more else ""),
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """Return a table whose first column names the row."""
    return wide_table(
        heads, [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    )


def wide_table(heads: Sequence[str], rows: Sequence[Markup], class_: str | None = None) -> Markup:
    """Return a table of rows that may be wider than the page."""
    head = element("tr", *(element("th", name) for name in heads))
    return element("div", element("table", head, *rows, class_=class_), class_="wide")


def _list(rows: Sequence[tuple[str, str]], class_: str | None = None) -> Markup:
    pairs = [element("div", element("dt", label), element("dd", words)) for label, words in rows]
    return element("dl", *pairs, class_=class_)
