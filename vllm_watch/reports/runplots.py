"""The charts of a run on a page: those of the screen, from the same samples."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from vllm_watch.config import HealthSettings
from vllm_watch.core.meantimes import token_paces
from vllm_watch.core.recordings import ROWS_APART, Table, latency_curve
from vllm_watch.core.run import Run
from vllm_watch.core.steps import STEPS_APART
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor
from vllm_watch.reports.frames import Frame, Numbers, run_frame
from vllm_watch.reports.iterations import step_points
from vllm_watch.reports.plot import Plot
from vllm_watch.reports.plotsamples import CELLS, PlotSamples, listed, plot_samples

_GPU_INKS = ("primary", "secondary", "note", "warning")
_PER_TOKEN = "Time per token"
_LIMIT_SHOWN = 3.0
"""A limit this many times above the samples is text: as a line it would flatten them."""


def plots_of(server: Server, run: Run, monitor: Monitor) -> Iterator[Plot]:
    """Yield the charts of a run in order; none without samples or a recording."""
    silence = run.silence
    frame = run_frame(run)
    span = server.recorded_span(run)
    latencies = list(_latencies(server, span))
    recorded = any(plot.title == _PER_TOKEN for plot in latencies)
    if len(frame):
        limit, health = monitor.batch_limit(server, run), monitor.settings.health
        yield from _of_samples(frame, limit, health, silence, recorded=recorded)
    yield from _steps(run)
    yield from latencies
    if not len(frame) or run.served:
        yield from _answers(run, silence)
    yield from _gpus(server, span)


def _of_samples(
    frame: Frame, limit: int | None, health: HealthSettings, silence: float, *, recorded: bool
) -> Iterator[Plot]:
    """Yield the charts of the stats lines; the time per token only where none is recorded."""
    pace = token_paces(
        frame.times.tolist(), listed(frame["generation_tps"]), listed(frame["running"]), silence
    )
    samples = plot_samples(frame.beside("pace", np.array(pace, dtype=np.float64)), silence)
    times = samples.times
    yield Plot(
        "Throughput", "tok/s", "mirror", times,
        (
            samples.curve("generation_tps", "▲ generation", "primary"),
            samples.curve("prompt_tps", "▼ prompt", "secondary"),
        ),
        note="" if samples.highs is None else "pale area: lowest to highest",
    )  # fmt: skip
    yield _requests(samples, limit)
    yield _kv_cache(samples, health)
    if not recorded:
        yield Plot(
            _PER_TOKEN, "ms", "area", times, (samples.curve("pace", "", "note", 1000.0),),
            note="mean, estimated from the log",
        )  # fmt: skip
    if not np.isnan(frame["prefix_cache_hit_rate"]).all():
        good = health.prefix_cache_excellent * 100
        yield Plot(
            "Prefix cache hits", "%", "area", times,
            (samples.curve("prefix_cache_hit_rate", "", "secondary", 100.0),),
            note=f"excellent from {good:.0f}", top=100.0, limit=good,
        )  # fmt: skip


def _kv_cache(samples: PlotSamples, health: HealthSettings) -> Plot:
    low, high = health.kv_cache_low * 100, health.kv_cache_healthy_high * 100
    return Plot(
        "KV cache", "%", "area", samples.times,
        (samples.curve("kv_cache_usage", "", "good", 100.0),),
        note=f"{low:.0f}–{high:.0f} healthy", top=100.0, band=(low, high),
        heat=(
            (0.0, "low"),
            (low, "good"),
            (health.kv_cache_high * 100, "warning"),
            (health.kv_cache_critical * 100, "critical"),
        ),
    )  # fmt: skip


def _requests(samples: PlotSamples, limit: int | None) -> Plot:
    running = samples.curve("running", "running", "primary")
    waiting = samples.curve("waiting", "waiting", "warning")
    peak = running.peak + waiting.peak
    return Plot(
        "Requests", "", "stack", samples.times, (running, waiting),
        note=f"limit {limit:,}" if limit else "",
        limit=limit if limit and limit <= _LIMIT_SHOWN * peak else None,
    )  # fmt: skip


def _answers(run: Run, silence: float) -> Iterator[Plot]:
    """Yield answers per second, good and bad ones, from the access lines."""
    stretches = run.traffic.stretches(-np.inf, np.inf, run.stamps())
    rows: list[tuple[float, float, float]] = []
    before = None
    for stretch in stretches:
        if before is not None and stretch.begin - before > silence:
            rows += [(before + 0.5, np.nan, np.nan)]
        counts = stretch.answered, stretch.refused + stretch.failed
        # Within a stretch the rate is constant, so its points may be far apart.
        steps = min(CELLS, math.ceil((stretch.end - stretch.begin) / silence))
        moments = np.linspace(stretch.begin, stretch.end, max(1, steps) + 1)
        rows += [(moment, *counts) for moment in moments.tolist()]
        before = stretch.end
    if len(rows) < 2:
        return
    columns = np.array(sorted(rows, key=lambda row: row[0])).T
    known = Frame(columns[0], {"answered": columns[1], "failed": columns[2]})
    rates = plot_samples(known, silence)
    yield Plot(
        "Answers", "req/s", "stack", rates.times,
        (
            rates.curve("answered", "ok", "primary"),
            rates.curve("failed", "errors", "critical"),
        ),
    )  # fmt: skip


def _steps(run: Run) -> Iterator[Plot]:
    """Yield the time of a step and its tokens, if the log has iteration details."""
    paces, tokens = (
        step_points(run, metric, -math.inf, math.inf)
        for metric in ("step_time_s", "tokens_per_step")
    )
    if len(paces) < 2:
        return
    times = np.array([time for time, _ in paces])
    columns = {"pace": np.array([s for _, s in paces]), "tokens": np.array([n for _, n in tokens])}
    rows = plot_samples(Frame(times, columns), STEPS_APART)
    note = "iteration details"
    yield Plot(
        "Time of a step", "ms", "area", rows.times, (rows.curve("pace", "", "note", 1000.0),),
        note=note,
    )  # fmt: skip
    limit = run.configuration.max_num_batched_tokens
    peak = max(value for _, value in tokens)
    yield Plot(
        "Tokens a step", "", "area", rows.times, (rows.curve("tokens", "", "secondary"),),
        note=f"limit {limit:,}" if limit else note,
        limit=limit if limit and limit <= _LIMIT_SHOWN * peak else None,
    )  # fmt: skip


def _latencies(server: Server, span: tuple[float, float]) -> Iterator[Plot]:
    """Yield recorded latencies, of all engines together."""
    tables = list(server.recording.latencies.values())
    parts = (("p50", "note"), ("p95", "warning"), ("p99", "critical"))
    for name, title, unit, scale in (
        ("ttft_s", "Time to first token", "s", 1.0),
        ("itl_s", _PER_TOKEN, "ms", 1000.0),
    ):
        known = {part: dict(latency_curve(tables, f"{name}_{part}", span)) for part, _ in parts}
        times = sorted({time for curve in known.values() for time in curve})
        if not times:
            continue
        columns = {
            part: np.array([scale * curve.get(time, np.nan) for time in times])
            for part, curve in known.items()
        }
        rows = plot_samples(Frame(np.array(times), columns), ROWS_APART)
        curves = [rows.curve(part, part, ink) for part, ink in parts if known[part]]
        yield Plot(title, unit, "lines", rows.times, tuple(curves), note="recorded")


def _gpus(server: Server, span: tuple[float, float]) -> Iterator[Plot]:
    """Yield the power of the first GPUs, at the times of the first; figures cover all GPUs."""
    tables = [(gpu, table) for gpu, table in sorted(server.recording.gpus.items()) if len(table)]
    if not tables:
        return
    frames = {gpu: _power(table, span) for gpu, table in tables[: len(_GPU_INKS)]}
    times = next(iter(frames.values())).times
    columns = {str(gpu): _aligned(times, frame) for gpu, frame in frames.items()}
    rows = plot_samples(Frame(times, columns), ROWS_APART)
    curves = tuple(
        rows.curve(gpu, f"GPU {gpu}", ink)
        for (gpu, column), ink in zip(columns.items(), _GPU_INKS, strict=False)
        if not np.isnan(column).all()
    )
    if curves:
        more = len(tables) - len(frames)
        note = f"recorded; {more} more GPUs not shown" if more > 0 else "recorded"
        yield Plot("GPU power", "W", "lines", rows.times, curves, note=note)


def _power(table: Table, span: tuple[float, float]) -> Frame:
    start, stop = table.span(*span)
    power = table.values("power_w", start, stop)
    return Frame(
        np.array(table.times[start:stop], dtype=np.float64),
        {"power_w": np.array(power, dtype=np.float64)},
    )


def _aligned(times: Numbers, frame: Frame) -> Numbers:
    """Return the power at other times: the nearest row of each, NaN if none is near."""
    if not len(frame):
        return np.full(len(times), np.nan)
    after = np.minimum(np.searchsorted(frame.times, times), len(frame) - 1)
    before = np.maximum(after - 1, 0)
    sooner = np.abs(frame.times[before] - times) <= np.abs(frame.times[after] - times)
    nearest = np.where(sooner, before, after)
    near = np.abs(frame.times[nearest] - times) <= ROWS_APART / 2
    return np.where(near, frame["power_w"][nearest], np.nan)
