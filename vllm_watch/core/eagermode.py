"""Phases of a start-up with `--enforce-eager`."""

from __future__ import annotations

from vllm_watch.core.dataclass import replace
from vllm_watch.core.records import Event

EAGER_PHASES = {"compiling": "profiling memory", "capturing graphs": "warming up"}
"""Name of a phase to the name of what vLLM really does then with `--enforce-eager`.

Its log says `Enforce eager set, disabling torch.compile and CUDAGraphs`, and then
`init engine (profile, create kv cache, warmup model)`.
"""


def eager(event: Event) -> Event:
    """Return an event of a server in eager mode, its phase replaced by `EAGER_PHASES`."""
    phase = EAGER_PHASES.get(str(event.fields.get("phase")))
    return event if phase is None else replace(event, fields={**event.fields, "phase": phase})
