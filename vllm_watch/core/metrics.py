"""The metric catalogue: one entry per number that a log can hold about an engine.

Export columns, table cells and formats of stats lines take their names, units and rules from here,
and charts refer to metrics by these names. They are the terms of vLLM's log and metrics page.
"""

from __future__ import annotations

from vllm_watch.core.hints import Literal, NamedTuple

Kind = Literal["rate", "count", "ratio", "length"]
Total = Literal["sum", "mean", "highest"]

ALL_ENGINES = -1
"""Engine number of a line that counts for all engines of a server (`2 Engines Aggregated:`)."""


class Metric(NamedTuple):
    """One number of a stats line."""

    name: str
    """Name in records and exports, for example `kv_cache_usage`."""
    label: str
    """What a person calls the metric."""
    unit: str
    """Unit as shown on the screen; ratios are 0…1 inside and per cent only there."""
    kind: Kind
    """The kind of number: it decides type, scale and formatting."""
    total: Total
    """How the values of several engines are combined into the server's value."""
    steps: Literal["mean", "sum"] = "mean"
    """How the samples of a time step are combined; counts since the line before are summed."""


METRICS: tuple[Metric, ...] = (
    Metric("prompt_tps", "prompt throughput", "tok/s", "rate", "sum"),
    Metric("generation_tps", "generation throughput", "tok/s", "rate", "sum"),
    Metric("running", "running requests", "reqs", "count", "sum"),
    Metric("waiting", "waiting requests", "reqs", "count", "sum"),
    Metric("kv_cache_usage", "KV cache usage", "%", "ratio", "mean"),
    Metric("prefix_cache_hit_rate", "prefix cache hit rate", "%", "ratio", "mean"),
    Metric("deferred", "deferred requests", "reqs", "count", "sum"),
    Metric("kv_fetch_waiting", "KV fetches waiting to start", "reqs", "count", "sum"),
    Metric("kv_fetch_in_progress", "KV fetches in progress", "reqs", "count", "sum"),
    Metric("kv_fetch_completed", "KV fetches completed, waiting", "reqs", "count", "sum"),
    Metric("swapped", "swapped requests", "reqs", "count", "sum"),
    Metric("cpu_kv_cache_usage", "CPU swap space usage", "%", "ratio", "mean"),
    Metric("preemptions", "preemptions", "", "count", "sum", "sum"),
    Metric("corrupted", "corrupted requests", "reqs", "count", "sum", "sum"),
    Metric(
        "external_prefix_cache_hit_rate", "external prefix cache hit rate", "%", "ratio", "mean"
    ),
    Metric("mm_cache_hit_rate", "multimodal cache hit rate", "%", "ratio", "mean"),
    Metric("spec_acceptance_rate", "draft acceptance rate", "%", "ratio", "mean"),
    Metric("spec_mean_acceptance_length", "mean acceptance length", "tok", "length", "mean"),
    Metric("spec_accepted_tps", "accepted draft tokens", "tok/s", "rate", "sum"),
    Metric("spec_drafted_tps", "drafted tokens", "tok/s", "rate", "sum"),
    Metric("mfu_tflops", "compute", "TFLOP/s per device", "rate", "mean"),
    Metric("mfu_gbps", "memory traffic", "GB/s per device", "rate", "mean"),
)
"""Every metric, in the order of the exported record."""

METRIC_BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}

COUNTS: frozenset[str] = frozenset(metric.name for metric in METRICS if metric.kind == "count")
"""Names of metrics that are whole numbers."""


def engine_label(engine: int) -> int | str:
    """Return an engine as records name it: its number, `all` for an aggregated line."""
    return "all" if engine == ALL_ENGINES else engine
