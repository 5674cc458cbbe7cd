"""What the server's node writes beside a log: rows of `X.metrics.jsonl` and `X_gpu.csv`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.hints import Literal, TypeAlias

VERSION = 1
"""The version of the rows that this program writes and reads."""

RECORDING = ".metrics.jsonl"
"""Replaces `.log` in the name of a recording."""
GPU_TABLE = "_gpu.csv"
"""Replaces `.log` in the name of a table that `nvidia-smi` writes."""

LATENCIES = ("ttft_s", "itl_s", "queue_s", "prefill_s", "decode_s", "request_s")
"""Latencies of an engine row, in seconds: to the first token, between tokens, in the queue, …"""
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
"""The percentiles of each latency."""
FINISHED = ("stop", "length", "abort", "error", "repetition")
"""Reasons for the end of a request, as vLLM names them."""
LINE_NAMES = frozenset(
    {
        *(f"{name}_{part}" for name in LATENCIES for part in QUANTILES),
        *(f"finished_{reason}" for reason in FINISHED),
    }
)
"""Values of a latency line in the log, as format files name them; seconds, counts."""
THROTTLES = (
    "applications_clocks_setting",
    "sw_power_cap",
    "hw_slowdown",
    "sync_boost",
    "sw_thermal_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "display_clock_setting",
)
"""Reasons for a lowered GPU clock, as `nvidia-smi --query-gpu` names them."""
GPU_VALUES = (
    "utilization", "memory_used", "memory_total", "power_w", "temperature_c", "sm_clock_hz",
)  # fmt: skip
"""Numbers of a GPU row."""
TOTALS = (
    "generated_tokens_total",
    "prompt_tokens_total",
    "cached_prompt_tokens_total",
    "preemptions_total",
    "prefix_queries_total",
    "prefix_hits_total",
)
"""Counters of an engine row, since the start of the server."""


@dataclass(frozen=True, slots=True)
class Latency:
    """The durations measured in one interval, in seconds; None if there were none."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    mean: float | None = None
    count: int = 0
    """Measurements in the interval."""


@dataclass(frozen=True, slots=True)
class EngineRow:
    """One engine as the server's `/metrics` page shows it; None for values that the page lacks."""

    time: float
    """Epoch seconds."""
    engine: int
    running: int | None = None
    waiting: int | None = None
    kv_cache_usage: float | None = None
    """0 … 1."""
    totals: Mapping[str, int] = field(default_factory=dict)
    """Counters since the server's start, by their names in `TOTALS`."""
    finished: Mapping[str, int] = field(default_factory=dict)
    """Finished requests since the server's start, by reason."""
    latencies: Mapping[str, Latency] = field(default_factory=dict)
    """Latencies of the interval before `time`, by their names in `LATENCIES`."""
    preemptions: int | None = None
    """Preemptions in the interval, from a latency line."""
    origin: Literal["page", "line"] = "page"
    """Where it comes from: the metrics page, or a latency line in the log."""


@dataclass(frozen=True, slots=True)
class GpuRow:
    """One GPU at a moment; None for values that were not queried or are not supported."""

    time: float
    """Epoch seconds."""
    gpu: int
    """Its index on the node."""
    name: str | None = None
    uuid: str | None = None
    utilization: float | None = None
    """Share of the time (0 … 1) in which any kernel ran; not how busy the GPU was."""
    memory_used: float | None = None
    """Bytes."""
    memory_total: float | None = None
    """Bytes."""
    power_w: float | None = None
    temperature_c: float | None = None
    sm_clock_hz: float | None = None
    throttle: tuple[str, ...] = ()
    """Why the clock is lowered, in NVML's words; empty if it is not."""
    origin: Literal["nvml", "table"] = "nvml"
    """Where it comes from: NVML, or a table of `nvidia-smi`."""


Recorded: TypeAlias = "EngineRow | GpuRow"


class RowError(ValueError):
    """A row that cannot be read."""


class NewerRowError(RowError):
    """A row of a newer version than this program can read."""


def recording_of(log: str) -> str:
    """Return the path of a log's recording: `X.log` has `X.metrics.jsonl`."""
    return log.removesuffix(".log") + RECORDING


def row_json(row: Recorded) -> dict[str, object]:
    """Return a row as the object of one line of `X.metrics.jsonl`."""
    time = datetime.fromtimestamp(row.time).astimezone().isoformat(timespec="milliseconds")
    head: dict[str, object] = {"v": VERSION, "time": time}
    if isinstance(row, GpuRow):
        values = {name: getattr(row, name) for name in ("name", "uuid", *GPU_VALUES)}
        return head | {"kind": "gpu", "gpu": row.gpu, **values, "throttle": list(row.throttle)}
    return head | {
        "kind": "engine",
        "engine": row.engine,
        "running": row.running,
        "waiting": row.waiting,
        "kv_cache_usage": row.kv_cache_usage,
        **{name: row.totals.get(name) for name in TOTALS},
        "finished": dict(row.finished),
        **{name: _latency_json(row.latencies.get(name)) for name in LATENCIES},
    }


def row_of(found: object) -> Recorded | None:
    """Return the row of an object of `X.metrics.jsonl`, None for an unknown kind.

    Raises:
        NewerRowError: it is of another version than ours.
        RowError: it is not a row.
    """
    if not isinstance(found, Mapping):
        raise RowError("no object")
    version = found.get("v")
    if version != VERSION:
        newer = isinstance(version, int) and not isinstance(version, bool) and version > VERSION
        raise NewerRowError(str(version)) if newer else RowError("no version")
    time = _time(found.get("time"))
    if found.get("kind") == "engine":
        return _engine_row(time, found)
    return _gpu_row(time, found) if found.get("kind") == "gpu" else None


def _engine_row(time: float, found: Mapping[str, object]) -> EngineRow:
    finished = found.get("finished")
    counts = finished if isinstance(finished, Mapping) else {}
    totals = {name: _whole(found.get(name)) for name in TOTALS}
    latencies = {name: _latency(found.get(name)) for name in LATENCIES}
    return EngineRow(
        time,
        _index(found.get("engine")),
        _whole(found.get("running")),
        _whole(found.get("waiting")),
        finite(found.get("kv_cache_usage")),
        {name: value for name, value in totals.items() if value is not None},
        {str(why): n for why, count in counts.items() if (n := _whole(count)) is not None},
        {name: latency for name, latency in latencies.items() if latency is not None},
    )


def _gpu_row(time: float, found: Mapping[str, object]) -> GpuRow:
    throttle = found.get("throttle")
    return GpuRow(
        time,
        _index(found.get("gpu")),
        _text(found.get("name")),
        _text(found.get("uuid")),
        **{name: finite(found.get(name)) for name in GPU_VALUES},  # type: ignore[arg-type]
        throttle=tuple(str(why) for why in throttle) if isinstance(throttle, list) else (),
    )


def _latency(found: object) -> Latency | None:
    if not isinstance(found, Mapping):
        return None
    values = {name: finite(found.get(name)) for name in (*QUANTILES, "mean")}
    return Latency(**values, count=_whole(found.get("count")) or 0)


def _latency_json(latency: Latency | None) -> dict[str, object] | None:
    if latency is None:
        return None
    return {name: getattr(latency, name) for name in Latency.__slots__}


def _time(value: object) -> float:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise RowError("no time") from error
    if moment.tzinfo is None:
        raise RowError("no zone in its time")
    return moment.timestamp()


def _index(value: object) -> int:
    number = _whole(value)
    if number is None or number < 0:
        raise RowError("no number of an engine or a GPU")
    return number


def _whole(value: object) -> int | None:
    number = finite(value)
    return None if number is None else int(number)


def finite(value: object) -> float | None:
    """Return a finite number, else None; programs also write `"inf"`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
