"""A benchmark that a client ran against a server: when, and what the client measured."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo

from vllm_watch.core.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark, read from its result file."""

    name: str
    """The file's stem, with a number appended if the file holds several."""
    model: str | None
    """The requested model, None if the file does not name it."""
    end: float | datetime
    """When it ended: epoch seconds, or a time without a zone (the log's zone then applies)."""
    seconds: float
    """How long the benchmark lasted."""
    figures: Mapping[str, float]
    """Measured values by our names, such as `ttft_mean_s` (`reports/benchmarks.py`)."""

    def span(self, tz: tzinfo) -> tuple[float, float]:
        """Return beginning and end in epoch seconds; `tz` is the zone of a time without one."""
        end = self.end
        if isinstance(end, datetime):
            end = end.replace(tzinfo=tz).timestamp()
        return end - self.seconds, end

    def is_of(self, model: str | None) -> bool:
        """Return whether it may belong to a server of this model.

        Folders of the model's name are ignored. In a log's file name they come before the name,
        separated by `_`.
        """
        if self.model is None or model is None:
            return True
        own, other = self.model.rpartition("/")[2], model.rpartition("/")[2]
        return own == other or other.endswith(f"_{own}")
