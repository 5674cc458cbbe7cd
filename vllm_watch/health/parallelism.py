"""Advice about parallelism: how many GPUs share a model, and the preset that fits its size."""

from __future__ import annotations

from vllm_watch.beside.presets import preset_words
from vllm_watch.health.situation import Advice, Situation


def data_parallel(at: Situation) -> Advice | None:
    """Advise data parallelism instead of tensor parallelism for a small model."""
    tensor, billions = at.facts.get("tensor_parallel_size"), at.facts.get("model_billions")
    if tensor is None or billions is None:
        return None
    gpus = _gpus(at)
    return Advice(
        f"--tensor-parallel-size 1 --data-parallel-size {gpus}",
        ("--tensor-parallel-size 1", f"--data-parallel-size {gpus}"),
        f"{billions:g}B is under {at.settings.advice.tensor_parallel_1_below:g}B: one GPU holds it",
        "each GPU works by itself, nothing is exchanged for every layer; "
        f"{preset_words(billions, gpus)}",
    )


def over_pcie(at: Situation) -> Advice | None:
    """Advise as much data parallelism as a model's size allows if GPUs have no fast link.

    Without flags: the model's size alone does not show whether fewer GPUs can hold it.
    """
    billions = at.facts.get("model_billions")
    if billions is None:
        return None
    return Advice(
        "as much data parallelism as the model's size allows",
        expect=f"less exchange between GPUs for each layer; {preset_words(billions, _gpus(at))}",
    )


def _gpus(at: Situation) -> int:
    sizes = (at.facts.get(f"{kind}_parallel_size", 1.0) for kind in ("tensor", "data"))
    tensor, data = sizes
    return max(1, int(tensor * data))
