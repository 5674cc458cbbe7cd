"""Levels of rules: names of settings looked up."""

from __future__ import annotations

from vllm_watch.config import AdviceSettings, HealthSettings


def level_of(level: str | float, health: HealthSettings, advice: AdviceSettings) -> float:
    """Return a level as a number, looking it up if it is the name of a setting."""
    if not isinstance(level, str):
        return level
    owner = health if hasattr(health, level) else advice
    return float(getattr(owner, level))
