"""`report`: one self-contained page about runs: no network, and log text is never executed.

Every text of a log, a file name or a flag goes through `markup.element`, which escapes everything
except our own markup. The page's policy allows only its own style and script.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from string import Template

from vllm_watch import __version__
from vllm_watch.core.figures import clock, count, duration, percent, rate
from vllm_watch.core.run import Run
from vllm_watch.core.startup import serving_at, starting_at
from vllm_watch.core.states import FAILED, OVER
from vllm_watch.core.store import Server
from vllm_watch.parsing.formats import Formats
from vllm_watch.reports.excerpt import LogLine, excerpt
from vllm_watch.reports.markup import Markup, advice, element, joined
from vllm_watch.reports.pagedetails import (
    configuration_section,
    figures_section,
    log_section,
    startup_section,
    unknown_section,
    wide_table,
)
from vllm_watch.reports.pagefindings import findings_section, next_start_section
from vllm_watch.reports.pagehead import facts_line, state_words, tiles, verdict_line
from vllm_watch.reports.plot import Axis, Mark, Zone, captioned, plot_svg
from vllm_watch.reports.reading import Reading, has_vllm_line
from vllm_watch.reports.ribbon import WORDS, ribbon_svg
from vllm_watch.reports.runplots import plots_of
from vllm_watch.reports.summary import RunSummary, summary_of
from vllm_watch.reports.verdict import verdict_of

_PAGE = Path(__file__).with_name("report.html")
_STYLE = Path(__file__).with_name("report.css")
_SCRIPT = Path(__file__).with_name("report.js")
_BEYOND = 0.03
"""Share of a run shown after its end, if it is over, so that the end is visible."""
_RIBBON = "height: tokens generated per second; colour: state of the server"
_SHARED = 3.0
"""Servers share one time axis if it is at most this many times as long as the longest run."""


def page_of(reading: Reading, zone: tzinfo, formats: Formats) -> str:
    """Return the whole page; times are in `zone`, `formats` find the lines behind findings."""
    servers = [server for server in reading.servers if has_vllm_line(server)]
    summaries = [summary_of(reading, server) for server in servers]
    page = _Page(reading, zone, formats)
    body: list[str] = []
    if len(summaries) == 1:
        heading, title = "h1", summaries[0].server
    else:
        heading, title = "h2", f"{len(summaries)} servers"
        body += page.overview(servers, summaries)
    pairs = enumerate(zip(servers, summaries, strict=True))
    body += (
        page.server(server, summary, f"s{number}", heading) for number, (server, summary) in pairs
    )
    written = f"{datetime.fromtimestamp(reading.wall, zone):%Y-%m-%d %H:%M:%S %Z}"
    style, script = (path.read_text(encoding="utf-8") for path in (_STYLE, _SCRIPT))
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        title=element("title", f"vLLM: {title}"),
        style_hash=_hash(style),
        script_hash=_hash(script),
        style=style,
        script=script,
        written=element(
            "p", f"written {written} by vllm-watch {__version__} from the servers' logs",
            class_="quiet written",
        ),
        body="\n".join(body),
    )  # fmt: skip


def _hash(text: str) -> str:
    """Return the hash by which a page's policy allows a style or a script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


class _Page:
    """Makes the parts of a page about servers."""

    def __init__(self, reading: Reading, zone: tzinfo, formats: Formats) -> None:
        self._reading, self._zone, self._formats = reading, zone, formats

    def overview(
        self, servers: Sequence[Server], summaries: Sequence[RunSummary]
    ) -> Iterator[Markup]:
        """Yield a row for each server, with its ribbon and a link to its part of the page."""
        zone = self._zone
        axes = _overview_axes(servers, zone)
        shared = len({(axis.begin, axis.end) for axis in axes if axis is not None}) == 1
        heads = ("server", "", "over time", "gen tok/s busy mean", "KV max", "requests", "verdict")
        rows = []
        for number, (server, summary, axis) in enumerate(
            zip(servers, summaries, axes, strict=True)
        ):
            figure = summary.all_engines.figure
            verdict = verdict_of(summary, zone)
            drawn = ribbon_svg(self._reading.monitor, server, axis, small=True)[0] if axis else ""
            glyph = element("i", verdict.glyph, " ")
            link = element("a", summary.server, href=f"#s{number}")
            remedy = joined(" → ", element("b", advice(verdict.remedy))) if verdict.remedy else ""
            rows.append(
                element(
                    "tr",
                    element("td", link),
                    element("td", state_words(summary), class_=f"state {summary.state.name}"),
                    element("td", drawn, class_="over-time"),
                    element("td", rate(figure("generation_tps", "busy_mean"))),
                    element("td", percent(figure("kv_cache_usage", "max"))),
                    element("td", count(summary.requests)),
                    element("td", glyph, verdict.words, remedy, class_=f"told {verdict.severity}"),
                )
            )
        yield element("h1", f"{len(summaries)} vLLM servers")
        first = next((axis for axis in axes if axis is not None), None)
        if first is not None and shared:
            ends = clock(first.begin, zone), clock(first.end, zone)
            over = f"{ends[0]} – {ends[1]}, one time axis for all servers"
        else:
            over = "for each server from the first to the last line of its log"
        yield element("p", f"over time: {over}", class_="quiet")
        yield wide_table(heads, rows, "overview")

    def server(self, server: Server, summary: RunSummary, name: str, heading: str) -> Markup:
        """Return everything about a server: its newest run, and a short list of earlier ones."""
        zone, earlier = self._zone, []
        for run, older in zip(server.runs, summary.earlier, strict=False):
            verdict = verdict_of(older, zone)
            began = (
                ""
                if older.first is None
                else f", {datetime.fromtimestamp(older.first, zone):%Y-%m-%d %H:%M:%S}"
            )
            words = f"run {run.number + 1} of {older.runs}{began}: {verdict.glyph} {verdict.words}"
            whole = self._run(server, run, older, f"{name}-{run.number}")
            earlier.append(element("details", element("summary", words), whole))
        head = element("h3", "Earlier runs") if earlier else ""
        newest = self._run(server, server.run, summary, f"{name}-{server.run.number}")
        title = element(heading, summary.server, id=name)
        return element("section", title, newest, head, *earlier, class_="server")

    def _run(self, server: Server, run: Run, summary: RunSummary, name: str) -> Markup:
        zone = self._zone
        axis = _axis(summary, run, zone, name)
        parts: list[str] = [
            verdict_line(verdict_of(summary, zone)),
            facts_line(summary, zone),
            *(element("p", f"▲ {warning}", class_="warning") for warning in summary.warnings),
            tiles(summary),
        ]
        if axis is not None:
            parts += self._over_time(server, run, axis)
        parts += next_start_section(summary, run)
        parts += findings_section(summary, axis, zone, partial(self._evidence, server))
        parts += startup_section(summary)
        parts += figures_section(summary, zone)
        parts += configuration_section(summary)
        parts += unknown_section(summary)
        parts += log_section(run, zone)
        return element("div", *parts, class_="run", **_times(axis))

    def _over_time(self, server: Server, run: Run, axis: Axis) -> Iterator[Markup]:
        """Yield the ribbon and the charts."""
        svg, states = ribbon_svg(self._reading.monitor, server, axis)
        keys = [
            element("span", element("i", class_=state), WORDS[state], class_="key")
            for state in states
        ]
        length = duration((run.newest_stamp or axis.end) - axis.begin)
        head = element(
            "figcaption", element("b", "Over time"), *keys,
            element("span", _RIBBON, class_="quiet"),
            element("output", length),
        )  # fmt: skip
        yield element("figure", joined(head, svg), class_="whole")
        charts = [
            captioned(plot, plot_svg(plot, axis, number))
            for number, plot in enumerate(plots_of(server, run, self._reading.monitor))
        ]
        if charts:
            yield element("div", *charts, class_="charts")

    def _evidence(self, server: Server, since: float) -> Sequence[LogLine]:
        """Return the lines of a log around a moment."""
        at = server.clock.stamp(since)
        return excerpt(server.path, at, at + 1, server.clock.tz, self._formats).lines


def _overview_axes(servers: Sequence[Server], zone: tzinfo) -> list[Axis | None]:
    """Return the time axis of each server: the same for all if that is readable."""
    spans = []
    for server in servers:
        begins = [run.first_stamp for run in server.runs if run.first_stamp is not None]
        end = server.newest_stamp
        spans.append(
            (min(begins), end) if begins and end is not None and end > min(begins) else None
        )
    known = [span for span in spans if span is not None]
    if known:
        begin, end = min(span[0] for span in known), max(span[1] for span in known)
        if end - begin <= _SHARED * max(span[1] - span[0] for span in known):
            spans = [(begin, end) if span is not None else None for span in spans]
    return [
        None
        if span is None
        else Axis(span[0], span[1] + _BEYOND * (span[1] - span[0]), zone, name=f"o{number}")
        for number, span in enumerate(spans)
    ]


def _times(axis: Axis | None) -> dict[str, str]:
    """Return the times of a run that the page's script needs."""
    if axis is None:
        return {}
    offset = datetime.fromtimestamp(axis.begin, axis.zone).utcoffset() or timedelta(0)
    return {
        "data_begin": f"{axis.begin:.1f}",
        "data_length": f"{axis.end - axis.begin:.1f}",
        "data_offset": f"{offset.total_seconds():.0f}",
    }


def _axis(summary: RunSummary, run: Run, zone: tzinfo, name: str) -> Axis | None:
    """Return the time of a run with its marks, None if it has no length."""
    begin, end = run.first_stamp, run.newest_stamp
    if begin is None or end is None or end <= begin:
        return None
    state = summary.state
    over = state.name in OVER
    end += _BEYOND * (end - begin) if over else 0.0
    zones = []
    ready = serving_at(run)
    if ready is not None and ready > begin and starting_at(run) is not None:
        zones.append(Zone(begin, ready, "starting"))
    zones += [
        Zone(one.begin, one.end, "benchmark", one.benchmark.name) for one in summary.benchmarks
    ]
    marks = []
    if over and state.since is not None:
        ink = "critical" if state.name in FAILED else "quiet-mark"
        marks.append(Mark(state.since, ink, f"{state.name} {clock(state.since, zone)}"))
    return Axis(begin, end, zone, tuple(zones), tuple(marks), name)
