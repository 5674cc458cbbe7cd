"""Latencies and GPUs of a run in words."""

from __future__ import annotations

from collections.abc import Iterable

from vllm_watch.core.figures import percent, short_time
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.recorded import QUANTILES, Latency
from vllm_watch.core.recordings import bound_of

if TYPE_CHECKING:
    from vllm_watch.reports.recorded import GpuSummary, RecordedSummary

LATENCY_WORDS = {
    "ttft_s": "first token",
    "itl_s": "between tokens",
    "queue_s": "queue",
    "request_s": "request",
}
"""The latencies shown in words; the others are parts of a request."""
GIB = 1 << 30


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
