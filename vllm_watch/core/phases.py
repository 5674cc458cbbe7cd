"""Progress of a start-up: its phases in their usual order, and the bar of the current one."""

from __future__ import annotations

from vllm_watch.core.dataclass import replace
from vllm_watch.core.records import Event
from vllm_watch.core.states import ServerState

PHASES = (
    "waiting for GPUs in Ray",
    "loading weights",
    "compiling",
    "preparing the KV cache",
    "profiling memory",
    "capturing graphs",
    "warming up",
    "starting the HTTP server",
)
"""Phases of a start-up in their usual order; a server goes through some of them."""


def with_progress(state: ServerState, bar: Event) -> ServerState:
    """Return a starting state that says how far its phase is: `loading weights 3/4`."""
    if bar.fields.get("phase") != state.why:
        return state
    return replace(state, why=f"{state.why} {bar.fields.get('done')}/{bar.fields.get('total')}")


def startup_share(state: ServerState, bar: Event | None) -> float | None:
    """Return the progress of a start-up (0…1), from its phase and the bar of that phase.

    None if it is over, or in an unknown phase.
    """
    if state.name != "starting":
        return None
    phase = next((name for name in PHASES if state.why.startswith(name)), "")
    if phase and bar is not None and phase != state.why:
        done, total = bar.fields.get("done"), bar.fields.get("total")
        share = done / total if isinstance(done, int) and isinstance(total, int) and total else 0.0
        return (PHASES.index(phase) + share) / (len(PHASES) + 1)
    if state.why not in PHASES:
        return None if state.why else 0.05
    return (PHASES.index(state.why) + 1) / (len(PHASES) + 1)
