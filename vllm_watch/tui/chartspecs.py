"""The charts of a server by name: their curves, bands, limits, marks and zones."""

from __future__ import annotations

from collections.abc import Callable

from vllm_watch.config import HealthSettings
from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.startup import serving_at
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor
from vllm_watch.tui.chartdata import curve, http_line, pace_line, per_request_line
from vllm_watch.tui.charts import Band, ChartSpec, Limit, Line, Mark, Zone
from vllm_watch.tui.figures import duration
from vllm_watch.tui.recordedcharts import recorded_line

DIED = "died"
"""What the mark of a server's end is called."""

_RATIO_TOPS = (25.0, 50.0)
"""Ends of the scale of a percentage of which little is reached: five rows of nothing say less."""
_GLYPHS = {"note": "•", "warning": "▲", "critical": "✖"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose chart is asked for, over which time; in the log's own clock."""

    monitor: Monitor
    server: Server
    engine: int | None
    start: float
    end: float
    known: float
    """Up to when anything is known."""

    @property
    def window(self) -> tuple[float, float]:
        """Beginning and end."""
        return self.start, self.end

    @property
    def seen(self) -> tuple[float, float]:
        """Beginning, and up to when anything is known."""
        return self.start, self.known

    def line(self, metric: str, name: str, role: str, marker: str, scale: float = 1.0) -> Line:
        """Return a metric as a line, its values multiplied."""
        drawn = curve(self.server, self.engine, metric, self.start, self.known)
        values = drawn.values
        if scale != 1.0:
            values = [None if value is None else value * scale for value in values]
        return Line(name, drawn.times, values, role, marker, drawn.gap)


def marks(monitor: Monitor, server: Server, start: float, end: float) -> tuple[Mark, ...]:
    """Return alerts, restarts and the end of a server as ticks on the time axis."""
    found = [
        Mark(span.since, span.rule.severity, _GLYPHS[span.rule.severity], span.rule.word)
        for span in monitor.spans(server)
        if span.rule.severity != "note" and start <= span.since and span.fired <= end
    ]
    found += [
        Mark(span.since, span.severity, _GLYPHS[span.severity], finding.word)
        for span, finding in monitor.trend_warnings(server, end)
    ]
    for run in server.runs:
        if run.number and run.first_stamp is not None:
            found.append(Mark(run.first_stamp, "note", "↻", "restart"))
        for at, moment in run.placed():
            if moment.event.kind in ("dead", "killed") and at is not None:
                found.append(Mark(at, "critical", "✖", DIED))
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


def startup_zones(server: Server, start: float, end: float) -> tuple[Zone, ...]:
    """Return the start-up of the runs in a window as zones, with how long each took."""
    zones = []
    for run in server.runs:
        begin = run.first_stamp
        ready = serving_at(run)
        if begin is None or begin >= end or (ready is not None and ready <= start):
            continue
        until = end if ready is None else ready
        if until - begin < (end - start) / 20:
            continue
        took = duration(until - begin)
        word = "starting" if ready is None else "start-up"
        label = f"{word} {took}|{word}|start"
        zones.append(Zone(begin, until, label, "starting_ground"))
    return tuple(zones)


def benchmark_zones(asked: Asked) -> tuple[Zone, ...]:
    """Return the benchmarks that ran against a server in a window."""
    zones = []
    for benchmark in asked.monitor.store.benchmarks:
        begin, end = benchmark.span(asked.server.tz)
        if benchmark.is_of(asked.server.known.model) and begin < asked.end and end > asked.start:
            zones.append(Zone(begin, end, benchmark.name, "benchmark_ground"))
    return tuple(zones)


def chart_spec(
    monitor: Monitor,
    server: Server,
    engine: int | None,
    window: tuple[float, float],
    name: str,
    *,
    over: bool = False,
    cursor: float | None = None,
    until: float | None = None,
) -> ChartSpec:
    """Return one chart of a server; `over` if it has ended. `CHART_NAMES` has the names.

    Window, cursor and `until` are in our clock; of what comes after `until` nothing is known.
    """
    start, end = window[0] - server.skew, window[1] - server.skew
    known = end if until is None else until - server.skew
    asked = Asked(monitor, server, engine, start, end, known)
    spec = _CHARTS[name](asked)
    return replace(
        spec,
        marks=marks(monitor, server, start, known),
        zones=(
            *startup_zones(server, *asked.window),
            *benchmark_zones(asked),
        ),
        empty=spec.empty or _why_empty(server, *asked.window),
        cursor=None if cursor is None else cursor - server.skew,
        over=over,
    )


def _throughput(asked: Asked) -> ChartSpec:
    lines = (
        asked.line("generation_tps", "generation|gen", "primary", "up"),
        asked.line("prompt_tps", "prompt", "secondary", "down"),
    )
    return ChartSpec("Throughput|tok/s", "tok/s", *asked.window, lines, kind="mirror", empty="")


def _kv(asked: Asked) -> ChartSpec:
    health = asked.monitor.settings.health
    low, high = health.kv_cache_low * 100, health.kv_cache_healthy_high * 100
    return ChartSpec(
        "KV cache",
        "%",
        *asked.window,
        (asked.line("kv_cache_usage", "", "low", "fill", 100.0),),
        band=Band(low, high),
        y_max=100.0,
        kind="area",
        heat=(
            (0.0, "low"),
            (low, "good"),
            (health.kv_cache_high * 100, "warning"),
            (health.kv_cache_critical * 100, "critical"),
        ),
        note=f"{low:.0f}–{high:.0f} healthy|{low:.0f}–{high:.0f} ok",
        legends=_kv_legends(health),
        empty="",
    )


def _kv_legends(health: HealthSettings) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Return what the colours of the KV cache mean, in words that become fewer."""
    low, high = f"{health.kv_cache_low * 100:.0f}", f"{health.kv_cache_healthy_high * 100:.0f}"
    unused, healthy = (f"<{low} room", "low"), (f"{low}–{high} healthy", "good")
    much = (
        (f"≥{health.kv_cache_high * 100:.0f} high", "warning"),
        (f"≥{health.kv_cache_critical * 100:.0f} full", "critical"),
    )
    return (unused, healthy, *much), (unused, healthy), (healthy,)


def _requests(asked: Asked) -> ChartSpec:
    limit = batch_limit(asked.monitor, asked.server, asked.end)
    return ChartSpec(
        "Requests",
        "",
        *asked.window,
        (
            asked.line("running", "running|run", "primary", "fill"),
            asked.line("waiting", "waiting|wait", "warning", "fill"),
        ),
        limits=(Limit(limit, "max_num_seqs|limit"),) if limit else (),
        kind="stack",
        note=f"limit {limit:,.0f}" if limit else "",
        empty="",
    )


def _pace(asked: Asked) -> ChartSpec:
    """Return the time between two tokens: recorded, else about, from the log."""
    median, slow = (
        recorded_line(
            asked.server, asked.engine, f"itl_s_{part}", asked.seen,
            name=part, role=role, marker=marker,
        )
        for part, role, marker in (("p50", "note", "line"), ("p95", "warning", "dots"))
    )  # fmt: skip
    if median is not None and slow is not None:
        return ChartSpec(
            "Time per token", "ms", *asked.window, (median, slow), note="recorded", empty=""
        )
    lines = (pace_line(asked.server, asked.engine, asked.seen),)
    return ChartSpec(
        "Time per token", "ms", *asked.window, lines, kind="area", note="about, from the log",
        empty="",
    )  # fmt: skip


def _prefix(asked: Asked) -> ChartSpec:
    good = asked.monitor.settings.health.prefix_cache_excellent * 100
    line = asked.line("prefix_cache_hit_rate", "", "secondary", "fill", 100.0)
    highest = max((value for value in line.values if value is not None), default=100.0)
    return ChartSpec(
        "Prefix cache hits",
        "%",
        *asked.window,
        (line,),
        limits=(Limit(good, ""),),
        y_max=next((top for top in _RATIO_TOPS if highest <= 0.8 * top), 100.0),
        kind="area",
        note=f"excellent from {good:.0f}",
        empty="",
    )


def _per_request(asked: Asked) -> ChartSpec:
    lines = (per_request_line(asked.server, asked.engine, asked.seen),)
    return ChartSpec("Per request", "tok/s", *asked.window, lines, empty="")


def _http(asked: Asked) -> ChartSpec:
    lines = (
        http_line(asked.server, "answered", "ok", "primary", "up", asked.seen),
        http_line(asked.server, "failed", "errors|err", "critical", "down", asked.seen),
    )
    empty = "no requests in this window"
    return ChartSpec("HTTP", "req/s", *asked.window, lines, kind="mirror", empty=empty)


_CHARTS: dict[str, Callable[[Asked], ChartSpec]] = {
    "throughput": _throughput,
    "kv": _kv,
    "requests": _requests,
    "pace": _pace,
    "prefix": _prefix,
    "http": _http,
    "per_request": _per_request,
}
CHART_NAMES = tuple(_CHARTS)
"""Every chart there is, in the order of their importance."""


def batch_limit(monitor: Monitor, server: Server, time: float) -> float | None:
    """Return `max_num_seqs` of a server's engines together, None where the log does not say."""
    run = server.run_at(time)
    value = run.config.get("max_num_seqs") or monitor.settings.max_num_seqs_of(server.name)
    if not isinstance(value, int):
        return None
    return float(value * max(1, len(run.engines)))
