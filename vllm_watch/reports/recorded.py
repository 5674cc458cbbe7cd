"""Recorded latencies and GPUs of one run, in figures and words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from vllm_watch.core.dataclass import dataclass, field, replace
from vllm_watch.core.figures import percent, short_time
from vllm_watch.core.meantimes import MeanTimes
from vllm_watch.core.percentiles import percentile
from vllm_watch.core.recorded import GPU_VALUES, LATENCIES, QUANTILES, THROTTLES, Latency
from vllm_watch.core.recordings import Table, bound_of, latency_at, mixed
from vllm_watch.core.run import Run
from vllm_watch.core.store import Server

GPU_FIGURES = tuple(name for name in GPU_VALUES if name != "memory_total")
"""Reported values of a GPU: a ratio, bytes, watt, degrees, hertz."""
LATENCY_WORDS = {
    "ttft_s": "first token",
    "itl_s": "between tokens",
    "queue_s": "queue",
    "request_s": "request",
}
"""The latencies shown in words; the others are parts of a request."""
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Spread:
    """One number of a GPU over a run; percentiles are linear."""

    last: float
    mean: float
    p50: float
    p95: float
    max: float


@dataclass(frozen=True, slots=True)
class GpuSummary:
    """One GPU over a run."""

    gpu: int
    name: str | None
    uuid: str | None
    samples: int
    memory_total: float | None
    """Bytes."""
    figures: Mapping[str, Spread | None]
    """By the names of `GPU_FIGURES`; None if no row has it."""
    throttled: Mapping[str, float]
    """Reason to the share of rows (0…1) in which it lowered the clock; only reasons seen."""


@dataclass(frozen=True, slots=True)
class RecordedSummary:
    """The recorded figures of a run."""

    latency: Mapping[str, Latency] = field(default_factory=dict)
    """By the names of `LATENCIES`, in seconds, of all engines; empty without a recording."""
    exact: bool = False
    """Whether they come from a plug-in's lines in the log, not a metrics page's histograms."""
    gpus: tuple[GpuSummary, ...] = ()

    def percentile(self, name: str, part: str) -> float | None:
        """Return a percentile of a latency in seconds, such as `p95`; None if unknown."""
        value: float | None = getattr(self.latency.get(name), part, None)
        return value

    def mean_gpu(self, name: str) -> float | None:
        """Return the mean of one of `GPU_FIGURES` over all GPUs, None if not recorded."""
        means = [spread.mean for gpu in self.gpus if (spread := gpu.figures[name]) is not None]
        return sum(means) / len(means) if means else None


def recorded_summary(server: Server, run: Run) -> RecordedSummary:
    """Return the recorded figures of a run's time."""
    begin, end = server.recorded_span(run)
    recording = server.recording
    gpus = (
        _gpu(number, table, begin, end, recording.names.get(number, (None, None)))
        for number, table in sorted(recording.gpus.items())
    )
    return RecordedSummary(
        _both(
            latencies_between(recording.lines.values(), begin, end),
            latencies_between(recording.engines.values(), begin, end),
        ),
        bool(recording.lines),
        tuple(gpu for gpu in gpus if gpu is not None),
    )


def latencies_between(tables: Iterable[Table], begin: float, end: float) -> dict[str, Latency]:
    """Return the latencies of all intervals that ended in a span, combined, by name."""
    found: dict[str, list[Latency]] = {name: [] for name in LATENCIES}
    for table in tables:
        start, stop = table.span(begin, end)
        for index in range(start, stop):
            for name, latency in latency_at(table, index).items():
                found[name].append(latency)
    by_name = {name: mixed(latencies) for name, latencies in found.items()}
    return {name: latency for name, latency in by_name.items() if latency is not None}


def _both(lines: Mapping[str, Latency], page: Mapping[str, Latency]) -> dict[str, Latency]:
    """Return exact percentiles from a log's lines, with means and counts from the page.

    Lines have no means, and histograms have no exact percentiles.
    """
    found = {**page, **lines}
    for name in lines.keys() & page.keys():
        found[name] = replace(lines[name], mean=page[name].mean, count=page[name].count)
    return found


def recorded_times(recorded: RecordedSummary) -> MeanTimes | None:
    """Return exact mean times of requests from a metrics page, None if not recorded."""
    queue, request = recorded.latency.get("queue_s"), recorded.latency.get("request_s")
    per_token = recorded.latency.get("itl_s")
    if queue is None or request is None or queue.mean is None or request.mean is None:
        return None
    return MeanTimes(
        queue.mean,
        request.mean,
        per_token.mean if per_token is not None else None,
        request.count,
        0,
        source="metrics",
    )


def _gpu(
    number: int,
    table: Table,
    begin: float,
    end: float,
    named: tuple[str | None, str | None],
) -> GpuSummary | None:
    start, stop = table.span(begin, end)
    if start == stop:
        return None
    name, uuid = named
    totals = [value for value in table.values("memory_total", start, stop) if value is not None]
    shares = {
        reason: sum(1.0 for held in table.values(f"throttle_{reason}", start, stop) if held)
        / (stop - start)
        for reason in THROTTLES
    }
    return GpuSummary(
        number,
        name,
        uuid,
        stop - start,
        totals[-1] if totals else None,
        {figure: _spread(table.values(figure, start, stop)) for figure in GPU_FIGURES},
        {reason: share for reason, share in shares.items() if share},
    )


def _spread(values: Sequence[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    ordered = sorted(known)
    return Spread(
        known[-1],
        math.fsum(known) / len(known),
        percentile(ordered, 0.5),
        percentile(ordered, 0.95),
        ordered[-1],
    )


def latency_words(recorded: RecordedSummary) -> str:
    """Return percentiles of the latencies, and their source; nothing if there are none."""
    parts = [
        f"{label} {percentile_words(recorded.latency[name])}"
        for name, label in LATENCY_WORDS.items()
        if name in recorded.latency
    ]
    if not parts:
        return ""
    source = "by the plug-in's lines" if recorded.exact else "recorded"
    return f"{' · '.join(parts)} ({source})"


def gpu_words(gpu: GpuSummary) -> str:
    """Return the figures of a GPU: power first, which shows load better than utilisation."""
    figures = gpu.figures
    parts = [f"GPU {gpu.gpu}" + (f" {gpu.name}" if gpu.name else "")]
    power, used, ran = figures["power_w"], figures["memory_used"], figures["utilization"]
    if power is not None:
        parts.append(f"{power.mean:.0f} W (at most {power.max:.0f})")
    if used is not None:
        total = f" of {gpu.memory_total / GIB:.0f}" if gpu.memory_total else ""
        parts.append(f"{used.max / GIB:.0f}{total} GiB")
    if ran is not None:
        parts.append(f"{percent(ran.mean)} utilised")
    if (heat := figures["temperature_c"]) is not None:
        parts.append(f"at most {heat.max:.0f} °C")
    parts += [f"{why} {percent(share)} of the time" for why, share in gpu.throttled.items()]
    return ", ".join(parts)


def percentile_words(latency: Latency, names: Iterable[str] = QUANTILES) -> str:
    """Return percentiles of a latency, each at most as large as its mean allows.

    If none of them is known, the mean.
    """
    parts = []
    for name in names:
        value, most = getattr(latency, name), bound_of(latency, name)
        if value is not None:
            over = most is not None and most < value
            parts.append(f"{name} {'≤ ' if over else ''}{short_time(most if over else value)}")
    return " ".join(parts) if parts else f"mean {short_time(latency.mean)}"
