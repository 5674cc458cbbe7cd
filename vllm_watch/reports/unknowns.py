"""What cannot be told of a run, and why: listed as such, never shown as healthy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vllm_watch.core.dataclass import dataclass

if TYPE_CHECKING:
    from vllm_watch.reports.summary import RunSummary


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that a run's log does not tell."""

    what: str
    why: str


_FLAGS = (
    ("max_num_seqs", "not in the log, so whether the batch limit binds"),
    ("gpu_memory_utilization", "not in the log, so whether the KV cache could have more memory"),
)
"""Flags that judgement needs, and what cannot be told without them."""
_METRICS = (
    ("kv_cache_usage", "KV cache usage", "no stats line has it, so whether memory binds"),
    ("waiting", "waiting requests", "no stats line has them, so whether requests queue"),
    ("prefix_cache_hit_rate", "prefix cache hits", "no stats line has them"),
)


def unknowns_of(summary: RunSummary) -> tuple[Unknown, ...]:
    """Return what is not known of a run that would be asked for, with the reason."""
    return tuple(_unknowns(summary))


def _unknowns(summary: RunSummary) -> Iterator[Unknown]:
    if not summary.recorded.latency:
        why = "no log has them; `vllm-watch record` keeps them beside it"
        yield Unknown("percentiles of latencies", why)
    if summary.times is None and summary.times_unknown and summary.together.samples:
        yield Unknown("mean times of requests", summary.times_unknown)
    if not summary.recorded.gpus:
        yield Unknown("GPU use, power, heat", "no log has them; `vllm-watch record --gpu` does")
    if summary.requests is None:
        yield Unknown("requests answered, and with which status", "access lines are switched off")
    if not summary.together.samples:
        yield Unknown("throughput, queue and KV cache", "the log has no stats line")
        return
    for name, why in _FLAGS:
        if summary.config.get(name) is None:
            yield Unknown(name, why)
    if summary.capacity.get("kv_cache_tokens") is None:
        yield Unknown("context lengths", "the size of the KV cache is not in the log")
    for name, label, why in _METRICS:
        hidden = name == "prefix_cache_hit_rate" and summary.config.get("enable_prefix_caching")
        if summary.together.figures[name] is None and hidden is not False:
            yield Unknown(label, why)
