"""Signals of one stats line and the few before it: pure functions of their values.

Values are those of the metric catalogue by name; ratios 0…1. A missing value is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Values = Mapping[str, float]

USUAL_LIMITS = frozenset({8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0})
"""Batch limits that vLLM chooses or users often set; so many running may be the limit."""


def tokens(values: Values) -> float | None:
    """Return tokens per second of prompts and answers together, None where either is missing."""
    if "prompt_tps" not in values or "generation_tps" not in values:
        return None
    return values["prompt_tps"] + values["generation_tps"]


def prompts_per_token(values: Values) -> float | None:
    """Return prompt tokens per generated token, None where nothing is generated."""
    generated = values.get("generation_tps")
    return values["prompt_tps"] / generated if generated and "prompt_tps" in values else None


def step(now: float | None, before: float | None) -> float | None:
    """Return the difference of a value to the line before."""
    return None if now is None or before is None else now - before


def acceptance(newest: Iterable[tuple[float, float]]) -> float | None:
    """Return the share (0…1) of drafted tokens accepted over some lines, None without drafts.

    Each line (its share, its drafted tokens) is weighted by its drafted tokens.
    """
    accepted = drafted = 0.0
    for share, weight in newest:
        drafted += weight
        accepted += weight * share
    return accepted / drafted if drafted > 0 else None


def not_filling(
    running: float | None, moved: float | None, share: float | None, low: float
) -> float | None:
    """Return 1 where fewer requests run than may, although the scheduler could take more.

    That is so below `low` of the batch limit (`share`: running ÷ limit), or below the limit if the
    number does not move. Without a known limit only a number that does not move counts, unless it
    may itself be the limit.
    """
    if not running:
        return None
    if share is not None and share < low:
        return 1.0
    full = running in USUAL_LIMITS if share is None else share >= 1.0
    return float(moved == 0 and not full)
