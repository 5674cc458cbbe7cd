"""Signals of one stats line and the few before it: pure functions of their values.

Values are those of the metric catalogue by name; ratios 0…1. What the lines do not tell is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Values = Mapping[str, float]

USUAL_LIMITS = frozenset({8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0})
"""Batch limits that vLLM chooses or that users like to set: as many running may be the limit."""


def tokens(values: Values) -> float | None:
    """Return tokens per second of prompts and answers together, None where either is missing."""
    if "prompt_tps" not in values or "generation_tps" not in values:
        return None
    return values["prompt_tps"] + values["generation_tps"]


def prompts_per_token(values: Values) -> float | None:
    """Return prompt tokens per generated token, None where nothing is generated."""
    generated = values.get("generation_tps")
    return values["prompt_tps"] / generated if generated and "prompt_tps" in values else None


def step(name: str, values: Values, before: Values) -> float | None:
    """Return by how much a value differs from that of the line before."""
    return values[name] - before[name] if name in values and name in before else None


def acceptance(newest: Sequence[Values]) -> float | None:
    """Return the share (0…1) of drafted tokens that were accepted over the newest lines.

    Each line counts by what it drafted, all alike where lines do not tell how much that was.
    """
    known = [values for values in newest if "spec_acceptance_rate" in values]
    if not known:
        return None
    weights = [values.get("spec_drafted_tps", 1.0) for values in known]
    if sum(weights) <= 0:
        return None
    pairs = zip(weights, known, strict=True)
    return sum(weight * values["spec_acceptance_rate"] for weight, values in pairs) / sum(weights)


def not_filling(values: Values, before: Values, share: float | None, low: float) -> float | None:
    """Return 1 where fewer requests run than may, although the scheduler could take more.

    That is so below `low` of the batch limit (`share`: running ÷ limit), and where below it the
    number does not move; without a known limit only the latter tells, and a number that may be the
    limit tells nothing.
    """
    running, moved = values.get("running"), step("running", values, before)
    if not running:
        return None
    if share is not None and share < low:
        return 1.0
    full = running in USUAL_LIMITS if share is None else share >= 1.0
    return float(moved == 0 and not full)
