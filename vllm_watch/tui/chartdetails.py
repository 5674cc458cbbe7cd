"""Details of the full-screen chart besides its curves: engines, figures, findings over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.figures import UNKNOWN
from vllm_watch.core.percentiles import median
from vllm_watch.core.states import OVER
from vllm_watch.core.ticks import decimals_for, value_text
from vllm_watch.health.rules import SEVERITIES
from vllm_watch.tui.charts import ChartSpec, Line
from vllm_watch.tui.charts.thin import known, nearest, newest
from vllm_watch.tui.chartscope import ChartScope
from vllm_watch.tui.charttable import CHART_BY_NAME
from vllm_watch.tui.screenview import ScreenView

MOST_ENGINES = 8
"""With more engines, the lowest, the middle and the highest are drawn."""
_ROLES = ("primary", "secondary", "note", "warning", "good", "critical", "low", "limit")
_HEADS = ("", "last", "at cursor", "min", "mean", "max")


@dataclass(frozen=True, slots=True)
class FindingSpan:
    """A finding as a stretch of the time axis."""

    since: float
    until: float
    severity: str
    title: str


def engines_spec(scope: ChartScope, name: str, cursor: float | None) -> ChartSpec | None:
    """Return a chart's first line for each engine, None if there is only one."""
    chart = CHART_BY_NAME[name]
    engines = scope.server.run_at(scope.known).engines
    if len(engines) < 2 or scope.engine is not None:
        return None
    each: list[tuple[int, Line]] = []
    for engine in engines:
        lines = chart.lines(replace(scope, engine=engine))
        if lines and any(value is not None for value in lines[0].values):
            each.append((engine, lines[0]))
    if not each:
        return None
    if len(each) > MOST_ENGINES:
        drawn = _spread([line for _, line in each])
    else:
        drawn = tuple(
            replace(line, name=f"{engine:03d}", role=role, marker="line" if at % 2 == 0 else "dots")
            for at, ((engine, line), role) in enumerate(zip(each, _ROLES, strict=False))
        )
    what = each[0][1].name.partition("|")[0]
    return ChartSpec(
        f"Each engine: {what}|Each engine" if what else "Each engine",
        chart.unit, scope.start, scope.end, drawn, y_max=chart.y_max, cursor=cursor,
        note=f"{len(each)} engines",
    )  # fmt: skip


def _spread(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return the lowest, middle and highest of many lines, at the times of the longest one."""
    axis = max(lines, key=lambda line: len(line.times))
    rows: list[list[float]] = [
        sorted(
            point[1]
            for line in lines
            if (point := nearest(line.times, line.values, at, line.gap_s)) is not None
        )
        for at in axis.times
    ]
    picks = (("highest", "warning", "line", max), ("middle", "primary", "line", median),
             ("lowest", "low", "dots", min))  # fmt: skip
    return tuple(
        Line(name, axis.times, [pick(row) if row else None for row in rows], role, marker,
             axis.gap_s, axis.weights)
        for name, role, marker, pick in picks
    )  # fmt: skip


def figure_rows(spec: ChartSpec) -> list[tuple[str, ...]]:
    """Return a head, then for each line its figures over the window."""
    rows: list[tuple[str, ...]] = [
        _HEADS if spec.cursor is not None else (*_HEADS[:2], *_HEADS[3:])
    ]
    for line in spec.lines:
        weighed = [
            (number, weight)
            for at, value, weight in zip(
                line.times, line.values, line.weights or repeat(1.0), strict=False
            )
            if spec.start <= at <= spec.end and (number := known(value)) is not None
        ]
        if not weighed:
            continue
        inside = [number for number, _ in weighed]
        digits = decimals_for(inside)
        last = newest(line.times, line.values, spec.start, spec.end)
        cells = [value_text(last[1], digits) if last else UNKNOWN]
        if spec.cursor is not None:
            at_cursor = nearest(line.times, line.values, spec.cursor, line.gap_s)
            cells.append(value_text(at_cursor[1], digits) if at_cursor else UNKNOWN)
        mean = sum(number * weight for number, weight in weighed)
        mean /= sum(weight for _, weight in weighed)
        cells += [value_text(each, digits) for each in (min(inside), mean, max(inside))]
        rows.append((line.name.partition("|")[0] or spec.title.partition("|")[0], *cells))
    return rows


def findings_in(view: ScreenView, scope: ChartScope) -> list[FindingSpan]:
    """Return the findings of the window's runs that overlap it, the worst first."""
    found = sorted(
        _finding_spans(view, scope), key=lambda one: (-SEVERITIES.index(one.severity), one.since)
    )
    return list(dict.fromkeys(found))


def _finding_spans(view: ScreenView, scope: ChartScope) -> Iterator[FindingSpan]:
    monitor, server, live = scope.monitor, scope.server, view.mode == "LIVE"
    row = view.selected_row
    ended = row.state.since if row is not None and row.state.name in OVER else None
    for run in server.runs:
        now = run is server.run_at(scope.known)
        if run.first_stamp is None or run.first_stamp > scope.known:
            continue
        if run.newest_stamp is not None and run.newest_stamp < scope.start and not now:
            continue
        saved = not now or (row is not None and row.saved)
        findings = monitor.findings(server, run, now=scope.known, live=live, saved=saved)
        for finding in findings:
            for since, until in finding.lasted:
                begin = scope.start if since is None else since
                end = until if until is not None else (ended if now else None) or scope.known
                end = max(begin, end)
                if finding.severity != "note" and begin <= scope.known and end >= scope.start:
                    yield FindingSpan(begin, end, finding.severity, finding.title)
