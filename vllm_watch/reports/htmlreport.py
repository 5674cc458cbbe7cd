"""`report`: one page about runs that opens anywhere: no network, no script.

Every text of a log, a file name or a flag goes through `_text`; nothing else puts words into the
page but this module's own.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from string import Template

from vllm_watch import __version__
from vllm_watch.core.run import Moment, Run
from vllm_watch.health.findings import Finding
from vllm_watch.reports.pictures import charts_of
from vllm_watch.reports.reading import Reading, tells
from vllm_watch.reports.summary import RunSummary, summary_of
from vllm_watch.reports.summarywords import (
    ENGINE_HEADS,
    FIGURE_HEADS,
    FLEET_HEADS,
    SHAPES,
    config_words,
    engine_rows,
    facts_of,
    figure_rows,
    findings_in_words,
    fleet_rows,
    headline,
)
from vllm_watch.reports.tabletext import printable

MOST_EVENTS = 300
"""Events of one run in the page; of more, the newest."""
_LONGEST_EVENT = 600
_PAGE = Path(__file__).with_name("report.html")
_CONFIG_EVENTS = frozenset({"version", "model", "args", "config", "engine_config"})
"""Events that the table of the configuration tells, without the secrets among them."""
_CONFIG_FACTS = frozenset({"config"})
"""Facts that have a table of their own in the page."""


def page_of(reading: Reading, zone: tzinfo) -> str:
    """Return the whole page; times are in `zone`."""
    servers = [server for server in reading.servers if tells(server)]
    summaries = [summary_of(reading, server) for server in servers]
    title = summaries[0].server if len(summaries) == 1 else f"{len(summaries)} servers"
    body: list[str] = []
    if len(summaries) > 1:
        body += _table(FLEET_HEADS, fleet_rows(summaries))
    for number, (server, newest) in enumerate(zip(servers, summaries, strict=True)):
        for run, summary in zip(server.runs, (*newest.earlier, newest), strict=True):
            name = f"c{number}-{run.number}"
            body += _section(reading, run, summary, zone, name)
    written = f"{datetime.fromtimestamp(reading.wall, zone):%Y-%m-%d %H:%M:%S %Z}"
    page = Template(_PAGE.read_text(encoding="utf-8"))
    return page.substitute(
        title=_text(f"vLLM: {title}"),
        written=_text(f"written {written} by vllm-watch {__version__} from the servers' logs"),
        body="\n".join(body),
    )


def _section(
    reading: Reading, run: Run, summary: RunSummary, zone: tzinfo, name: str
) -> Iterator[str]:
    yield '<section class="run">'
    yield f"<h2>{_text(summary.server)}</h2>"
    yield f'<p class="state {_text(summary.state.name)}">{_text(headline(summary, zone))}</p>'
    for warning in summary.warnings:
        yield f'<p class="warning">▲ {_text(warning)}</p>'
    yield "<dl>"
    for label, words in facts_of(summary, zone):
        if label not in _CONFIG_FACTS:
            yield f"<dt>{_text(label)}</dt><dd>{_text(words)}</dd>"
    yield "</dl>"
    yield "<h3>Findings</h3>"
    yield from _findings(summary.findings, zone)
    if summary.together.samples:
        yield "<h3>Figures</h3>"
        yield from _table(FIGURE_HEADS, figure_rows(summary.together))
        if rows := engine_rows(summary):
            yield from _table(ENGINE_HEADS, rows)
        yield "<h3>Over time</h3>"
        yield '<p class="quiet">shaded: while a finding fired; dotted: when it was ready</p>'
    health = reading.monitor.settings.health
    for title, svg in charts_of(run, summary.findings, health, zone, name):
        yield f"<figure><figcaption>{_text(title)}</figcaption>{svg}</figure>"
    yield from _events(run, zone)
    yield "<h3>Configuration</h3>"
    flags = {**summary.config, **summary.capacity}
    rows = [(key, config_words(value)) for key, value in flags.items() if value is not None]
    yield from _table(("flag", "as the log tells"), rows, words=True)
    yield "</section>"


def _findings(findings: Sequence[Finding], zone: tzinfo) -> Iterator[str]:
    if not findings:
        yield '<p class="healthy">none: healthy as far as the log tells</p>'
    for told in findings_in_words(findings, zone):
        finding = told.finding
        head = f"{SHAPES[finding.severity]} {finding.severity}: {told.title}"
        yield f'<div class="finding {_text(finding.severity)}">'
        yield f'<p class="head">{_text(head)}</p>'
        yield f'<p class="quiet">{_text(told.span)}</p>'
        for words in (finding.detail, finding.remedy, finding.formula):
            if words:
                yield f"<p>{_text(words)}</p>"
        if finding.flags:
            flags = " ".join(f'<code class="flag">{_text(flag)}</code>' for flag in finding.flags)
            yield f"<p>change: {flags}</p>"
        if finding.expect:
            yield f"<p>expect: {_text(finding.expect)}</p>"
        if finding.guide:
            yield f'<p class="quiet">guide: {_text(finding.guide)}</p>'
        yield "</div>"


def _events(run: Run, zone: tzinfo) -> Iterator[str]:
    told = [item for item in run.placed() if item[1].event.kind not in _CONFIG_EVENTS]
    placed = sorted(told, key=lambda item: math.inf if item[0] is None else item[0])
    yield "<h3>Events</h3>"
    if not placed:
        yield '<p class="quiet">none</p>'
        return
    left_out = len(placed) - MOST_EVENTS
    if left_out > 0:
        yield f'<p class="quiet">the newest {MOST_EVENTS:,}; {left_out:,} before them</p>'
    yield '<table class="words events"><tr><th>time</th><th>kind</th><th>line</th></tr>'
    for time, moment in placed[-MOST_EVENTS:]:
        clock = "about" if time is None else f"{datetime.fromtimestamp(time, zone):%H:%M:%S}"
        yield (
            f"<tr><td>{_text(clock)}</td>{_kind(moment)}<td>{_text(_words(moment))}"
            f"{_more(moment)}</td></tr>"
        )
    yield "</table>"


def _kind(moment: Moment) -> str:
    event = moment.event
    bad = event.level in ("ERROR", "CRITICAL") or event.kind in ("dead", "killed", "traceback")
    kind = _text(event.kind.replace("_", " "))
    return f'<td class="critical">{kind}</td>' if bad else f"<td>{kind}</td>"


def _words(moment: Moment) -> str:
    first = moment.event.text.strip().splitlines()[-1:] or [""]
    return first[0].strip()[:_LONGEST_EVENT]


def _more(moment: Moment) -> str:
    lines = [*moment.event.text.strip().splitlines()[:-1], *moment.lines]
    return f"<pre>{'<br>'.join(map(_text, lines))}</pre>" if lines else ""


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, words: bool = False
) -> Iterator[str]:
    yield f'<div class="wide"><table{" class=words" if words else ""}>'
    yield "<tr>" + "".join(f"<th>{_text(head)}</th>" for head in heads) + "</tr>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>"
    yield "</table></div>"


def _text(text: str) -> str:
    """Return text that a browser shows as it is, control characters made visible."""
    return html.escape(printable(text))
