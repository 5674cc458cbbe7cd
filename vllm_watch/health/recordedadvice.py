"""Advice for findings from recordings."""

from __future__ import annotations

from vllm_watch.health.situation import Advice, Situation

_LESS = 0.02
"""Share (0…1) of a GPU's memory to release: some 1.6 GiB of 80."""
_LEAST = 0.5
"""Below this, the memory is not used by vLLM."""


def less_gpu_memory(at: Situation) -> Advice | None:
    """Advise less of a GPU's memory if it is nearly full; None if that is not known."""
    now = at.facts.get("gpu_memory_utilization")
    if now is None or now - _LESS < _LEAST:
        return None
    flag = f"--gpu-memory-utilization {now - _LESS:.2f}"
    return Advice(
        f"{flag}, or end other work on this GPU",
        (flag,),
        f"{now:.2f} − {_LESS:.2f}: room for unplanned memory",
        "a little less KV cache; no out of memory at the next peak",
    )


def one_api_server(_: Situation) -> Advice:
    """Advise a single API server, which writes stats lines."""
    flag = "--api-server-count 1"
    return Advice(f"nothing; {flag} brings the log's own stats lines back", (flag,))
