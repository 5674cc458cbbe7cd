"""What is unknown about a run, and why: listed as unknown, never shown as healthy."""

from __future__ import annotations

from collections.abc import Iterator

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm_watch.reports.summary import RunSummary


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that is missing from a run's log."""

    what: str
    why: str


_METRICS = (
    ("kv_cache_usage", "KV cache usage", "not in the stats lines; memory is not judged"),
    ("waiting", "waiting requests", "not in the stats lines; the queue is not judged"),
    ("prefix_cache_hit_rate", "prefix cache hits", "not in the stats lines"),
)


_NO_ACCESS_LINES = "the log has no access lines"


def unknowns_of(summary: RunSummary) -> tuple[Unknown, ...]:
    """Return what is unknown about a run, with the reason."""
    return tuple(_unknowns(summary))


def _unknowns(summary: RunSummary) -> Iterator[Unknown]:
    if not summary.recorded.latency:
        why = "vLLM does not log them; `vllm-watch record` adds them"
        yield Unknown("percentiles of latencies", why)
    if summary.times is None and summary.times_unknown and summary.all_engines.samples:
        why = _NO_ACCESS_LINES if summary.requests is None else summary.times_unknown
        yield Unknown("mean times of requests", why)
    if not summary.recorded.gpus:
        why = "vLLM does not log them; `vllm-watch record --gpu` adds them"
        yield Unknown("GPU utilization, power, temperature", why)
    if summary.requests is None:
        yield Unknown("requests answered, and with which status", _NO_ACCESS_LINES)
    if not summary.all_engines.samples:
        yield Unknown("throughput, queue and KV cache", "the log has no stats line")
        return
    if summary.batch_limit is None:
        yield Unknown("max_num_seqs", "not in the log; the batch limit is not judged")
    if summary.configuration.gpu_memory_utilization is None:
        why = "not in the log; so there is no advice to raise it"
        yield Unknown("gpu_memory_utilization", why)
    if summary.configuration.kv_cache_tokens is None:
        yield Unknown("context lengths", "the size of the KV cache is not in the log")
    for name, label, why in _METRICS:
        hidden = name == "prefix_cache_hit_rate" and summary.configuration.enable_prefix_caching
        if summary.all_engines.figures[name] is None and hidden is not False:
            yield Unknown(label, why)
