"""The server's own figures, from its `/metrics` page by prometheus-client alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

HISTOGRAMS = {
    "ttft_s": "vllm:time_to_first_token_seconds",
    "itl_s": "vllm:inter_token_latency_seconds",
    "queue_s": "vllm:request_queue_time_seconds",
    "request_s": "vllm:e2e_request_latency_seconds",
}
"""Our names of latencies, and the page's."""
LOCAL = "vllm:prompt_tokens_by_source_total"


@dataclass(slots=True)
class Distribution:
    """A histogram: upper bound to the measurements up to there, their number and their sum."""

    buckets: dict[float, float] = field(default_factory=dict)
    count: float = 0.0
    total: float = 0.0

    def mean(self) -> float:
        """Return the mean in seconds."""
        return self.total / self.count

    def ranks(self, seconds: float) -> tuple[float, float]:
        """Return the least and the largest share that is shorter: the two ends of a bucket."""
        shorter = [count for bound, count in self.buckets.items() if bound <= seconds]
        reached = [count for bound, count in self.buckets.items() if bound >= seconds]
        return max(shorter, default=0.0) / self.count, min(reached) / self.count


class Figures:
    """One page."""

    def __init__(self, page: str) -> None:
        """Read a page."""
        self._values: dict[tuple[str, str, str], float] = {}
        self.latencies: dict[str, Distribution] = {name: Distribution() for name in HISTOGRAMS}
        names = {full: name for name, full in HISTOGRAMS.items()}
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                engine = sample.labels.get("engine", "")
                kind = sample.labels.get("source", "")
                key = (sample.name, engine, kind)
                self._values[key] = self._values.get(key, 0.0) + sample.value
                if family.name in names:
                    self._take(self.latencies[names[family.name]], sample.name, sample.labels,
                               sample.value)  # fmt: skip

    @staticmethod
    def _take(into: Distribution, name: str, labels: dict[str, str], value: float) -> None:
        if name.endswith("_bucket"):
            bound = float(labels["le"])
            into.buckets[bound] = into.buckets.get(bound, 0.0) + value
        elif name.endswith("_count"):
            into.count += value
        elif name.endswith("_sum"):
            into.total += value

    def of(self, name: str, engine: int | None = None, source: str = "") -> float:
        """Return a counter of one engine, or of all together."""
        return sum(
            value
            for (known, number, kind), value in self._values.items()
            if known == name and kind == source and (engine is None or number == str(engine))
        )

    def generated(self, engine: int | None = None) -> float:
        """Return the tokens generated since the start."""
        return self.of("vllm:generation_tokens_total", engine)

    def computed(self, engine: int | None = None) -> float:
        """Return the prompt tokens computed since the start: the log's rate leaves out the rest."""
        return self.of(LOCAL, engine, "local_compute")

    def preemptions(self) -> float:
        """Return the preemptions since the start."""
        return self.of("vllm:num_preemptions_total")

    def answered(self) -> float:
        """Return the requests that came to their end."""
        return self.of("vllm:request_success_total")

    def busy(self) -> bool:
        """Tell whether requests run or wait."""
        return bool(self.of("vllm:num_requests_running") + self.of("vllm:num_requests_waiting"))


def percentile(values: Sequence[float], share: float) -> float:
    """Return a linear percentile of measurements."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low, high = math.floor(place), math.ceil(place)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
