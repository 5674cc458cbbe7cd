"""Exact latencies of one interval, and the log line with them."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence

from vllm_watch.core.percentiles import percentile

MOST_VALUES = 500_000
"""Most measurements kept of an interval; beyond that every second one is dropped, repeatedly."""
ALWAYS_REPORTED = ("stop", "length", "abort")
"""Reasons for the end of a request that are reported also if they are 0."""


class Measured:
    """Seconds of one kind; all of them, or an even thinning of very many."""

    __slots__ = ("_stride", "_turn", "values")

    def __init__(self) -> None:
        self.values: array[float] = array("d")
        self._stride = 1
        self._turn = 0

    def add(self, seconds: Sequence[float]) -> None:
        """Add measurements."""
        if self._stride == 1:
            self.values.extend(seconds)
        else:
            first = -self._turn % self._stride
            self.values.extend(seconds[first :: self._stride])
            self._turn += len(seconds)
        while len(self.values) > MOST_VALUES:
            self.values = self.values[::2]
            self._stride *= 2
            self._turn = 0

    def percentiles(self, shares: Iterable[float]) -> list[float] | None:
        """Return linear percentiles in seconds, None without measurements."""
        if not self.values:
            return None
        ordered = _sorted(self.values)
        return [float(percentile(ordered, share)) for share in shares]


class Interval:
    """The activity of one engine since its line before."""

    def __init__(self) -> None:
        self.ttft = Measured()
        self.itl = Measured()
        self.queue = Measured()
        self.request = Measured()
        self.finished: Counter[str] = Counter()
        self.preemptions = 0

    def add(self, stats: object) -> None:
        """Add the stats of one iteration: vLLM's `IterationStats` of any version.

        Values that a version lacks are skipped.
        """
        self.ttft.add(getattr(stats, "time_to_first_tokens_iter", None) or ())
        self.itl.add(getattr(stats, "inter_token_latencies_iter", None) or ())
        self.preemptions += getattr(stats, "num_preempted_reqs", 0) or 0
        for request in getattr(stats, "finished_requests", None) or ():
            self.finished[str(getattr(request, "finish_reason", "unknown"))] += 1
            self.request.add((float(request.e2e_latency),))
            queued = getattr(request, "queued_time", None)
            if queued is not None:
                self.queue.add((float(queued),))

    def text(self, engine: int) -> str | None:
        """Return the line of the interval, None if nothing happened."""
        parts = [
            _quantiles("TTFT", self.ttft, (0.5, 0.95, 0.99)),
            _quantiles("ITL", self.itl, (0.5, 0.95, 0.99), scale=1000, form=".1f", unit="ms"),
            _quantiles("queue", self.queue, (0.5, 0.95)),
            _quantiles("request", self.request, (0.5, 0.95)),
        ]
        if not any(parts) and not self.preemptions:
            return None
        reasons = [*ALWAYS_REPORTED, *sorted(self.finished.keys() - set(ALWAYS_REPORTED))]
        ended = ", ".join(f"{self.finished[reason]} {reason}" for reason in reasons)
        texts = [part for part in parts if part]
        texts += [f"finished: {ended}", f"preemptions: {self.preemptions}"]
        return f"Engine {engine:03d}: Latency: {', '.join(texts)}"


def _quantiles(
    label: str,
    measured: Measured,
    shares: Sequence[float],
    *,
    scale: int = 1,
    form: str = ".3f",
    unit: str = "s",
) -> str:
    """Return percentiles in words, nothing without measurements."""
    found = measured.percentiles(shares)
    if found is None:
        return ""
    known = zip(shares, found, strict=True)
    parts = (f"p{share * 100:.0f} {value * scale:{form}} {unit}" for share, value in known)
    return f"{label} {' '.join(parts)}"


def _sorted(values: array[float]) -> Sequence[float]:
    """Return values in order; numpy, which vLLM brings, sorts very many ten times as fast."""
    if len(values) < 2_000:
        return sorted(values)
    try:
        import numpy as np
    except ImportError:
        return sorted(values)
    ordered: Sequence[float] = np.sort(np.frombuffer(values))  # type: ignore[assignment]
    return ordered
