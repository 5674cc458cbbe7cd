"""Phases of a start-up with `--enforce-eager`."""

from __future__ import annotations

from vllm_watch.core.dataclass import replace
from vllm_watch.core.records import Event

EAGER_PHASES = {"compiling": "profiling memory", "capturing graphs": "warming up"}
"""Phases by the line before them, and the phases that follow with `--enforce-eager`.

vLLM says so itself: `Enforce eager set, disabling torch.compile and CUDAGraphs`. What it then does
is `init engine (profile, create kv cache, warmup model)`.
"""


def eager(event: Event) -> Event:
    """Return an event of an eager server with the phase that follows there."""
    phase = EAGER_PHASES.get(str(event.fields.get("phase")))
    return event if phase is None else replace(event, fields={**event.fields, "phase": phase})
