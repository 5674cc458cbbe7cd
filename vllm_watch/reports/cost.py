"""The cost of a run: GPUs x hours x price, also per million generated tokens."""

from __future__ import annotations

import math

from vllm_watch.config import CostSettings
from vllm_watch.core.configuration import ServerConfiguration
from vllm_watch.core.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a run, in the currency of the price."""

    gpu_hourly: float
    """Price of one GPU for one hour."""
    gpus: int
    hours: float
    """From the run's first stamp to its newest."""
    total: float
    per_million_tokens: float | None
    """Cost per million generated tokens, None without tokens."""
    idle_share: float | None
    """Share (0…1) of that time without a request running, None without stats lines."""


def gpus_of(known: ServerConfiguration, settings: CostSettings) -> int | None:
    """Return the GPUs of a server: as set, else from its parallel sizes; None if unknown."""
    if settings.gpus is not None:
        return settings.gpus
    sizes = (known.tensor_parallel_size, known.pipeline_parallel_size, known.data_parallel_size)
    sizes_known = [size for size in sizes if size and size > 0]
    return math.prod(sizes_known) if sizes_known else None


def cost_of(
    known: ServerConfiguration,
    seconds: float | None,
    busy_seconds: float | None,
    generated_tokens: float,
    settings: CostSettings,
) -> Cost | None:
    """Return what a run of so many `seconds` cost, with requests running in `busy_seconds`.

    None without a price, a duration or a number of GPUs.
    """
    gpus = gpus_of(known, settings)
    if settings.gpu_hourly is None or gpus is None or not seconds:
        return None
    total = settings.gpu_hourly * gpus * seconds / 3600
    return Cost(
        settings.gpu_hourly,
        gpus,
        seconds / 3600,
        total,
        total / generated_tokens * 1_000_000 if generated_tokens > 0 else None,
        None if busy_seconds is None else max(0.0, 1.0 - busy_seconds / seconds),
    )
