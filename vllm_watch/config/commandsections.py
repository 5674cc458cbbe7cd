"""What `check` answers, when `compare` sees a difference, and which latencies are allowed."""

from __future__ import annotations

from vllm_watch.config.kinds import choice, count, optional_positive, positive, ratio
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import Literal, get_args

CheckCode = Literal["ok", "warning", "critical", "unknown"]


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """[check]: the exit code of `check` for servers that have stopped, ended or write no stats."""

    stopped: CheckCode = choice("critical", get_args(CheckCode))
    """A server that was stopped on purpose."""
    ended: CheckCode = choice("critical", get_args(CheckCode))
    """A server whose log ends in the middle of work: killed from outside, or lost."""
    no_stats: CheckCode = choice("unknown", get_args(CheckCode))
    """A server that writes no stats lines, because they are disabled."""


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """[compare]: how large a difference between two runs, or their loads, must be."""

    confidence: float = ratio(0.95)
    """Confidence (0 to 1) of the interval of each ratio."""
    least_busy_samples: int = count(10, least=2)
    """Fewest samples with requests running to tell a change from noise, or to compare in `runs`."""
    loads_differ: float = positive(2.0)
    """Factor by which concurrency, prompts or answers may differ before there is a warning; in
    `runs`, by which the load of comparable runs may differ."""


@dataclass(frozen=True, slots=True)
class SloSettings:
    """[slo]: highest allowed latencies, in seconds; judged if they are recorded."""

    ttft_p50_seconds: float | None = optional_positive()
    """Median time to the first token, in seconds."""
    ttft_p95_seconds: float | None = optional_positive()
    """Seconds to the first token that 95 % of requests must not exceed."""
    ttft_p99_seconds: float | None = optional_positive()
    """Seconds to the first token that 99 % of requests must not exceed."""
    itl_p50_seconds: float | None = optional_positive()
    """Median time between two tokens of a request, in seconds."""
    itl_p95_seconds: float | None = optional_positive()
    """Seconds between two tokens that 95 % must not exceed."""
    itl_p99_seconds: float | None = optional_positive()
    """Seconds between two tokens that 99 % must not exceed."""
    queue_p50_seconds: float | None = optional_positive()
    """Median time in the queue, in seconds."""
    queue_p95_seconds: float | None = optional_positive()
    """Seconds in the queue that 95 % of requests must not exceed."""
