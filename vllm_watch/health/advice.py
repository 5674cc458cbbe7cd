"""What to change, with the number computed from the server's own figures (HEALTH §1, §2, §5, §6).

Each function gives one piece of advice for a situation, or None where the log does not tell what
it takes: a number is never guessed. Which one a rule asks for is data (`advice` in rules.toml).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Protocol, TypeVar

from vllm_watch.config import Settings
from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.core.run import Run
from vllm_watch.health.calculators import batch_estimate, power_of_two, recommended_batch
from vllm_watch.health.longcontext import context_per_request, thousands
from vllm_watch.health.prefill import kv_growth

_RECENT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Advice:
    """What to change."""

    remedy: str
    """In one short line, the number first."""
    flags: tuple[str, ...] = ()
    """Complete words of vLLM's command line."""
    formula: str = ""
    expect: str = ""


@dataclass(frozen=True, slots=True)
class Situation:
    """A server at a moment, and what is known of it."""

    run: Run
    engine: int | None
    """The engine that is spoken of, None: the whole server."""
    time: float
    settings: Settings
    facts: Mapping[str, float]

    @property
    def engines(self) -> float:
        """Engines behind one line: the sum of all for an aggregated one."""
        return self.facts.get("data_parallel_size", 1.0) if self.engine == ALL_ENGINES else 1.0

    def recent(self) -> list[tuple[float, float]]:
        """Return running requests and KV usage of each busy sample of the last minute.

        Of the engine that is spoken of, for a whole server of the one that has most running;
        of one engine each where a line is of several.
        """
        return max((self._recent_of(e) for e in self._numbers()), key=_busiest, default=[])

    def now(self) -> tuple[float, float] | None:
        """Return the medians of running requests and KV usage (0…1) of the last minute."""
        recent = self.recent()
        if not recent:
            return None
        return median(r for r, _ in recent), median(u for _, u in recent)

    def seen_capacity(self) -> float | None:
        """Return the requests that fill the cache to 80 %, by the last minute (HEALTH §1)."""
        level = self.settings.advice.seen_capacity_kv
        return median(level * r / u for r, u in self.recent()) if self.recent() else None

    def _numbers(self) -> list[int]:
        return self.run.engines if self.engine is None else [self.engine]

    def _recent_of(self, engine: int) -> list[tuple[float, float]]:
        series = self.run.series.get(engine)
        index = None if series is None else series.index_at(self.time)
        if series is None or index is None:
            return []
        start, end = series.span(series.times[index] - _RECENT_SECONDS + 1, series.times[index])
        pairs = zip(
            series.values("running", start, end),
            series.values("kv_cache_usage", start, end),
            strict=True,
        )
        return [(r / self.engines, u) for r, u in pairs if r and u]


def _busiest(recent: list[tuple[float, float]]) -> float:
    return max((running for running, _ in recent), default=0.0)


def raise_batch(at: Situation) -> Advice | None:
    """Advise a larger batch: the limit binds while memory is free [PRESETS].

    Running × 60 % ÷ KV usage, the largest power of two that does not exceed it; none while the
    contexts of the running requests still grow, or before three minutes have told whether they do.
    """
    limit, now, advice = at.facts.get("max_num_seqs"), at.now(), at.settings.advice
    if limit is None or now is None:
        return None
    growth = kv_growth(at.run, at.time, advice.kv_growth_seconds)
    minutes = f"{advice.kv_growth_seconds / 60:.0f} min"
    if growth is None:
        return Advice(f"wait {minutes}: it must be seen whether contexts grow")
    if growth >= advice.kv_growth_limit:
        return Advice(
            "no larger batch: contexts still grow",
            formula=f"KV cache per running request rose by {growth:.0%} in {minutes}",
            expect="growing contexts would fill the cache; a larger batch would fill it sooner",
        )
    running, usage = now
    target = _percent(advice.batch_target_kv)
    whole = batch_estimate(running, usage, advice.batch_target_kv)
    number = power_of_two(whole)
    if number <= limit:
        return None
    return Advice(
        f"--max-num-seqs {limit:.0f} → {number}",
        (f"--max-num-seqs {number}",),
        f"{running:.0f} running × {target} ÷ {usage * 100:.1f} % = {whole}"
        f" → {number}, the largest power of two",
        f"KV cache would go from {_percent(usage)} to about "
        f"{_percent(usage * number / running)}, with as many more requests at once",
    )


def free_cache(at: Situation) -> Advice | None:
    """Advise more memory for the KV cache, then a smaller batch (HEALTH §1, §2)."""
    return more_memory(at) or smaller_batch(at)


def more_memory(at: Situation) -> Advice | None:
    """Advise to give the server the GPU's memory where the log shows that it has less."""
    given, low = at.facts.get("gpu_memory_utilization"), at.settings.advice.gpu_memory_low
    if given is None or given >= low:
        return None
    times = f", more than {low / given:.1f}×" if given > 0 else ""
    return Advice(
        f"--gpu-memory-utilization {given:.2f} → {low:.2f}",
        (f"--gpu-memory-utilization {low:.2f}",),
        f"{low:.2f} ÷ {given:.2f}{times}: the weights take their part of it only once",
        f"the KV cache grows{times}; up to {at.settings.advice.gpu_memory_high:.2f} is usual",
    )


def smaller_batch(at: Situation) -> Advice | None:
    """Advise the smaller of half the batch limit and the capacity that samples show."""
    advice = at.settings.advice
    limit, seen, now = at.facts.get("max_num_seqs"), at.seen_capacity(), at.now()
    if seen is None or now is None:
        return None
    half = None if limit is None else limit * advice.reduce_share
    number = _rounded(min(seen, half) if half is not None else seen, at)
    if limit is not None and seen >= limit:
        return None
    running, usage = now
    level = _percent(advice.seen_capacity_kv)
    shown = f"{level} × {running:.0f} running ÷ {usage * 100:.1f} %"
    halved = f"half of {limit:.0f} = {half:.0f}; " if limit is not None else ""
    multiple = f" → {number}" if number != round(min(seen, half or seen)) else ""
    return Advice(
        f"--max-num-seqs {f'{limit:.0f} → ' if limit is not None else ''}{number}",
        (f"--max-num-seqs {number}",),
        f"{halved}{shown} = {seen:.1f}{'; the smaller' if halved else ''}{multiple}",
        f"KV cache at about {_percent(advice.seen_capacity_kv * number / seen)}; "
        "requests wait instead of being put back",
    )


def fewer_than_start(at: Situation) -> Advice | None:
    """Advise on more requests at once than fit at full length (HEALTH §5).

    The start-up's own capacity gives no number: 90 % of it would be right only if all requests
    were of full length. Samples replace it.
    """
    whole = at.facts.get("max_concurrency")
    memory = more_memory(at)
    if memory is not None or whole is None:
        return memory
    if at.seen_capacity() is not None:
        return _what_fits(at)
    fit = whole * at.facts.get("data_parallel_size", 1.0)
    share = at.settings.advice.capacity_share
    return Advice(
        "wait for samples: only they show what fits",
        formula=f"{_percent(share)} of {fit:.1f} = {recommended_batch(fit, share)} at full length",
        expect="if all requests use the full context, more than these wait or are put back",
    )


def _what_fits(at: Situation) -> Advice | None:
    """Advise the capacity that samples show, but never less than what runs without waiting."""
    limit, seen, now = at.facts.get("max_num_seqs"), at.seen_capacity(), at.now()
    if limit is None or seen is None or now is None:
        return None
    number = math.floor(max(seen, *(running for running, _ in at.recent())))
    if number >= limit:
        return None
    running, usage = now
    level = _percent(at.settings.advice.seen_capacity_kv)
    return Advice(
        f"--max-num-seqs {limit:.0f} → {number}",
        (f"--max-num-seqs {number}",),
        f"{level} × {running:.0f} running ÷ {usage * 100:.1f} % = {seen:.1f} → {number}",
        f"KV cache at {level} at most; what comes beyond waits instead of being put back",
    )


def data_parallel(at: Situation) -> Advice | None:
    """Advise data parallelism instead of tensor parallelism for a small model [PERF, PRESETS]."""
    tensor, billions = at.facts.get("tensor_parallel_size"), at.facts.get("model_billions")
    if tensor is None or billions is None:
        return None
    engines = int(tensor * at.facts.get("data_parallel_size", 1.0))
    return Advice(
        f"--tensor-parallel-size 1 --data-parallel-size {engines}",
        ("--tensor-parallel-size 1", f"--data-parallel-size {engines}"),
        f"{billions:g}B is under {at.settings.advice.tensor_parallel_1_below:g}B: one GPU holds it",
        "each GPU works by itself, nothing is exchanged for every layer",
    )


def batched_tokens(at: Situation) -> Advice | None:
    """Advise larger steps for prompt-heavy work [PERF]: 8192, for long contexts 16384."""
    given, advice = at.facts.get("max_num_batched_tokens"), at.settings.advice
    if given is None:
        return None
    now = at.now()
    context = context_per_request(now[1], at.facts.get("context_tokens"), now[0]) if now else None
    long = context is not None and context >= advice.long_context
    number = advice.batched_tokens_long if long else advice.batched_tokens_advised
    why = f"contexts of about {thousands(context)} tokens" if context is not None else "contexts"
    return Advice(
        f"--max-num-batched-tokens {given:.0f} → {number}",
        (f"--max-num-batched-tokens {number}",),
        f"{why}: {'long' if long else 'not long'}, from {advice.long_context:,} on they are"
        if context is not None
        else "",
        "prompts are taken in with fewer steps; each step is longer for those that generate",
    )


def out_of_memory(at: Situation) -> Advice | None:
    """Advise after the GPU ran out of memory, in the guide's order [PRESETS]."""
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
    halved = f"half of {limit:.0f}" if limit is not None else "max_num_seqs is not in the log"
    return Advice(
        ", then ".join(flags[:2]),
        tuple(flags),
        f"{halved}; then the next flag, one after the other; quantise if that is not enough",
        "less memory at once; each step leaves more to spare",
    )


ADVICE: Mapping[str, Callable[[Situation], Advice | None]] = {
    "raise-batch": raise_batch,
    "free-cache": free_cache,
    "fewer-than-start": fewer_than_start,
    "data-parallel": data_parallel,
    "batched-tokens": batched_tokens,
    "out-of-memory": out_of_memory,
}
"""What rules may ask for, by name."""


class Advised(Protocol):
    """Whatever advises flags (a finding)."""

    @property
    def flags(self) -> tuple[str, ...]:
        """Complete words of a command line."""
        ...


_Finding = TypeVar("_Finding", bound=Advised)


def one_per_flag(found: Iterable[_Finding], plain: Callable[[_Finding], str]) -> list[_Finding]:
    """Return findings of one server, each flag advised once: by the first that names it.

    A later one that names another value for it keeps its word (`plain`) and loses the number.
    """
    values: dict[str, str] = {}
    kept: list[_Finding] = []
    for finding in found:
        pairs = [flag.partition(" ")[::2] for flag in finding.flags]
        clash = any(values.get(name, value) != value for name, value in pairs)
        if clash:
            finding = replace(  # type: ignore[type-var]
                finding, flags=(), formula="", expect="", remedy=plain(finding)
            )
        else:
            values.update(pairs)
        kept.append(finding)
    return kept


def _rounded(number: float, at: Situation) -> int:
    """Return an advised smaller number: a multiple of 8, below 16 a whole one (HEALTH §1)."""
    advice = at.settings.advice
    whole = max(1, math.floor(number))
    if whole < advice.reduce_whole_below:
        return whole
    return whole // advice.reduce_multiple * advice.reduce_multiple


def _percent(ratio: float) -> str:
    number = ratio * 100
    return f"{number:.0f} %" if number >= 10 or number == round(number) else f"{number:.1f} %"
