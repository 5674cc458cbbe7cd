"""The sources of charts' curves: the log's metrics, its steps and requests, recordings.

Each source gives its lines, and the time since which it has data of a server.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.meantimes import request_sums
from vllm_watch.core.metrics import METRIC_BY_NAME
from vllm_watch.core.recordings import ROWS_APART, Table, latency_curve
from vllm_watch.core.run import Run
from vllm_watch.core.series import USUAL_SILENCE, Series
from vllm_watch.core.steps import STEPS_APART
from vllm_watch.core.store import Server
from vllm_watch.tui.chartdata import failures, http_line, pace_line, per_request_line
from vllm_watch.tui.charts import Line
from vllm_watch.tui.chartscope import ChartScope

TIMES_WINDOW = 60.0
"""Seconds over which mean times of requests are computed."""
MOST_GPUS = 4
"""GPUs drawn in one chart; the card shows all."""
_GPU_ROLES = ("plain", "low", "text", "muted")

Lines = tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Some lines of a chart."""

    lines: Callable[[ChartScope], Lines]
    since: Callable[[Server], float]
    """Epoch seconds in the log's own clock since which it has data; infinity if it never has."""


def logged(
    metric: str,
    name: str = "",
    role: str = "plain",
    marker: str = "fill",
    *,
    scale: float = 1.0,
    zeros: bool = False,
) -> Source:
    """Return a metric of the stats lines; without `zeros`, one that is always zero has no data.

    Raises:
        ValueError: there is no such metric.
    """
    if metric not in METRIC_BY_NAME:
        raise ValueError(f"no metric {metric!r} for a chart: see METRICS of core/metrics.py")
    return Source(
        lambda scope: (scope.line(metric, name, role, marker, scale),),
        lambda server: min(
            (_first(run, series, engine, metric, zeros)
             for run in server.runs for engine, series in run.series.items()),
            default=math.inf,
        ),
    )  # fmt: skip


def _first(run: Run, series: Series, engine: int, metric: str, zeros: bool) -> float:
    """Return when a metric first occurred; each sample but the newest is checked once."""
    column = series.columns.get(metric)
    if column is None or not len(series):
        return math.inf
    place = f"first {metric} {engine} {zeros}"
    key, seen = (series.revision, series.folded), 0
    known = run.memo.get(place)
    if known is not None and known[0] == key:
        seen = int(known[1]) if isinstance(known[1], float) else 0
    least = -1.0 if zeros else 0.0
    found = next((at for at in range(seen, len(column)) if column[at] > least), None)
    run.memo[place] = key, float(len(series) - 1 if found is None else found)
    return math.inf if found is None else series.times[found]


def pace() -> Source:
    """Return the time between two tokens: median and p95 as recorded, else an estimate."""

    def lines(scope: ChartScope) -> Lines:
        recorded = latency("itl_s").lines(scope)
        return recorded or (pace_line(scope.server, scope.engine, scope.known_span),)

    return Source(lines, logged("generation_tps").since)


def per_request() -> Source:
    """Return tokens per second of each running request."""
    return Source(
        lambda scope: (per_request_line(scope.server, scope.engine, scope.known_span),),
        logged("generation_tps").since,
    )


def latency(name: str) -> Source:
    """Return median and p95 of a recorded latency, in milliseconds."""

    def lines(scope: ChartScope) -> Lines:
        recorded = scope.server.recording.latencies.items()
        tables = [table for number, table in recorded if scope.engine in (None, number)]
        found = []
        for part, role, marker in (("p50", "plain", "line"), ("p95", "text", "dots")):
            points = latency_curve(tables, f"{name}_{part}", scope.known_span)
            if points:
                times, seconds = zip(*points, strict=True)
                values = [each * 1000 for each in seconds]
                found.append(Line(part, times, values, role, marker, ROWS_APART))
        return tuple(found)

    def since(server: Server) -> float:
        return _begins(server.recording.latencies.values(), f"{name}_p50")

    return Source(lines, since)


def gpus(value: str, scale: float = 1.0) -> Source:
    """Return a recorded value of each GPU."""

    def lines(scope: ChartScope) -> Lines:
        tables = sorted(scope.server.recording.gpus.items())[:MOST_GPUS]
        known = [(gpu, table) for gpu, table in tables if value in table.columns]
        alone = len(known) == 1
        return tuple(
            _gpu_line(scope, table, value, scale, "" if alone else f"GPU {gpu}|{gpu}", role)
            for (gpu, table), role in zip(known, _GPU_ROLES, strict=False)
        )

    return Source(lines, lambda server: _begins(server.recording.gpus.values(), value))


def _gpu_line(
    scope: ChartScope, table: Table, value: str, scale: float, name: str, role: str
) -> Line:
    first, last = table.span(scope.start - ROWS_APART, scope.known)
    values = [None if each is None else each * scale for each in table.values(value, first, last)]
    marker = "line" if role in _GPU_ROLES[::2] else "dots"
    return Line(name, table.times[first:last], values, role, marker, ROWS_APART)


def _begins(tables: object, value: str) -> float:
    known = [t for t in tables if isinstance(t, Table)]  # type: ignore[attr-defined]
    return min((t.times[0] for t in known if value in t.columns and len(t)), default=math.inf)


def answers() -> Source:
    """Return requests answered well per second, and those that were not."""

    def lines(scope: ChartScope) -> Lines:
        good = http_line(scope.server, "answered", "ok", "plain", "up", scope.known_span)
        bad = [each.values for each in errors().lines(scope)]
        both = [(one or 0.0) + (other or 0.0) for one, other in zip(*bad, strict=True)]
        told = f"{failures(scope.server, scope.known_span):,} in all"  # often one short burst
        line = Line("errors|err", good.times, both, "critical", "down", good.gap_s, told=told)
        return good, line

    return Source(lines, lambda server: _answered(server, (0, 1, 2)))


def errors() -> Source:
    """Return requests answered with an error per second, by status."""
    kinds = (("refused", "4xx", "warning"), ("failed", "5xx", "critical"))
    return Source(
        lambda scope: tuple(
            http_line(scope.server, what, name, role, "fill", scope.known_span)
            for what, name, role in kinds
        ),
        lambda server: _answered(server, (1, 2)),
    )


def _answered(server: Server, kinds: tuple[int, ...]) -> float:
    """Return when a request was first answered with such a status."""
    found = (
        run.traffic.begins[at]
        for run in server.runs
        for at in range(len(run.traffic))
        if any(run.traffic.counts[kind][at] for kind in kinds)
    )
    return next(found, math.inf)


def request_times() -> Source:
    """Return how long requests waited and ran, estimated (Little's law), over the last minute."""

    def lines(scope: ChartScope) -> Lines:
        times: list[float] = []
        queue: list[float | None] = []
        running: list[float | None] = []
        for run in scope.server.runs:
            sums = request_sums(run, scope.start - run.cadence - 2 * TIMES_WINDOW)
            for at in _stamps(run, scope):
                found, _, _ = sums.over(at - TIMES_WINDOW, at)
                times.append(at)
                known = found is not None and found.queue is not None
                queue.append(found.queue if found is not None else None)
                ran = found.request - (found.queue or 0.0) if found is not None and known else None
                running.append(ran)
        gap = max(USUAL_SILENCE, scope.server.run.silence)
        return (
            Line("running|run", times, running, "running", "fill", gap),
            Line("queue", times, queue, "waiting", "fill", gap),
        )

    def since(server: Server) -> float:
        return max(answers().since(server), logged("running").since(server))

    return Source(lines, since)


def _stamps(run: Run, scope: ChartScope) -> Iterator[float]:
    for at in run.stamps():
        if scope.start - run.cadence <= at <= scope.known:
            yield at


def step_time() -> Source:
    """Return milliseconds of a step, if the log has iteration details."""

    def lines(scope: ChartScope) -> Lines:
        points = [(at, 1000 * engines / steps) for at, engines, steps, _, _ in _steps(scope)]
        return (_line(points, "", "plain"),)

    return Source(lines, _steps_since)


def step_tokens() -> Source:
    """Return tokens of answers and of prompts in a step."""

    def lines(scope: ChartScope) -> Lines:
        seconds = list(_steps(scope))
        return (
            _line([(at, made / steps) for at, _, steps, made, _ in seconds],
                  "generated|gen", "generation"),
            _line([(at, took / steps) for at, _, steps, _, took in seconds],
                  "prompt", "prompt"),
        )  # fmt: skip

    return Source(lines, _steps_since)


def _line(points: list[tuple[float, float]], name: str, role: str) -> Line:
    times, values = [at for at, _ in points], [value for _, value in points]
    return Line(name, times, values, role, "fill", STEPS_APART)


def _steps_since(server: Server) -> float:
    return min(
        (steps.times[0] for run in server.runs for steps in run.steps.values() if steps.times),
        default=math.inf,
    )


def _steps(scope: ChartScope) -> Iterator[tuple[float, int, int, int, int]]:
    """Yield seconds of work: time, engines, steps, generated tokens and prompt tokens."""
    found: dict[float, tuple[int, int, int, int]] = {}
    for run in scope.server.runs:
        for engine, steps in run.steps.items():
            if scope.engine not in (None, engine):
                continue
            for at, row in steps.whole():
                if scope.start - 1 <= at <= scope.known and row.steps:
                    a, b, c, d = found.get(at, (0, 0, 0, 0))
                    found[at] = (a + 1, b + row.steps, c + row.generation_tokens,
                                 d + row.context_tokens)  # fmt: skip
    for at in sorted(found):
        yield at, *found[at]
