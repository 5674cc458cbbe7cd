"""What the charts of a server show: series of its engines, bands, limits, marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vllm_watch.core.metrics import METRIC_BY_NAME
from vllm_watch.core.run import Run
from vllm_watch.core.series import envelope
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor
from vllm_watch.tui.charts import Band, ChartSpec, Limit, Line, Mark
from vllm_watch.tui.figures import duration

GAP_CADENCES = 1.6
"""Two samples further apart than this many cadences are not connected: silence is drawn empty."""

BEGINS = "alert begins"
"""What the marks of alerts are called; the end of a server is one."""

_GLYPHS = {"note": "•", "warning": "▲", "critical": "✖"}


@dataclass(frozen=True, slots=True)
class Curve:
    """Times and values of one metric."""

    times: Sequence[float]
    values: Sequence[float | None]
    gap: float


def curve(
    server: Server,
    engine: int | None,
    metric: str,
    start: float,
    end: float,
    *,
    extremes: bool = True,
) -> Curve:
    """Return a metric over time, of one engine or of all of them, runs one after another.

    A time whose samples are thinned is its lowest and its highest value, so that peaks stay seen
    from afar; without `extremes` its mean. Of several engines the extremes are added up as if
    they had been reached together, which bounds their sum.
    """
    times: list[float] = []
    values: list[float | None] = []
    gap = 15.0
    for run in server.runs:
        engines = run.engines if engine is None else [engine] if engine in run.series else []
        if not engines:
            continue
        near = max(1.0, GAP_CADENCES * run.cadence)
        if len(engines) == 1:
            drawn = _single(run, engines[0], metric, (start - near, end), extremes=extremes)
        else:
            drawn = _together(run, engines, metric, (start - near, end), extremes=extremes)
        more_times, more_values, widest = drawn
        gap = max(near, gap if times else 0.0, widest)
        if times and more_times:  # a restart is a gap, however short it was
            times.append((times[-1] + more_times[0]) / 2)
            values.append(None)
        times += more_times
        values += more_values
    return Curve(times, values, gap)


Drawn = tuple[list[float], list[float | None], float]
"""Times, values, and the longest distance that is no gap."""


def _single(
    run: Run, engine: int, metric: str, window: tuple[float, float], *, extremes: bool
) -> Drawn:
    series = run.series[engine]
    low, high = series.span(*window)
    if low >= series.thinned:
        return list(series.times[low:high]), series.values(metric, low, high), 0.0
    low = max(0, low - 1)  # it begins before the window and may reach into it
    silence = GAP_CADENCES * series.cadence
    times: list[float] = []
    values: list[float | None] = []
    widest = 0.0

    def lead_to(begin: float) -> None:
        """Break the line where nothing was written, and remember the longest way without."""
        nonlocal widest
        distance = begin - times[-1] if times else 0.0
        if distance > silence:
            times.append(begin - distance / 2)
            values.append(None)
        else:
            widest = max(widest, distance)

    for begin, end, mean, lowest, highest in envelope(series, metric, low, high):
        lead_to(begin)
        widest = max(widest, end - begin)
        if end - begin < 3 * series.cadence:
            times += [begin, end]
            values += [lowest, highest] if extremes else [mean, mean]
        elif not extremes:
            times += [begin, end]
            values += [mean, mean]
        else:
            third = (end - begin) / 3
            times += [begin, begin + third, end - third, end]
            values += [mean, lowest, highest, mean]
    for time, value in zip(
        series.times[series.thinned : high],
        series.values(metric, series.thinned, high),
        strict=True,
    ):
        if time - times[-1] > silence:
            lead_to(time)
        times.append(time)
        values.append(value)
    return times, values, widest


def _together(
    run: Run, engines: Sequence[int], metric: str, window: tuple[float, float], *, extremes: bool
) -> Drawn:
    """Add engines up: lines of the same round (within half a cadence) make one point."""
    each = [_single(run, engine, metric, window, extremes=extremes) for engine in engines]
    widest = max(gap for _, _, gap in each)
    points = sorted(
        (
            (at, engine, value)
            for engine, (times, values, _) in zip(engines, each, strict=True)
            for at, value in zip(times, values, strict=True)
        ),
        key=lambda point: point[0],
    )
    near = max(widest, GAP_CADENCES * run.cadence)
    whole = METRIC_BY_NAME[metric].total == "sum"
    out_times: list[float] = []
    out_values: list[float | None] = []
    newest: dict[int, tuple[float, float | None]] = {}
    for index, (at, engine, value) in enumerate(points):
        newest[engine] = (at, value)
        following = points[index + 1][0] if index + 1 < len(points) else None
        if following is not None and following - at < run.cadence / 2:
            continue
        known = [
            number for seen, number in newest.values() if number is not None and at - seen < near
        ]
        out_times.append(at)
        out_values.append(sum(known) / (1 if whole else len(known)) if known else None)
    return out_times, out_values, widest


def marks(monitor: Monitor, server: Server, start: float, end: float) -> tuple[Mark, ...]:
    """Return alerts, restarts and the end of a server as ticks on the time axis."""
    found = [
        Mark(span.since, span.rule.severity, _GLYPHS[span.rule.severity], BEGINS)
        for span in monitor.spans(server)
        if span.rule.severity != "note" and start <= span.since and span.fired <= end
    ]
    found += [
        Mark(span.since, span.severity, _GLYPHS[span.severity], BEGINS)
        for span, _ in monitor.trend_warnings(server, end)
    ]
    for run in server.runs:
        if run.number and run.first_stamp is not None:
            found.append(Mark(run.first_stamp, "note", "↻", "restart"))
        for at, moment in run.placed():
            if moment.event.kind in ("dead", "killed") and at is not None:
                found.append(Mark(at, "critical", "✖", BEGINS))
                break
    return tuple(mark for mark in found if start <= mark.time <= end)


def _why_empty(server: Server, start: float, end: float) -> str:
    """Return what an empty chart says: where the samples are, and the keys that lead there."""
    stamps = [time for run in server.runs for time in run.stamps()[-1:] if time < start]
    if stamps:
        return f"the newest sample is {duration(end - max(stamps))} old: − or ← lead there"
    if not server.run_at(end).series:
        return "no stats line yet"
    return "no samples in this window: → leads on"


def chart_specs(
    monitor: Monitor,
    server: Server,
    engine: int | None,
    window: tuple[float, float],
    cursor: float | None = None,
    *,
    over: bool = False,
) -> dict[str, ChartSpec]:
    """Return the charts of a server by name; `over` if it has ended."""
    start, end = window[0] - server.skew, window[1] - server.skew
    signs = marks(monitor, server, start, end)
    health = monitor.settings.health

    def line(metric: str, name: str, role: str, marker: str = "line") -> Line:
        drawn = curve(server, engine, metric, start, end)
        return Line(name, drawn.times, drawn.values, role, marker, drawn.gap)

    def percent(metric: str, role: str) -> Line:
        drawn = curve(server, engine, metric, start, end)
        values = [None if value is None else value * 100 for value in drawn.values]
        return Line("", drawn.times, values, role, "line", drawn.gap)

    empty = _why_empty(server, start, end)
    extra = {
        "http": ChartSpec(
            "HTTP",
            "req/s",
            start,
            end,
            (
                http_line(server, "answered", "ok", "primary", "line", (start, end)),
                http_line(server, "failed", "errors|err", "critical", "dots", (start, end)),
            ),
            marks=signs,
            empty="no requests in this window",
            cursor=cursor,
            over=over,
        ),
        "per_request": ChartSpec(
            "Per request",
            "tok/s",
            start,
            end,
            (per_request_line(server, engine, (start, end)),),
            marks=signs,
            empty=empty,
            cursor=cursor,
            over=over,
        ),
    }
    limit = batch_limit(monitor, server, end)
    return {
        "throughput": ChartSpec(
            "Throughput",
            "tok/s",
            start,
            end,
            (
                line("generation_tps", "generation|gen", "primary"),
                line("prompt_tps", "prompt", "secondary", "dots"),
            ),
            marks=signs,
            empty=empty,
            cursor=cursor,
            over=over,
        ),
        "kv": ChartSpec(
            "KV cache",
            "%",
            start,
            end,
            (percent("kv_cache_usage", "primary"),),
            band=Band(health.kv_cache_low * 100, health.kv_cache_healthy_high * 100),
            limits=(Limit(health.kv_cache_high * 100, "high from|high"),),
            marks=signs,
            empty=empty,
            y_max=100.0,
            cursor=cursor,
            over=over,
            key=True,
        ),
        "requests": ChartSpec(
            "Requests",
            "reqs",
            start,
            end,
            (
                line("running", "running|run", "primary"),
                line("waiting", "waiting|wait", "tertiary", "dots"),
            ),
            limits=(Limit(limit, "max_num_seqs|limit"),) if limit else (),
            marks=signs,
            empty=empty,
            cursor=cursor,
            over=over,
        ),
        "prefix": ChartSpec(
            "Prefix cache hits",
            "%",
            start,
            end,
            (percent("prefix_cache_hit_rate", "primary"),),
            limits=(Limit(health.prefix_cache_excellent * 100, "excellent from"),),
            marks=signs,
            empty=empty,
            y_max=100.0,
            cursor=cursor,
            over=over,
        ),
        **extra,
    }


def http_line(
    server: Server, what: str, name: str, role: str, marker: str, window: tuple[float, float]
) -> Line:
    """Return requests per second over time: `answered`, or `failed` with those refused."""
    times: list[float] = []
    values: list[float | None] = []
    for run in server.runs:
        for stretch in run.traffic.stretches(window[0] - 60.0, window[1], run.stamps()):
            times.append(min(stretch.end, window[1]))
            errors = stretch.refused + stretch.failed
            values.append(stretch.answered if what == "answered" else errors)
    return Line(name, times, values, role, marker, GAP_CADENCES * max(10.0, server.run.cadence))


def per_request_line(server: Server, engine: int | None, window: tuple[float, float]) -> Line:
    """Return tokens per second per running request over time (HEALTH §4: decode rate)."""
    rate = curve(server, engine, "generation_tps", *window, extremes=False)
    running = curve(server, engine, "running", *window, extremes=False)
    values = [
        None if value is None or not count else value / count
        for value, count in zip(rate.values, running.values, strict=True)
    ]
    return Line("", rate.times, values, "primary", "line", rate.gap)


def batch_limit(monitor: Monitor, server: Server, time: float) -> float | None:
    """Return `max_num_seqs` of a server's engines together, None where the log does not say."""
    run = server.run_at(time)
    value = run.config.get("max_num_seqs") or monitor.settings.max_num_seqs_of(server.name)
    if not isinstance(value, int):
        return None
    return float(value * max(1, len(run.engines)))
