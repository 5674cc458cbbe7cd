"""Flags that findings advise: one value for each, and the cost of following them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from vllm_watch.core.dataclass import replace
from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm_watch.health.finding import Finding
    from vllm_watch.health.situation import Advice

DROP = "(drop)"
"""Replaces the value of a flag that should be removed: `--enforce-eager (drop)`."""

_UP: Mapping[str, str] = {  # what a higher value costs
    "max-num-seqs": "each request gets slower when more run in parallel, and the KV cache fills "
    "more",
    "max-num-batched-tokens": "longer steps: more time between the tokens of running requests, "
    "and more memory for activations",
    "gpu-memory-utilization": "no room for anything else on the GPU; close to 1 the server may run "
    "out of memory",
    "max-model-len": "a request may take more of the KV cache",
    "tensor-parallel-size": "GPUs exchange data for every layer",
    "data-parallel-size": "each engine holds all weights, and has a KV cache of its own",
}
_DOWN: Mapping[str, str] = {  # what a lower value costs
    "max-num-seqs": "some requests wait that would otherwise start immediately",
    "max-num-batched-tokens": "prompts take more steps: a longer time to the first token",
    "gpu-memory-utilization": "a smaller KV cache, so fewer requests fit",
    "max-model-len": "longer prompts are refused",
    "tensor-parallel-size": "each GPU holds more of the weights",
}
_ANY: Mapping[str, str] = {  # what any change costs
    "kv-cache-dtype": "some quality: vLLM's test (April 2026) kept 94 to 99 % of the scores; on "
    "Hopper, versions without the fixes of vLLM issue 23813 lost far more in long contexts. "
    "Compare answers first. It may also be slower if memory is not the limit",
    "enforce-eager": "a longer start-up; the graphs take some GPU memory",
    "num-gpu-blocks-override": "the KV cache takes the memory that was left free",
}
_USUAL: Mapping[str, float] = {"gpu-memory-utilization": 0.9, "max-num-batched-tokens": 2048}
"""Defaults of flags that were not given."""


def flag_pair(flag: str) -> tuple[str, str]:
    """Return a flag's name without dashes, and its value or `DROP`."""
    name, _, value = flag.partition(" ")
    return name.removeprefix("--"), value


def costs_of(flags: Iterable[str], facts: Mapping[str, float]) -> tuple[str, ...]:
    """Return the cost of following flags, one sentence for each flag that has one.

    `facts` are the current values: the cost depends on whether a flag goes up or down. For a value
    that is not in the log, vLLM's default is used; without one, the flag counts as lowered.
    """
    costs = (_cost(*flag_pair(flag), facts) for flag in flags)
    return tuple(dict.fromkeys(text for text in costs if text))


def _cost(name: str, value: str, facts: Mapping[str, float]) -> str:
    if name in _ANY:
        return f"--{name}: {_ANY[name]}"
    current = facts.get(name.replace("-", "_"))
    try:
        wanted = float(value)
    except ValueError:
        return ""
    if current is None:
        current = _USUAL.get(name, wanted + 1)
    cost = (_UP if wanted > current else _DOWN).get(name)
    return f"--{name}: {cost}" if cost else ""


def with_advice(finding: Finding, advice: Advice | None, facts: Mapping[str, float]) -> Finding:
    """Return a finding with an advice, if there is one, and what its flags cost."""
    if advice is None:
        return finding
    heading, colon, figures = finding.title.partition(":")
    return replace(
        finding,
        title=(advice.heading or heading) + colon + figures,
        remedy=advice.remedy,
        flags=advice.flags,
        in_turn=advice.in_turn,
        formula=advice.formula,
        expect=advice.expect or finding.expect,
        costs=costs_of(advice.flags, facts),
    )


def without_advice(finding: Finding, remedy: str) -> Finding:
    """Return a finding with a general remedy instead of flags."""
    return replace(finding, remedy=remedy, flags=(), formula="", expect="", costs=())


def one_per_flag(
    found: Iterable[Finding],
    plain: Callable[[Finding], str],
    values: dict[str, str] | None = None,
) -> list[Finding]:
    """Return findings of one server, each flag advised once: by the first that names it.

    A later finding with another value for the flag keeps its general remedy (`plain`) without the
    number. `values` holds the values advised so far, and is updated here.
    """
    values = {} if values is None else values
    kept: list[Finding] = []
    for finding in found:
        pairs = [flag_pair(flag) for flag in finding.flags]
        clash = any(values.get(name, value) != value for name, value in pairs)
        if clash:
            finding = without_advice(finding, plain(finding))
        else:
            values.update(pairs)
        kept.append(finding)
    return kept
