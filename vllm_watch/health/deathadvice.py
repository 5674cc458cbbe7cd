"""Advice after a death, with vLLM's own numbers if its error has them.

Each function gives one piece of advice, or None if the log lacks its input. Each cause of death
names its function (`advices` in rules.toml).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from vllm_watch.core.dataclass import replace
from vllm_watch.core.figures import counted
from vllm_watch.core.reasons import errors_until, has_error
from vllm_watch.core.startup import ready_at
from vllm_watch.health.memoryadvice import drop_override, more_memory, weights_too_large
from vllm_watch.health.situation import Advice, Situation


def shorter_context(at: Situation) -> Advice | None:
    """Advise the longest context that fits, as vLLM's error names it."""
    fits, asked = at.cause_figures.get("fits_len"), at.cause_figures.get("asked_len")
    if not fits:
        return None
    more = _raised(at) or more_memory(at)
    flag, override = f"--max-model-len {fits:.0f}", drop_override(at)
    if override is not None:
        return replace(
            override,
            remedy=f"{override.remedy}, or set {flag}",
            flags=(*override.flags, flag),
            in_turn=True,
            expect="the server starts, and all free memory is used for the cache",
        )
    enough = _enough(at, fits)
    if more is not None and enough is not False:
        whole = "more" if asked is None else f"all {asked:,.0f} tokens"
        keep = f", or keep {whole} with" if enough else "; more fits with"
        remedy, flags = f"{flag}{keep} {more.remedy}", (flag, *more.flags)
    else:
        remedy, flags = flag, (flag,)
    return Advice(
        remedy,
        flags,
        "" if asked is None else f"asked for {asked:,.0f} tokens; vLLM says that {fits:,.0f} fit",
        "the server starts; longer prompts are refused",
        in_turn=len(flags) > 1,
    )


def _enough(at: Situation, fits: float) -> bool | None:
    """Return whether the usual share of the GPU holds the whole context; None if unknown.

    The cache grows with the share, and what fits grows with the cache.
    """
    if at.cause_figures.get("raise_to"):
        return True  # vLLM says so
    asked, needed = at.cause_figures.get("asked_len"), at.cause_figures.get("needed_gib")
    card, given = at.facts.get("gpu_gib"), at.facts.get("gpu_memory_utilization")
    if not asked or not needed or card is None or given is None:
        return None
    more = (at.settings.advice.gpu_memory_low - given) * card
    return needed * fits / asked + more >= needed


def model_length(at: Situation) -> Advice | None:
    """Advise the longest context that the model supports."""
    most = at.cause_figures.get("most_len")
    if not most:
        return None
    return Advice(
        f"--max-model-len {most:.0f}, or leave the flag out: both give the model's own limit",
        (f"--max-model-len {most:.0f}",),
        "the longest that the model's config.json allows",
    )


def more_cache(at: Situation) -> Advice | None:
    """Advise more memory if none is left for the KV cache."""
    return _raised(at) or weights_too_large(at) or more_memory(at)


def free_memory(at: Situation) -> Advice | None:
    """Advise a share of the GPU's memory that leaves room for the other processes on it."""
    free, total = at.cause_figures.get("free_gib"), at.cause_figures.get("total_gib")
    if not total or free is None:
        return None
    share = math.floor(free / total * 100) / 100
    free_it = "end the other processes on the GPU (nvidia-smi names them)"
    formula = f"{free:.2f} GiB free ÷ {total:.2f} GiB = {share:.2f}"
    if share < at.settings.advice.weights_share / 2:
        return Advice(free_it, formula=f"{formula}: less than half of the card")
    flag = f"--gpu-memory-utilization {share:.2f}"
    return Advice(
        f"{flag}, or {free_it}", (flag,), formula, "the server starts, with a smaller KV cache"
    )


def fewer_gpus(at: Situation) -> Advice | None:
    """Advise no more GPUs than exist."""
    gpus = at.cause_figures.get("gpus")
    if not gpus:
        return None
    return Advice(
        f"use at most {counted(int(gpus), 'GPU')} (tensor × pipeline parallel size): "
        "there are no more here; or use more nodes, with Ray as the executor",
    )


def dividing(at: Situation) -> Advice | None:
    """Advise the largest smaller tensor parallel size that divides the heads."""
    heads, tensor = at.cause_figures.get("heads"), at.cause_figures.get("tensor")
    if not heads or not tensor:
        return None
    fits = next((n for n in range(int(tensor), 0, -1) if int(heads) % n == 0), 1)
    return Advice(
        f"--tensor-parallel-size {fits}",
        (f"--tensor-parallel-size {fits}",),
        f"{heads:.0f} attention heads ÷ {fits}",
    )


def failed_link(at: Situation) -> Advice | None:
    """Advise after an NCCL error of a server that had worked: its GPUs were visible and free."""
    ready = ready_at(at.run)
    if ready is None or ready > at.time:
        return None
    return Advice(
        "look in the kernel's log (dmesg) for Xid errors, check the links between the GPUs, "
        "restart; NCCL_DEBUG=INFO names the rank that fails"
    )


def without_error(at: Situation) -> Advice | None:
    """Advise how to see where an engine hangs, if the log has no error that says it."""
    if has_error(errors_until(at.run.placed(), at.time)):
        return None
    return Advice(
        "see where it hangs (py-spy dump shows the stacks of its processes), then restart with "
        "VLLM_LOGGING_LEVEL=DEBUG (the log has no error)"
    )


def _raised(at: Situation) -> Advice | None:
    """Advise the memory that vLLM's error asks for."""
    raised = at.cause_figures.get("raise_to")
    if not raised:
        return None
    flag = f"--gpu-memory-utilization {raised:g}"
    return Advice(flag, (flag,), "vLLM's own number", "the KV cache fits")


FAILURE_ADVICE: Mapping[str, Callable[[Situation], Advice | None]] = {
    "shorter-context": shorter_context,
    "model-length": model_length,
    "more-cache": more_cache,
    "free-memory": free_memory,
    "fewer-gpus": fewer_gpus,
    "dividing": dividing,
    "failed-link": failed_link,
    "without-error": without_error,
}
"""Advice functions that causes of death can name."""
