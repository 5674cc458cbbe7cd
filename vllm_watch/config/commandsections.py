"""The sections of single commands: what `check` answers, when `compare` sees a difference."""

from __future__ import annotations

from typing import Literal, get_args

from vllm_watch.config.kinds import choice, count, positive, ratio
from vllm_watch.core.dataclass import dataclass

CheckCode = Literal["ok", "warning", "critical", "unknown"]


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """[check]: what `check` answers for servers that do nothing wrong and yet do not work."""

    stopped: CheckCode = choice("critical", get_args(CheckCode))  # a field
    """A server that somebody stopped."""
    ended: CheckCode = choice("critical", get_args(CheckCode))  # a field
    """A server whose log just ends at work: killed from outside, or lost."""
    no_stats: CheckCode = choice("unknown", get_args(CheckCode))  # a field
    """A server that writes no stats lines, because they are disabled."""


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """[compare]: when two runs differ by more than noise, and when their loads do."""

    confidence: float = ratio(0.95)
    """Share (0 to 1) of such intervals that hold the true ratio."""
    least_busy_samples: int = count(10, least=2)
    """Samples with requests running below which nothing is told from noise."""
    loads_differ: float = positive(2.0)
    """Factor by which concurrency, prompts or answers may differ before that is warned of."""
