"""What to change, with the number computed from the server's own figures.

Each function gives one piece of advice for a situation, or None if the log lacks the input: a
number is never guessed. A rule names its function by `advice` in rules.toml.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from vllm_watch.core.evidence import STATS_DISABLED, why_no_stats
from vllm_watch.core.figures import counted
from vllm_watch.health.answeradvice import answers
from vllm_watch.health.calculators import batch_estimate, power_of_two, recommended_batch
from vllm_watch.health.deathadvice import FAILURE_ADVICE
from vllm_watch.health.flags import DROP
from vllm_watch.health.memoryadvice import (
    drop_override,
    free_cache,
    more_memory,
    out_of_memory,
    percent,
)
from vllm_watch.health.situation import Advice, Situation, kv_growth
from vllm_watch.health.slowdown import context_per_request, thousands
from vllm_watch.serverside.presets import preset_words

_LESS = 0.02
"""Share (0…1) of a GPU's memory to release: some 1.6 GiB of 80."""
_LEAST = 0.5
"""Below this share (0…1), something other than vLLM fills the GPU."""


def raise_batch(at: Situation) -> Advice | None:
    """Advise a larger batch: the limit binds while memory is free (presets guide).

    Running × 60 % ÷ KV usage, the largest power of two that does not exceed it. No advice while the
    contexts of the running requests still grow, or in the first three minutes, when growth is
    unknown.
    """
    limit, now, advice = at.facts.get("max_num_seqs"), at.now(), at.settings.advice
    if limit is None or now is None:
        return None
    growth = kv_growth(at.run, at.time, advice.kv_growth_seconds)
    minutes = f"{advice.kv_growth_seconds / 60:.0f} min"
    if growth is None and at.over:
        return Advice("try a larger batch limit: the run was too short to show growth")
    if growth is None:
        return Advice(f"wait {minutes} to see whether contexts grow")
    if growth >= advice.kv_growth_limit:
        return Advice(
            "no larger batch yet: contexts still grow",
            formula=f"KV cache per running request rose by {growth:.0%} in {minutes}",
            expect="growing contexts fill the cache, and a larger batch fills it sooner",
        )
    running, usage = now
    target = percent(advice.batch_target_kv)
    whole = batch_estimate(running, usage, advice.batch_target_kv)
    number = power_of_two(whole)
    fullest = at.fullest(limit / 2)
    if fullest is not None:
        fits = advice.seen_capacity_kv * fullest[0] / fullest[1]
        number = min(number, power_of_two(math.floor(fits))) if fits >= 1 else number
    if number <= limit < whole and fullest is not None:
        most, share = counted(round(fullest[0]), "request"), percent(fullest[1])
        formula = f"{most} once filled {share} of the KV cache"
        return Advice("no larger batch: earlier contexts were longer", formula=formula)
    if number <= limit:
        return None
    return Advice(
        f"--max-num-seqs {limit:.0f} → {number}",
        (f"--max-num-seqs {number}",),
        f"{running:.0f} running × {target} ÷ {usage * 100:.1f} % = {whole}"
        f" → {number}, the largest power of two",
        f"KV cache would go from {percent(usage)} to about "
        f"{percent(usage * number / running)}, with {number} requests in parallel",
    )


def reached_limit(at: Situation) -> Advice | None:
    """Name the batch limit if it holds up a queue while the KV cache is neither free nor full.

    No number: `raise_batch` is for free memory, and here only a somewhat larger batch would fit.
    """
    limit, now, health = at.facts.get("max_num_seqs"), at.now(), at.settings.health
    if limit is None or now is None:
        return None
    running, usage = now
    between = health.kv_cache_low <= usage <= health.kv_cache_high
    if not between or running < health.at_limit_share * limit:
        return None
    return Advice(
        f"the batch limit is reached: {running:.0f} of {limit:.0f} run; a somewhat larger batch "
        "fits, for much more add a replica",
        formula=f"{limit:.0f} requests use {percent(usage)} of the KV cache, which may be "
        f"{percent(health.kv_cache_high)} full: about {limit * health.kv_cache_high / usage:.0f} "
        "fit",
    )


def fewer_than_start(at: Situation) -> Advice | None:
    """Advise if more requests are allowed in parallel than fit at full length.

    The capacity in the start-up lines gives no number: 90 % of it would be right only if all
    requests were of full length. The number comes from samples.
    """
    whole = at.facts.get("max_concurrency")
    memory = drop_override(at) or more_memory(at)
    if memory is not None or whole is None:
        return memory
    if at.seen_capacity() is not None:
        return _what_fits(at)
    share = at.settings.advice.capacity_share
    number = recommended_batch(whole, share)
    return Advice(
        f"if requests use the full context, let only {number} run at once"
        if at.over
        else "nothing to change yet: how many fit depends on the length of the first requests",
        formula=f"{percent(share)} of {whole:.2f} = {share * whole:.1f} → {number} at full length",
        expect="if all use the full context, requests beyond this number may be preempted",
    )


def _what_fits(at: Situation) -> Advice | None:
    """Advise the capacity that samples show, but at least the number that ran without a queue."""
    limit, seen, now = at.facts.get("max_num_seqs"), at.seen_capacity(), at.now()
    if limit is None or seen is None or now is None:
        return None
    ran = at.ran_freely() or 0.0
    number = math.floor(max(seen, ran, *(running for running, _ in at.recent())))
    if number >= limit:
        return None
    running, usage = now
    known = f"; but {number} already ran at once → {number}" if number > seen else f" → {number}"
    level = percent(at.settings.advice.seen_capacity_kv)
    if number > limit * (1 - at.settings.advice.least_change):
        return Advice(
            f"nothing to change now: {seen:.1f} requests of this length fit "
            f"at a KV cache usage of {level}"
        )
    return Advice(
        f"--max-num-seqs {limit:.0f} → {number}",
        (f"--max-num-seqs {number}",),
        f"with contexts of this length: {level} × {running:.0f} running ÷ {usage * 100:.1f} % "
        f"= {seen:.1f}{known}",
        f"KV cache at {level} at most; more requests wait instead of being preempted",
    )


def batched_tokens(at: Situation) -> Advice | None:
    """Advise larger steps for prompt-heavy work: 8192, for long contexts 16384.

    Source: performance guide.
    """
    given, advice = at.facts.get("max_num_batched_tokens"), at.settings.advice
    if given is None:
        return None
    now = at.now()
    context = context_per_request(now[1], at.facts.get("context_tokens"), now[0]) if now else None
    long = context is not None and context >= advice.long_context
    number = advice.batched_tokens_long if long else advice.batched_tokens_advised
    limit = f"{advice.long_context:,} or more" if long else f"under {advice.long_context:,}"
    why = f"contexts are {'long' if long else 'not long'}: {limit} tokens"
    why += f" (about {thousands(context)})" if context is not None else ""
    if given >= number:  # already that many, yet too few: advise more, whatever the contexts
        number, why = advice.batched_tokens_long, f"{given:,.0f} tokens a step are too few"
        if given >= number:
            return None
    return Advice(
        f"--max-num-batched-tokens {given:.0f} → {number}",
        (f"--max-num-batched-tokens {number}",),
        why if context is not None else "",
        "prefill takes fewer steps; each step is longer for requests that generate",
    )


def double_budget(at: Situation) -> Advice | None:
    """Advise twice the tokens of a step if steps are full."""
    given = at.facts.get("max_num_batched_tokens")
    if given is None:
        return None
    flag = f"--max-num-batched-tokens {2 * given:.0f}"
    return Advice(
        f"--max-num-batched-tokens {given:.0f} → {2 * given:.0f}, unless the time between tokens "
        "matters more",
        (flag,),
        f"2 × {given:,.0f}",
        "prefill takes fewer steps; each step is longer for requests that generate",
    )


def prefix_caching(at: Situation) -> Advice | None:
    """Advise to switch prefix caching on."""
    if at.facts.get("prefix_caching") != 0:
        return None
    flag = "--enable-prefix-caching"
    return Advice(
        f"{flag}, unless prompts have nothing in common",
        (flag,),
        expect="shared prefixes are computed only once; the hit rate then shows what share of "
        "the prompt tokens that saves",
    )


def graphs(at: Situation) -> Advice | None:
    """Advise to run with CUDA graphs again (performance guide), but not on a CPU."""
    if not at.facts.get("eager"):
        return None
    if at.facts.get("cpu"):
        return Advice(
            "nothing to change: a CPU has no CUDA graphs",
            expect="without the flag vLLM only compiles the model: no gain is known",
        )
    expect = "on a GPU 1.4 to 2 times the tokens per second"  # the log does not name the device
    if "cuda" in at.facts:
        other = "on CUDA 1.4 to 2 times the tokens per second; on this device unknown: measure"
        expect = "" if at.facts["cuda"] else other
    return Advice("drop --enforce-eager unless you debug", (f"--enforce-eager {DROP}",), "", expect)


def room(at: Situation) -> Advice | None:
    """Advise against more requests if the present number filled the cache later in the run."""
    now, later = at.now(), at.fills_later()
    if now is None or later is None or later < at.settings.health.kv_cache_low:
        return None
    formula = f"later in this run about as many requests filled {percent(later)} of the cache"
    remedy = "do not send more requests in parallel: contexts grew later in this run"
    expect = "the cache keeps room for contexts that grow"
    return Advice(remedy, formula=formula, expect=expect, heading="Room only at first")


def data_parallel(at: Situation) -> Advice | None:
    """Advise data parallelism instead of tensor parallelism for a small model."""
    tensor, billions = at.facts.get("tensor_parallel_size"), at.facts.get("model_billions")
    if tensor is None or billions is None:
        return None
    gpus = _gpus(at)
    return Advice(
        f"--tensor-parallel-size 1 --data-parallel-size {gpus}",
        ("--tensor-parallel-size 1", f"--data-parallel-size {gpus}"),
        f"{billions:g}B parameters, fewer than {at.settings.advice.tensor_parallel_1_below:g}B: "
        "the model fits on one GPU",
        "each GPU works by itself, without exchanging data for every layer; "
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
        "use as much data parallelism as the model's size allows",
        expect=f"less exchange between GPUs for each layer; {preset_words(billions, _gpus(at))}",
    )


def _gpus(at: Situation) -> int:
    sizes = (at.facts.get(f"{kind}_parallel_size", 1.0) for kind in ("tensor", "data"))
    tensor, data = sizes
    return max(1, int(tensor * data))


def less_gpu_memory(at: Situation) -> Advice | None:
    """Advise less of a GPU's memory if it is nearly full; None if that is not known."""
    now = at.facts.get("gpu_memory_utilization")
    if now is None or now - _LESS < _LEAST:
        return None
    flag = f"--gpu-memory-utilization {now - _LESS:.2f}"
    return Advice(
        f"{flag}, or end other work on this GPU",
        (flag,),
        f"{now:.2f} − {_LESS:.2f}: keeps memory free for peaks",
        "a little less KV cache, but memory for the next peak",
    )


def stats_lines(at: Situation) -> Advice:
    """Advise the flag that brings stats lines back, depending on why there are none."""
    causes = {why_no_stats(kept.event) for kept in at.run.events}
    if STATS_DISABLED in causes:
        flag = f"--disable-log-stats {DROP}"
        return Advice("drop --disable-log-stats to get stats lines", (flag,))
    flag = "--api-server-count 1"
    return Advice(f"{flag} to get stats lines, or record the server's /metrics", (flag,))


ADVICE: Mapping[str, Callable[[Situation], Advice | None]] = {
    "raise-batch": raise_batch,
    "reached-limit": reached_limit,
    "answers": answers,
    "free-cache": free_cache,
    "fewer-than-start": fewer_than_start,
    "data-parallel": data_parallel,
    "over-pcie": over_pcie,
    "batched-tokens": batched_tokens,
    "out-of-memory": out_of_memory,
    "drop-override": drop_override,
    "double-budget": double_budget,
    "prefix-caching": prefix_caching,
    "graphs": graphs,
    "room": room,
    "less-gpu-memory": less_gpu_memory,
    "stats-lines": stats_lines,
    **FAILURE_ADVICE,
}
"""Advice functions that rules and states can name."""
