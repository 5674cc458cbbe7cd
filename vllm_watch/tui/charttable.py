"""All charts: a new one is one entry."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from vllm_watch.config import HealthSettings
from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.store import Server
from vllm_watch.reports.recorded import GIB
from vllm_watch.tui.charts import Band, ChartSpec, Limit
from vllm_watch.tui.charts.panel import LIMIT_REACH
from vllm_watch.tui.chartscope import ChartScope
from vllm_watch.tui.chartsources import (
    Lines,
    Source,
    answers,
    errors,
    gpus,
    latency,
    logged,
    pace,
    per_request,
    request_times,
    step_time,
    step_tokens,
)

_ANSWERED, _HALF = 0.8, 0.5
"""Share of the answers in their chart with errors, if they are more than these, and if not."""
_TOPS = (25.0, 50.0)
"""Ends of a percentage scale if only its lower part is used: this avoids empty rows."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: its content and how it is drawn."""

    name: str
    """Its name in settings and the palette."""
    title: str
    unit: str
    sources: tuple[Source, ...]
    kind: str = "area"
    """See `ChartSpec.kind`; an area of several lines is drawn as lines."""
    note: str = ""
    y_max: float | None = None
    always: bool = False
    """Whether it is shown even without data."""
    more: Callable[[ChartScope, ChartSpec], ChartSpec] | None = None
    """Adds parts that depend on the server or the settings: bands, limits, notes."""
    empty: str = ""
    """Its text without data; empty: why the server has no samples."""

    @property
    def words(self) -> str:
        """Its title in full."""
        return self.title.partition("|")[0]

    def lines(self, scope: ChartScope) -> Lines:
        """Return the lines of the chart."""
        return tuple(line for source in self.sources for line in source.lines(scope))

    def since(self, server: Server) -> float:
        """Return since when the chart has data of a server, in the log's own clock."""
        return min((source.since(server) for source in self.sources), default=math.inf)

    def spec(self, scope: ChartScope) -> ChartSpec:
        """Return the chart as it is drawn."""
        lines = self.lines(scope)
        kind = "lines" if self.kind == "area" and len(lines) > 1 else self.kind
        spec = ChartSpec(
            self.title, self.unit, *scope.window, lines, kind=kind, note=self.note,
            y_max=self.y_max, empty=self.empty,
        )  # fmt: skip
        return spec if self.more is None else self.more(scope, spec)


def _kv(scope: ChartScope, spec: ChartSpec) -> ChartSpec:
    health = scope.monitor.settings.health
    low, high = health.kv_cache_low * 100, health.kv_cache_healthy_high * 100
    heat = (
        (0.0, "low"),
        (low, "good"),
        (math.nextafter(health.kv_cache_high * 100, math.inf), "warning"),
        (health.kv_cache_critical * 100, "critical"),
    )
    healthy = f"{low:.0f}–{high:.0f}"
    return replace(
        spec,
        band=Band(low, high),
        heat=heat,
        note=f"{healthy} healthy|{healthy} ok",
        legends=_kv_legends(health, healthy),
    )


def _kv_legends(health: HealthSettings, healthy: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Return the legend of the KV cache's scale and colours, the longest form first."""
    low, high, full = (
        f"{level * 100:.0f}"
        for level in (health.kv_cache_low, health.kv_cache_high, health.kv_cache_critical)
    )
    band = ((f"■{healthy} healthy", "good"),)
    short = (f"■<{low}", f"■≤{high}", f"■>{high}", f"■≥{full}")
    words = ("room", "no alert", "high", "full")
    named = tuple(f"{levels} {word}" for levels, word in zip(short, words, strict=True))
    roles = ("low", "good", "warning", "critical")
    colours, brief = (tuple(zip(texts, roles, strict=True)) for texts in (named, short))
    alerts = tuple(entry for entry in brief if entry[1] != "good")  # the band has that colour
    return (*band, *colours), (*band, *alerts), brief, band


def _requests(scope: ChartScope, spec: ChartSpec) -> ChartSpec:
    limit = scope.monitor.batch_limit(scope.server, scope.server.run_at(scope.end))
    ran = max((value for value in spec.lines[0].values if value is not None), default=0.0)
    if not limit or ran * LIMIT_REACH < limit:  # waiting requests, on top, have no limit
        return spec
    name = Limit(limit, "max_num_seqs|limit", meaning="limit of running requests")
    return replace(spec, limits=(name,))


def _pace(_: ChartScope, spec: ChartSpec) -> ChartSpec:
    if len(spec.lines) > 1:
        return replace(spec, note="recorded")
    note = "estimated from the log|estimated|est."
    return replace(spec, note=note, estimated=True, missing=_NO_PACE)


def _http(_: ChartScope, spec: ChartSpec) -> ChartSpec:
    """Without errors, give their half of the chart to the answers."""
    good, bad = spec.lines
    if any(bad.values):
        most, least = (max(filter(None, line.values), default=0.0) for line in (bad, good))
        return replace(spec, upper=_HALF if most > least else _ANSWERED)
    line = replace(good, name="", marker="fill")
    return replace(spec, kind="area", lines=(line,), note="no errors")


def _prefix(scope: ChartScope, spec: ChartSpec) -> ChartSpec:
    good = scope.monitor.settings.health.prefix_cache_excellent * 100
    spec = _percentage(scope, spec)
    return replace(spec, limits=(Limit(good, "excellent from"),))


def _percentage(_: ChartScope, spec: ChartSpec) -> ChartSpec:
    """Let a scale end below 100 % if only its lower part is used."""
    known = (value for line in spec.lines for value in line.values if value is not None)
    highest = max(known, default=100.0)
    return replace(spec, y_max=next((top for top in _TOPS if highest <= 0.8 * top), 100.0))


_NO_PACE = "unknown: no running request generated tokens"
"""Said of a window whose stats lines give no time per token."""
CHARTS: tuple[Chart, ...] = (
    Chart("throughput", "Throughput|tok/s", "tok/s", (
        logged("generation_tps", "generation|gen", "generation", "up"),
        logged("prompt_tps", "prompt", "prompt", "down"),
    ), "mirror", always=True),
    Chart("kv", "KV cache", "%", (logged("kv_cache_usage", role="low", scale=100),),
          y_max=100.0, always=True, more=_kv),
    Chart("requests", "Requests", "", (
        logged("running", "running|run", "running"),
        logged("waiting", "waiting|wait", "waiting"),
    ), "stack", always=True, more=_requests),
    Chart("pace", "Time per token", "ms", (pace(),), always=True, more=_pace),
    Chart("first_token", "Time to first token", "ms", (latency("ttft_s"),), note="recorded"),
    Chart("prefix", "Prefix cache hits", "%", (
        logged("prefix_cache_hit_rate", role="hits", scale=100),
    ), y_max=100.0, more=_prefix),
    Chart("http", "HTTP req/s|HTTP", "req/s", (answers(),), "mirror", more=_http,
          empty="no requests in this window"),
    Chart("errors", "Errors", "req/s", (errors(),), "stack"),
    Chart("request_times", "Time per request", "s", (request_times(),), "stack",
          note="mean of a minute, estimated"),
    Chart("gpu_power", "GPU power", "W", (gpus("power_w"),), note="recorded"),
    Chart("gpu_use", "GPU utilisation", "%", (gpus("utilization", 100),), y_max=100.0,
          note="recorded"),
    Chart("gpu_memory", "GPU memory", "GiB", (gpus("memory_used", 1 / GIB),), note="recorded"),
    Chart("step_time", "Time per step", "ms", (step_time(),)),
    Chart("step_tokens", "Tokens per step", "tok", (step_tokens(),), "stack"),
    Chart("acceptance", "Draft tokens accepted", "%", (
        logged("spec_acceptance_rate", scale=100, zeros=True),
    ), y_max=100.0),
    Chart("accepted_length", "Tokens per draft", "tok", (
        logged("spec_mean_acceptance_length"),
    )),
    Chart("preemptions", "Preemptions", "", (logged("preemptions", role="critical"),)),
    Chart("compute", "Compute", "TFLOP/s", (logged("mfu_tflops"),),
          note="per device"),
    Chart("memory_traffic", "Memory traffic", "GB/s", (logged("mfu_gbps"),),
          note="per device"),
    Chart("per_request", "Per request", "tok/s", (per_request(),)),
)  # fmt: skip
"""All charts, the most important ones first."""

CHART_BY_NAME: Mapping[str, Chart] = {chart.name: chart for chart in CHARTS}
CHART_NAMES = tuple(CHART_BY_NAME)


def charts_of(server: Server, time: float, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the charts that have something to show of a server at a time of its own clock.

    `wanted` are the requested names, in their order; empty: all.
    """
    chosen = [CHART_BY_NAME[name] for name in wanted if name in CHART_BY_NAME] or list(CHARTS)
    shown = [chart.name for chart in chosen if chart.always or chart.since(server) <= time]
    return tuple(shown) or CHART_NAMES[:1]
