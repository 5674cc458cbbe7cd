"""The configuration of a server, from its log."""

from __future__ import annotations

from vllm_watch.core.configuration import ServerConfiguration
from vllm_watch.core.patterns import lazy

ALWAYS = (
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "data_parallel_size",
    "max_num_seqs",
    "max_model_len",
    "max_num_batched_tokens",
    "gpu_memory_utilization",
    "enforce_eager",
    "enable_prefix_caching",
    "dtype",
    "quantization",
)
"""Flags in every report, null if the log does not show them; other flags follow if known."""

CAPACITY = ("kv_cache_tokens", "max_concurrency", "for_tokens", "kv_cache_gib")
"""Capacity: KV cache in tokens, requests of `for_tokens` tokens in parallel, KV cache in GiB."""

_IDENTITY = frozenset(
    {"version", "model", "model_tag", "served_model_name", "host", "port", "address"}
)
_OF_ONE_RANK = frozenset({"dp_rank", "world_size"})
_MEASURED = frozenset(
    {
        *("weights_gib", "graphs_gib", "gpu_blocks", "gpu_gib", "num_gpu_blocks", "device_config"),
        "custom_allreduce",
    }
)
"""Values that the engine measured; they are not flags."""
_SECRET = lazy(r"api_key|secret|password|(?:^|_)token$")
HIDDEN = "(hidden)"
"""Shown instead of a secret: reports may be sent to others."""


def shown_flags(known: ServerConfiguration) -> dict[str, object]:
    """Return the flags of a run: those of `ALWAYS` first, then the others."""
    shown = {
        name: _value(name, value)
        for name, value in known.flags().items()
        if name not in _IDENTITY | _OF_ONE_RANK | _MEASURED and name not in CAPACITY
    }
    rest = {name: shown[name] for name in sorted(shown) if name not in ALWAYS}
    return {**{name: shown.get(name) for name in ALWAYS}, **rest}


def shown_capacity(known: ServerConfiguration) -> dict[str, float | int | None]:
    """Return the capacity measured by the engine, null if the log does not show it."""
    return {name: getattr(known, name) for name in CAPACITY}


def _value(name: str, value: object) -> object:
    if _SECRET.search(name):
        return HIDDEN
    return None if value == "None" else value
