"""The charts of a server by name: their curves, bands, limits, marks and zones."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import zip_longest

from vllm_watch.core.dataclass import replace
from vllm_watch.core.evidence import end_of
from vllm_watch.core.figures import duration
from vllm_watch.core.startup import serving_at, starting_at
from vllm_watch.core.store import Server
from vllm_watch.health.alertfindings import begun_at, shown_rises
from vllm_watch.health.monitor import Monitor
from vllm_watch.health.rules import GLYPHS
from vllm_watch.health.spans import AlertSpan
from vllm_watch.tui.charts import ChartSpec, Mark, Zone
from vllm_watch.tui.chartscope import ChartScope
from vllm_watch.tui.charttable import CHART_BY_NAME

DIED = "died"
"""The name of the mark of a server's end."""


def marks(monitor: Monitor, server: Server, start: float, end: float) -> tuple[Mark, ...]:
    """Return alerts, restarts and the end of a server as ticks on the time axis.

    They are the same as in the events, ends first: none for an alert that another one explains, one
    more when an alert grew worse.
    """
    found = []
    for run in server.runs:
        if run.number and run.first_stamp is not None:
            found.append(Mark(run.first_stamp, "note", "↻", "restart"))
        ended = end_of(run, end, over=run is not server.run)
        if ended is not None and ended.died:
            found.append(Mark(ended.time, "critical", "✖", DIED))
    spans = [span for span in monitor.spans(server) if span.fired <= end and _reaches(span, start)]
    found += [
        Mark(
            begun_at(span, spans, at),
            severity,
            GLYPHS[severity],
            _word(worst, severity),
        )
        for span in spans
        for at, severity, worst in shown_rises(span, spans)
        if at <= end
    ]
    found += [
        Mark(span.since, span.severity, GLYPHS[span.severity], finding.word)
        for span, finding in monitor.trend_warnings(server, end)
    ]
    return tuple(mark for mark in found if start <= mark.time <= end)


def _word(span: AlertSpan, severity: str) -> str:
    return span.rule.raised_word if severity == span.rule.raised else span.rule.word


def _reaches(span: AlertSpan, start: float) -> bool:
    return span.until is None or span.until >= start


def _why_empty(spec: ChartSpec, server: Server) -> str:
    """Return the text of an empty chart: where the samples are, and the keys that lead there."""
    start, end = spec.start, spec.end
    stamps = [times for run in server.runs if (times := run.stamps())]
    if any(bisect_left(times, start) < bisect_right(times, end) for times in stamps):
        return spec.missing
    before = [times[-1] for times in stamps if times[-1] < start]
    if before:
        return f"the newest sample is {duration(end - max(before))} old: the keys − and ← show it"
    if not server.run_at(end).series:
        return "no stats line yet"
    later = any(times[-1] > end for times in stamps)
    return f"no samples in this window{': the key → shows a later one' if later else ''}"


def startup_zones(server: Server, start: float, end: float) -> tuple[Zone, ...]:
    """Return the start-ups in a window as zones, with their lengths."""
    zones = []
    for run, following in zip_longest(server.runs, server.runs[1:]):
        begin = starting_at(run)
        ready = serving_at(run)
        if begin is None or begin >= end:
            continue
        gone = end if following is None else run.newest_stamp or begin
        until = gone if ready is None else ready
        if until <= start or until - begin < (end - start) / 20:
            continue
        took = duration(until - begin)
        word = "starting" if ready is None else "start-up"
        label = f"{word} {took}|{word}|start"
        zones.append(Zone(begin, until, label, "starting_ground"))
    return tuple(zones)


def benchmark_zones(scope: ChartScope) -> tuple[Zone, ...]:
    """Return the benchmarks that ran against a server in a window."""
    zones = []
    for benchmark in scope.monitor.store.benchmarks:
        begin, end = benchmark.span(scope.server.clock.tz)
        if benchmark.is_of(scope.server.known.model) and begin < scope.end and end > scope.start:
            zones.append(Zone(begin, end, benchmark.name, "benchmark_ground"))
    return tuple(zones)


def chart_spec(scope: ChartScope, name: str, *, over: bool = False) -> ChartSpec:
    """Return one chart of a server; `over` if it has ended. `charttable` has the names."""
    spec = CHART_BY_NAME[name].spec(scope)
    return replace(
        spec,
        marks=marks(scope.monitor, scope.server, *scope.known_span),
        zones=(
            *startup_zones(scope.server, *scope.window),
            *benchmark_zones(scope),
        ),
        empty=spec.empty or _why_empty(spec, scope.server),
        over=over,
    )
