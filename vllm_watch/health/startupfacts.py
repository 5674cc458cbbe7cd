"""Facts from the start-up lines, as numbers that rules compare."""

from __future__ import annotations

from vllm_watch.core.configuration import ServerConfiguration
from vllm_watch.core.patterns import lazy

_SIZE = lazy(r"(?<![A-Za-z0-9.])(?:(\d{1,3})x)?(\d{1,4}(?:\.\d{1,3})?)[bB](?![A-Za-z0-9])")
"""Parameters in a model's name: `-7B`, `-1.7B`, `8x7B`; not `A3B`, the active part."""
_VISION = lazy(r"(?<![a-z])(?:vl|vlm|vision|llava|pixtral|internvl)(?![a-z])")
"""Words, in small letters, in names of models that take images."""
_LATENT = lazy(
    r"(?<![a-z])(?:deepseek[-_]?(?:v[2-9]|r1)|kimi[-_]?k2|glm[-_]?(?:4\.7[-_]?flash|5)|longcat)"
)
"""Names, in small letters, of models with latent attention; distilled models do not have it."""
SAME_SHARE = 0.05
"""Cache sizes this close are the same: concurrency is written with two digits."""
_NUMBERS = (
    "max_model_len",
    "max_num_batched_tokens",
    "gpu_memory_utilization",
    "tensor_parallel_size",
    "data_parallel_size",
    "kv_cache_tokens",
    "max_concurrency",
    "num_gpu_blocks",
    "num_gpu_blocks_override",
    "gpu_gib",
    "kv_cache_gib",
)


def startup_facts(
    known: ServerConfiguration, model: str | None, given_limit: int | None = None
) -> dict[str, float]:
    """Return the known facts about a server as numbers; unknown ones are left out.

    The name of the `model` shows its size and whether it takes images. `given_limit` is
    `max_num_seqs` as the user gave it, used if the log does not have it.
    """
    names = f"{model or ''} {known.model or ''}".lower()
    device, dtype = known.device_config, known.kv_cache_dtype
    stated: dict[str, float | None] = {
        **{name: getattr(known, name) for name in _NUMBERS},
        "max_num_seqs": known.batch_limit(given_limit),
        "context_tokens": context_tokens(known),
        "eager": known.enforce_eager,
        "prefix_caching": known.enable_prefix_caching,
        "kv_cache_fp8": None if dtype is None else "fp8" in dtype,
        "cuda": None if device is None else device.startswith("cuda"),
        "cpu": None if device is None else device.startswith("cpu"),
        "custom_allreduce_off": known.custom_allreduce is not None,
        "latent_attention": _LATENT.search(names) is not None and "distill" not in names,
        "vision_language": _VISION.search(model.lower()) is not None if model else None,
        "model_billions": model_billions(model or ""),
    }
    facts = {name: float(value) for name, value in stated.items() if value is not None}
    if facts.get("num_gpu_blocks") and facts.get("num_gpu_blocks_override"):
        facts["kv_override"] = facts["num_gpu_blocks"] / facts["num_gpu_blocks_override"]
    if "max_num_seqs" in facts and facts.get("max_concurrency", 0.0) > 0:
        # Both apply to each engine: every data-parallel rank has its own scheduler.
        facts["over_capacity"] = facts["max_num_seqs"] / facts["max_concurrency"]
    return facts


def context_tokens(known: ServerConfiguration) -> float | None:
    """Return how many tokens of context one engine's KV cache holds.

    Usually the cache's size in tokens. A hybrid model keeps little of most layers, so its cache
    holds more: "1.74x for 256,000 tokens per request" is 445,440 tokens, whatever the size says.
    None if the log has neither.
    """
    size, requests, each = known.kv_cache_tokens, known.max_concurrency, known.for_tokens
    if requests is None or each is None:
        return size
    held = requests * each
    return size if size is not None and abs(held - size) <= SAME_SHARE * size else held


def model_billions(name: str) -> float | None:
    """Return a model's billions of parameters from its name, None if the name has none.

    The largest of several numbers counts: `Qwen3-30B-A3B` is 30, `Mixtral-8x7B` is 56 (really 47:
    its experts share a part), `my-finetune-v2` gives none.
    """
    sizes = [float(times or 1) * float(size) for times, size in _SIZE.findall(name)]
    return max(sizes, default=None)
