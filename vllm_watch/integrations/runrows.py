"""The content of an archive: one flat row for each run, and its samples as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime

from vllm_watch.core.hints import TYPE_CHECKING, Any
from vllm_watch.core.metrics import COUNTS, METRICS, engine_label
from vllm_watch.core.run import Run
from vllm_watch.core.store import Server
from vllm_watch.reports.configuration import ALWAYS, shown_flags
from vllm_watch.reports.cost import gpus_of
from vllm_watch.reports.reading import Reading, has_vllm_line
from vllm_watch.reports.summary import RunSummary, summary_of

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

TEXTS = ("source", "server", "model", "version", "state", "state_why")
WHOLES = (
    "run", "port", "gpus", "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size",
    "max_num_seqs", "max_model_len", "max_num_batched_tokens", "kv_cache_tokens", "samples",
    "busy_samples", "generated_tokens", "prompt_tokens", "requests", "requests_failed", "errors",
)  # fmt: skip
RECORDED = ("ttft_p50_s", "ttft_p95_s", "itl_p50_s", "itl_p95_s", "gpu_power_w")
"""Recorded values: seconds, and mean watt of a GPU."""
NUMBERS = (
    "gpu_memory_utilization", "max_concurrency", "ready_after_s", "queue_s", "request_s",
    "per_token_s", "generation_tps_per_gpu", "generation_tps_max", "kv_cache_usage_max", "cost",
    "cost_per_million_tokens", *RECORDED, *(metric.name for metric in METRICS),
)  # fmt: skip
FLAGS = ("enforce_eager", "enable_prefix_caching")
WORDS = ("dtype", "quantization")
LISTS = ("findings", "advised_flags")
MOMENTS = ("first", "last")
COLUMNS = (*TEXTS, *WHOLES, *MOMENTS, *FLAGS, *WORDS, *NUMBERS, *LISTS)
"""Columns of a run; metrics are included as means over its busy samples, under their own names."""


def run_rows(reading: Reading) -> list[Row]:
    """Return a row for each run of each server whose log has a line from vLLM."""
    rows = []
    for server in reading.servers:
        if has_vllm_line(server):
            newest = summary_of(reading, server)
            rows += [run_row(run, reading) for run in (*newest.earlier, newest)]
    return rows


def run_row(run: RunSummary, reading: Reading) -> Row:
    """Return one run; None for values that its log lacks."""
    known, flags = run.configuration, shown_flags(run.configuration)
    gpus = gpus_of(known, reading.monitor.settings.cost)
    figure = run.all_engines.figure
    generation = figure("generation_tps", "busy_mean")
    times, cost = run.times, run.cost
    return {
        "source": run.source,
        "server": run.server,
        "model": run.model,
        "version": run.version,
        "state": run.state.name,
        "state_why": run.state.why or None,
        "run": run.run,
        "port": run.port,
        "gpus": gpus,
        "first": _utc(run.first),
        "last": _utc(run.last),
        **{name: _typed(name, flags.get(name)) for name in ALWAYS},
        "kv_cache_tokens": known.kv_cache_tokens,
        "max_concurrency": known.max_concurrency,
        "ready_after_s": run.ready_after,
        "samples": run.all_engines.samples,
        "busy_samples": run.all_engines.busy_samples,
        "generated_tokens": run.all_engines.generated_tokens,
        "prompt_tokens": run.all_engines.prompt_tokens,
        "requests": run.requests,
        "requests_failed": None
        if run.requests is None
        else sum(n for status, n in run.served.items() if status >= "500"),
        "errors": run.errors,
        "queue_s": times.queue if times else None,
        "request_s": times.request if times else None,
        "per_token_s": times.per_token if times else None,
        "generation_tps_per_gpu": generation / gpus if generation and gpus else None,
        "generation_tps_max": figure("generation_tps", "max"),
        "kv_cache_usage_max": figure("kv_cache_usage", "max"),
        **_recorded(run),
        "cost": cost.total if cost else None,
        "cost_per_million_tokens": cost.per_million_tokens if cost else None,
        **{metric.name: figure(metric.name, "busy_mean") for metric in METRICS},
        "findings": list(dict.fromkeys(finding.id for finding in run.findings)),
        "advised_flags": list(dict.fromkeys(f for finding in run.findings for f in finding.flags)),
    }


def _recorded(run: RunSummary) -> Row:
    """Return latencies and power of a run; None for those not recorded."""
    row: Row = {}
    for name in ("ttft", "itl"):
        for part in ("p50", "p95"):
            row[f"{name}_{part}_s"] = run.recorded.percentile(f"{name}_s", part)
    return {**row, "gpu_power_w": run.recorded.mean_gpu("power_w")}


def runs_schema() -> pa.Schema:
    """Return the types of the columns of a run: the same for every log."""
    import pyarrow as pa

    types = {
        **dict.fromkeys((*TEXTS, *WORDS), pa.string()),
        **dict.fromkeys(WHOLES, pa.int64()),
        **dict.fromkeys(MOMENTS, pa.timestamp("us", tz="UTC")),
        **dict.fromkeys(FLAGS, pa.bool_()),
        **dict.fromkeys(NUMBERS, pa.float64()),
        **dict.fromkeys(LISTS, pa.list_(pa.string())),
    }
    return pa.schema([(name, types[name]) for name in COLUMNS])


def sample_tables(server: Server) -> Iterator[tuple[str, pa.Table]]:
    """Yield the samples of a server month by month (`2026-11`, in UTC), in order of time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    tables = [_engine_table(server, run, engine) for run in server.runs for engine in run.engines]
    if not tables:
        return
    whole = pa.concat_tables(tables).sort_by([("time", "ascending"), ("engine", "ascending")])
    months = pc.strftime(whole["time"], format="%Y-%m")
    for month in sorted(set(months.to_pylist())):
        yield month, whole.filter(pc.equal(months, month))


def _engine_table(server: Server, run: Run, engine: int) -> pa.Table:
    import pyarrow as pa

    series = run.series[engine]
    count = len(series)
    columns: dict[str, pa.Array] = {
        "time": pa.array([round(time * 1e6) for time in series.times], pa.int64()).cast(
            pa.timestamp("us", tz="UTC")
        ),
        "server": pa.array([server.name] * count, pa.string()),
        "source": pa.array([server.source] * count, pa.string()),
        "run": pa.array([run.number] * count, pa.int64()),
        "engine": pa.array([str(engine_label(engine))] * count, pa.string()),
    }
    for metric in METRICS:
        values = series.values(metric.name, 0, count)
        if metric.name in COUNTS:
            whole = [None if value is None else round(value) for value in values]
            columns[metric.name] = pa.array(whole, pa.int64())
        else:
            columns[metric.name] = pa.array(values, pa.float64())
    return pa.table(columns)


def _typed(name: str, value: object) -> object:
    """Return a flag in the type of its column, None if it has another type."""
    if name in FLAGS:
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or value is None:
        return None
    if name in WHOLES:
        return value if isinstance(value, int) else None
    if name in NUMBERS:
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
    return str(value)


def _utc(time: float | None) -> datetime | None:
    return None if time is None else datetime.fromtimestamp(time, UTC)
