"""The sections of single commands: what `check` answers, when `compare` sees a difference."""

from __future__ import annotations

from vllm_watch.config.kinds import choice, count, positive, ratio
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import Literal, get_args

CheckCode = Literal["ok", "warning", "critical", "unknown"]


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """[check]: the exit code of `check` for servers that are not working but have no error."""

    stopped: CheckCode = choice("critical", get_args(CheckCode))  # a field
    """A server that was stopped on purpose."""
    ended: CheckCode = choice("critical", get_args(CheckCode))  # a field
    """A server whose log ends in the middle of work: killed from outside, or lost."""
    no_stats: CheckCode = choice("unknown", get_args(CheckCode))  # a field
    """A server that writes no stats lines, because they are disabled."""


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """[compare]: how large a difference between two runs, or their loads, must be."""

    confidence: float = ratio(0.95)
    """Confidence (0 to 1) of the interval of each ratio."""
    least_busy_samples: int = count(10, least=2)
    """Fewest samples with requests running to tell a change from noise."""
    loads_differ: float = positive(2.0)
    """Factor by which concurrency, prompts or answers may differ before there is a warning."""
