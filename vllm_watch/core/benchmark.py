"""A benchmark that a client ran against a server: when, and what the client measured."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo

from vllm_watch.core.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark, as its result file tells it."""

    name: str
    """The file's stem, with a number behind it where the file holds several."""
    model: str | None
    """Model that was asked for, None where the file does not say."""
    end: float | datetime
    """When it ended: epoch seconds, or a time without a zone, which is then the log's."""
    seconds: float
    """How long it lasted."""
    figures: Mapping[str, float]
    """What the client measured, by the names of `FIGURES`."""

    def span(self, tz: tzinfo) -> tuple[float, float]:
        """Return beginning and end in epoch seconds; `tz` is the zone of a time without one."""
        end = self.end
        if isinstance(end, datetime):
            end = end.replace(tzinfo=tz).timestamp()
        return end - self.seconds, end

    def is_of(self, model: str | None) -> bool:
        """Tell whether it may be about a server of this model, whatever folder its name has.

        In a log's file name the folders are before the name, parted by `_`.
        """
        if self.model is None or model is None:
            return True
        own, other = self.model.rpartition("/")[2], model.rpartition("/")[2]
        return own == other or other.endswith(f"_{own}")


FIGURES = {
    "request_rate": "requests asked for per second",
    "max_concurrency": "requests at once at most",
    "completed": "requests completed",
    "requests_per_second": "requests completed per second",
    "generation_tps": "output tokens per second",
    "ttft_mean_s": "mean time to first token",
    "ttft_p99_s": "99th percentile of the time to first token",
    "itl_mean_s": "mean time between two tokens",
    "itl_p99_s": "99th percentile of the time between two tokens",
    "request_mean_s": "mean time of a request",
}
"""What a client's result can tell, with what it is."""
