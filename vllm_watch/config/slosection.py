"""The section of latency targets: they can be judged only where latencies are recorded."""

from __future__ import annotations

from vllm_watch.config.kinds import optional_positive
from vllm_watch.core.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class SloSettings:
    """[slo]: what latencies should be at most, in seconds; told where they are recorded."""

    ttft_p50_seconds: float | None = optional_positive()
    """Median time to the first token, in seconds."""
    ttft_p95_seconds: float | None = optional_positive()
    """Seconds to the first token that 95 of 100 requests must keep."""
    ttft_p99_seconds: float | None = optional_positive()
    """Seconds to the first token that 99 of 100 requests must keep."""
    itl_p50_seconds: float | None = optional_positive()
    """Median time between two tokens of a request, in seconds."""
    itl_p95_seconds: float | None = optional_positive()
    """Seconds between two tokens that 95 of 100 must keep."""
    itl_p99_seconds: float | None = optional_positive()
    """Seconds between two tokens that 99 of 100 must keep."""
    queue_p50_seconds: float | None = optional_positive()
    """Median time in the queue, in seconds."""
    queue_p95_seconds: float | None = optional_positive()
    """Seconds in the queue that 95 of 100 requests must keep."""
