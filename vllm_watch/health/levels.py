"""Levels of rules: names of settings looked up, and tests held against signals."""

from __future__ import annotations

from collections.abc import Mapping

from vllm_watch.config import AdviceSettings, HealthSettings
from vllm_watch.health.rules import Test


def level_of(level: str | float, health: HealthSettings, advice: AdviceSettings) -> float:
    """Return a level as a number: that of a setting where it is a name."""
    if not isinstance(level, str):
        return level
    owner = health if hasattr(health, level) else advice
    return float(getattr(owner, level))


def holds(
    test: Test,
    signals: Mapping[str, float],
    health: HealthSettings,
    advice: AdviceSettings,
    *,
    unknown: bool = False,
) -> bool:
    """Tell whether a test holds for signals; `unknown` is the answer where its signal is not known.

    Raises:
        AttributeError: its level is no setting.
    """
    value = signals.get(test.signal)
    if value is None:
        return unknown
    level = level_of(test.level, health, advice)
    margin = level_of(test.margin, health, advice)
    if test.comparison == "below":
        return value < level - margin
    if test.comparison == "above":
        return value > level + margin
    if test.comparison == "at_most":
        return value <= level - margin
    return value >= level + margin
