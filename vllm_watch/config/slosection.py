"""The section of latency targets, which are judged only if latencies are recorded."""

from __future__ import annotations

from vllm_watch.config.kinds import optional_positive
from vllm_watch.core.dataclass import dataclass


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
