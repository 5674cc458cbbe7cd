"""Advice if memory is the limit: a larger KV cache, or less use of it.

Each function gives one piece of advice for a situation, or None if the log lacks its input. A
number is never guessed, and never below what has already run.
"""

from __future__ import annotations

import math

from vllm_watch.core.dataclass import replace
from vllm_watch.core.patterns import lazy
from vllm_watch.health.flags import DROP
from vllm_watch.health.situation import Advice, Situation

_SMALLER_MODEL = "quantise the model, spread it over more GPUs, or take a larger GPU"
_CARD = lazy(r"total capacity of ([\d.]{1,12}) GiB")
"""The size of a GPU in torch's out-of-memory error."""


def free_cache(at: Situation) -> Advice | None:
    """Advise how requests get more KV cache; the advice with the least cost comes first.

    First `--num-gpu-blocks-override` is dropped, then more GPU memory is used; after that come a
    smaller batch or smaller cache entries.
    """
    return drop_override(at) or more_memory(at) or _smaller_or_denser(at)


def drop_override(at: Situation) -> Advice | None:
    """Advise removing a `--num-gpu-blocks-override` that made the cache smaller."""
    times = at.facts.get("kv_override")
    if times is None or times <= at.settings.health.kv_override_factor:
        return None
    fit, left = at.facts["num_gpu_blocks"], at.facts["num_gpu_blocks_override"]
    factor = f"{times:,.0f}" if times >= 10 else f"{times:.1f}"
    return Advice(
        "drop --num-gpu-blocks-override",
        (f"--num-gpu-blocks-override {DROP}",),
        f"{fit:,.0f} blocks that fit ÷ {left:,.0f} allowed = {factor}",
        f"{factor} times the KV cache, so {factor} times as many concurrent requests",
    )


def _smaller_or_denser(at: Situation) -> Advice | None:
    """Advise a smaller batch or, as an alternative, a KV cache of 8 bits; only what helps."""
    smaller, denser = smaller_batch(at), _denser_cache(at)
    if smaller is None or denser is None:
        return smaller or denser
    return replace(
        smaller,
        remedy=f"{smaller.remedy}, or {denser.remedy}",
        flags=(*smaller.flags, *denser.flags),
        expect=f"{smaller.expect}; or, with the same batch, {denser.expect}",
        in_turn=True,
    )


def _denser_cache(at: Situation) -> Advice | None:
    """Advise a KV cache of 8 bits on a CUDA device, if the log shows that it has 16.

    Twice as much fits: vLLM's documentation says so, and measured 1.15 (its blog of April 2026) to
    1.49 times (pull request 2279) the throughput where memory was the limit. None for models with
    multi-head latent attention: their cache is small already, and answers became wrong (issue
    38652).
    """
    latent = at.facts.get("latent_attention")
    if at.facts.get("kv_cache_fp8") != 0 or not at.facts.get("cuda") or latent:
        return None
    flag = "--kv-cache-dtype fp8"
    return Advice(
        flag,
        (flag,),
        "8 bits instead of 16 for each number",
        "twice the KV cache; where memory was short, vLLM measured 1.15 to 1.49 times the tokens "
        "per second",
    )


def more_memory(at: Situation) -> Advice | None:
    """Advise giving the server the GPU's whole memory if it has less.

    If the log has the sizes of GPU and cache, the text says how much the cache grows; else a lower
    bound.
    """
    given, low = at.facts.get("gpu_memory_utilization"), at.settings.advice.gpu_memory_low
    if given is None or given >= low:
        return None
    card, cache = at.facts.get("gpu_gib"), at.facts.get("kv_cache_gib")
    if card and cache:
        larger = cache + (low - given) * card
        grows = f"from {cache:.1f} to {larger:.1f} GiB ({larger / cache:.1f} times as large)"
        formula = (
            f"{cache:.1f} GiB now + ({low:.2f} − {given:.2f}) × {card:.1f} GiB of the GPU "
            f"= {larger:.1f} GiB"
        )
    else:
        grows = f"more than {low / given:.1f} times" if given > 0 else "by all of it"
        formula = f"more than {low:.2f} ÷ {given:.2f} times: the weights do not grow"
    return Advice(
        f"--gpu-memory-utilization {given:.2f} → {low:.2f}",
        (f"--gpu-memory-utilization {low:.2f}",),
        formula,
        f"the KV cache grows {grows}; {at.settings.advice.gpu_memory_high:.2f} is a usual maximum",
    )


def smaller_batch(at: Situation) -> Advice | None:
    """Advise the smaller of half the batch limit and the capacity that samples show."""
    advice = at.settings.advice
    limit, seen, now = at.facts.get("max_num_seqs"), at.seen_capacity(), at.now()
    if seen is None or now is None:
        return None
    half = None if limit is None else limit * advice.reduce_share
    number = _rounded(min(seen, half) if half is not None else seen, at)
    ran = math.floor(at.ran_freely() or 0)
    if limit is not None and (seen >= limit or ran >= limit):
        return None
    running, usage = now
    level = percent(advice.seen_capacity_kv)
    shown = f"{level} × {running:.0f} running ÷ {usage * 100:.1f} %"
    halved = f"half of {limit:.0f} = {half:.0f}; " if limit is not None else ""
    smaller = f"; the smaller one → {number}" if halved else f" → {number}"
    if ran > number:
        number, smaller = ran, f"; but {ran} already ran without a queue → {ran}"
    return Advice(
        f"--max-num-seqs {f'{limit:.0f} → ' if limit is not None else ''}{number}",
        (f"--max-num-seqs {number}",),
        f"{halved}{shown} = {seen:.1f}{smaller}",
        f"KV cache at about {percent(min(1.0, advice.seen_capacity_kv * number / seen))}; "
        "requests wait instead of being preempted",
    )


def weights_too_large(at: Situation) -> Advice | None:
    """Advise a smaller model or more GPUs if the weights alone fill the card."""
    loaded, card = _weights_gib(at), _card_gib(at)
    share = loaded / card if loaded and card else 0.0
    if share < at.settings.advice.weights_share:
        return None
    sizes = f"{loaded:.1f} of {card:.1f} GiB"
    return Advice(_SMALLER_MODEL, formula=f"the weights take {sizes} = {percent(share)}")


def _full_while_loading(at: Situation) -> Advice | None:
    """Advise the same if memory ran out before the weights were loaded."""
    phases = [phase for kept in at.run.events if (phase := kept.event.fields.get("phase"))]
    if _weights_gib(at) is not None or phases[-1:] != ["loading weights"]:
        return None
    return Advice(_SMALLER_MODEL, formula="memory ran out while the weights were loaded")


def _weights_gib(at: Situation) -> float | None:
    """Return the size of the weights, by the loading line; of several the largest."""
    sizes = (kept.event.fields.get("weights_gib") for kept in at.run.events)
    return max((size for size in sizes if isinstance(size, float)), default=None)


def _card_gib(at: Situation) -> float | None:
    """Return the memory of one GPU in GiB, from the start-up or torch's error."""
    total = at.facts.get("gpu_gib") or at.cause_figures.get("total_gib")
    if total:
        return total
    texts = (text for m in at.run.events for text in (m.event.text, *m.lines))
    found = (match for text in texts if (match := _CARD.search(text)))
    return max((float(match.group(1)) for match in found), default=None)


def out_of_memory(at: Situation) -> Advice | None:
    """Advise after the GPU ran out of memory, in the guide's order (presets guide)."""
    too_large = weights_too_large(at) or _full_while_loading(at)
    if too_large is not None:
        return too_large
    advice, flags = at.settings.advice, []
    limit = at.facts.get("max_num_seqs")
    if limit is not None:
        number = max(1, math.floor(limit * advice.reduce_share))
        flags.append(f"--max-num-seqs {number}")
    if at.facts.get("gpu_memory_utilization", 1.0) > advice.out_of_memory_gpu_memory:
        flags.append(f"--gpu-memory-utilization {advice.out_of_memory_gpu_memory:.2f}")
    if at.facts.get("max_num_batched_tokens", math.inf) > advice.out_of_memory_batched_tokens:
        flags.append(f"--max-num-batched-tokens {advice.out_of_memory_batched_tokens}")
    if not flags:
        return None
    first = "halving max_num_seqs would come first, but the log does not have its value"
    halved = f"half of {limit:.0f}" if limit is not None else first
    rest = "each flag frees more; if all are" if flags[1:] else "if it is"
    also = f"; if not enough, also {', then '.join(flags[1:])}" if flags[1:] else ""
    return Advice(
        flags[0] + also,
        tuple(flags),
        halved,
        f"lower peak memory; {rest} not enough, quantise the model",
        in_turn=True,
    )


def _rounded(number: float, at: Situation) -> int:
    """Round an advised number down: to a multiple of 8, below 16 to a whole number."""
    advice = at.settings.advice
    whole = max(1, math.floor(number))
    if whole < advice.reduce_whole_below:
        return whole
    return whole // advice.reduce_multiple * advice.reduce_multiple


def percent(ratio: float) -> str:
    """Return a ratio in per cent, with a decimal if it is small."""
    number = ratio * 100
    return f"{number:.0f} %" if number >= 10 or number == round(number) else f"{number:.1f} %"
