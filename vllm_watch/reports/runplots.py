"""The charts of a run on a page: those of the screen, from the same samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from vllm_watch.config import HealthSettings
from vllm_watch.core.meantimes import token_paces
from vllm_watch.core.recordings import ROWS_APART, Table, latency_curve
from vllm_watch.core.run import Run
from vllm_watch.core.series import SILENCE_CADENCES
from vllm_watch.core.store import Server
from vllm_watch.reports.frames import Frame, Numbers, run_frame
from vllm_watch.reports.plot import Curve, Plot

MOST_POINTS = 1_200
"""Points of one chart: it has fewer pixels."""
_PER_TOKEN = "Time per token"
_LIMIT_SHOWN = 3.0
"""A limit this many times as high as the samples would flatten them: it is told in words."""

Values = Sequence[float | None]


def plots_of(server: Server, run: Run, health: HealthSettings) -> Iterator[Plot]:
    """Yield the charts of a run in order; none without samples or a recording."""
    silence = SILENCE_CADENCES * run.cadence
    frame = run_frame(run)
    span = server.recorded_span(run)
    latencies = list(_latencies(server, span))
    recorded = any(plot.title == _PER_TOKEN for plot in latencies)
    if len(frame):
        frame = with_gaps(frame, silence)
        yield from _of_samples(frame, run, health, silence, recorded=recorded)
    yield from latencies
    if not len(frame) or run.served:
        yield from _answers(run, silence)
    yield from _gpus(server, span)


def _of_samples(
    frame: Frame, run: Run, health: HealthSettings, silence: float, *, recorded: bool
) -> Iterator[Plot]:
    """Yield the charts of the stats lines; the time per token only where none is recorded."""
    rates, counts = ("generation_tps", "prompt_tps"), ("running", "waiting")
    names = (*rates, *counts, "kv_cache_usage", "prefix_cache_hit_rate")
    pace = token_paces(
        frame.times.tolist(), _listed(frame["generation_tps"]), _listed(frame["running"]), silence
    )
    frame = frame.beside("pace", np.array(pace, dtype=np.float64))
    frame = thinned(frame, (*names, "pace"))
    times = frame.times.tolist()
    value = {name: _listed(frame[name]) for name in names}
    yield Plot(
        "Throughput", "tok/s", "mirror", times,
        (
            Curve("▲ generation", "primary", value["generation_tps"]),
            Curve("▼ prompt", "secondary", value["prompt_tps"]),
        ),
    )  # fmt: skip
    yield _requests(times, value["running"], value["waiting"], run)
    low, high = health.kv_cache_low * 100, health.kv_cache_healthy_high * 100
    yield Plot(
        "KV cache", "%", "area", times,
        (Curve("", "good", _listed(frame["kv_cache_usage"] * 100)),),
        note=f"{low:.0f}–{high:.0f} healthy", top=100.0, band=(low, high),
        heat=(
            (0.0, "low"),
            (low, "good"),
            (health.kv_cache_high * 100, "warning"),
            (health.kv_cache_critical * 100, "critical"),
        ),
    )  # fmt: skip
    if not recorded:
        yield Plot(
            _PER_TOKEN, "ms", "area", times,
            (Curve("", "note", _listed(frame["pace"] * 1000)),), note="mean, about, from the log",
        )  # fmt: skip
    hits = value["prefix_cache_hit_rate"]
    if any(hit is not None for hit in hits):
        good = health.prefix_cache_excellent * 100
        yield Plot(
            "Prefix cache hits", "%", "area", times,
            (Curve("", "secondary", _listed(frame["prefix_cache_hit_rate"] * 100)),),
            note=f"excellent from {good:.0f}", top=100.0, limit=good,
        )  # fmt: skip


def _requests(times: Sequence[float], running: Values, waiting: Values, run: Run) -> Plot:
    most = run.config.get("max_num_seqs")
    limit = float(most * max(1, len(run.engines))) if isinstance(most, int) else None
    peak = max(((r or 0.0) + (w or 0.0) for r, w in zip(running, waiting, strict=True)), default=0)
    return Plot(
        "Requests", "", "stack", times,
        (Curve("running", "primary", running), Curve("waiting", "warning", waiting)),
        note=f"limit {limit:,.0f}" if limit else "",
        limit=limit if limit and limit <= _LIMIT_SHOWN * peak else None,
    )  # fmt: skip


def _answers(run: Run, silence: float) -> Iterator[Plot]:
    """Yield answers per second by whether they were good, as the access lines tell."""
    stretches = run.traffic.stretches(-np.inf, np.inf, run.stamps())
    rows: list[tuple[float, float, float]] = []
    before = None
    for stretch in stretches:
        if before is not None and stretch.begin - before > silence:
            rows += [(before + 0.5, np.nan, np.nan)]
        told = stretch.answered, stretch.refused + stretch.failed
        rows += [(stretch.begin, *told), (stretch.end, *told)]
        before = stretch.end
    if len(rows) < 2:
        return
    columns = np.array(sorted(rows, key=lambda row: row[0])).T
    frame = Frame(columns[0], {"answered": columns[1], "failed": columns[2]})
    frame = thinned(frame, ("answered", "failed"))
    yield Plot(
        "Answers", "req/s", "stack", frame.times.tolist(),
        (
            Curve("ok", "primary", _listed(frame["answered"])),
            Curve("errors", "critical", _listed(frame["failed"])),
        ),
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
        frame = thinned(with_gaps(Frame(np.array(times), columns), ROWS_APART), list(columns))
        curves = [Curve(part, ink, _listed(frame[part])) for part, ink in parts if known[part]]
        yield Plot(title, unit, "lines", frame.times.tolist(), tuple(curves), note="recorded")


def _gpus(server: Server, span: tuple[float, float]) -> Iterator[Plot]:
    """Yield power and memory of the first GPUs; further ones are told in figures."""
    tables = [(gpu, table) for gpu, table in sorted(server.recording.gpus.items()) if len(table)]
    inks = ("primary", "secondary", "note", "warning")
    if not tables:
        return
    first = _table_frame(tables[0][1], ["power_w"], span)
    curves = []
    for (gpu, table), ink in zip(tables, inks, strict=False):
        frame = _table_frame(table, ["power_w"], span)
        if len(frame) == 0 or np.isnan(frame["power_w"]).all():
            continue
        values = first["power_w"] if frame is first else _aligned(first.times, frame, "power_w")
        curves.append(Curve(f"GPU {gpu}", ink, _listed(values)))
    if curves:
        more = len(tables) - len(inks)
        note = f"recorded, {more} more GPUs" if more > 0 else "recorded"
        yield Plot("GPU power", "W", "lines", first.times.tolist(), tuple(curves), note=note)


def _aligned(times: Numbers, frame: Frame, name: str) -> Numbers:
    """Return a column at other times: at each the nearest row, NaN where none is near."""
    if not len(frame):
        return np.full(len(times), np.nan)
    after = np.clip(np.searchsorted(frame.times, times), 1, max(1, len(frame) - 1))
    after = np.minimum(after, len(frame) - 1)
    nearer = np.where(
        np.abs(frame.times[after - 1] - times) <= np.abs(frame.times[after] - times),
        after - 1,
        after,
    )
    near = np.abs(frame.times[nearer] - times) <= ROWS_APART / 2
    return np.where(near, frame[name][nearer], np.nan)


def _table_frame(table: Table, names: list[str], span: tuple[float, float]) -> Frame:
    """Return rows of a recording within a span, broken where none was written."""
    start, stop = table.span(*span)
    columns = {
        name: np.array(table.columns[name][start:stop], dtype=np.float64)
        for name in names
        if name in table.columns
    }
    frame = Frame(np.array(table.times[start:stop], dtype=np.float64), columns)
    return thinned(with_gaps(frame, ROWS_APART), names)


def with_gaps(frame: Frame, silence: float) -> Frame:
    """Return samples with an empty one in each silence, so that no line is drawn across it."""
    after = np.flatnonzero(np.diff(frame.times) > silence) + 1
    columns = {name: np.insert(each, after, np.nan) for name, each in frame.columns.items()}
    return Frame(np.insert(frame.times, after, frame.times[after] - 0.5), columns)


def thinned(frame: Frame, names: Sequence[str], most: int = MOST_POINTS) -> Frame:
    """Return about `most` samples: of each stretch every column's lowest, highest and gaps."""
    count = len(frame)
    if count <= most:
        return frame
    kept = {0, count - 1}
    for stretch in np.array_split(np.arange(count), max(1, most // (2 * len(names)))):
        for name in names:
            part = frame[name][stretch]
            known = np.isfinite(part)
            if known.any():
                kept |= {int(stretch[np.nanargmin(part)]), int(stretch[np.nanargmax(part)])}
        empty = np.all([np.isnan(frame[name][stretch]) for name in names], axis=0)
        kept |= set(stretch[empty].tolist())
    chosen = np.zeros(count, dtype=bool)
    chosen[sorted(kept)] = True
    return frame.where(chosen)


def _listed(values: Numbers) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]
