"""`--resample`: samples of one engine gathered into equal steps of time.

A step's rates, ratios, lengths and requests are the means of its samples; what a stats line counts
since the line before (preemptions, corrupted requests) is summed. A step without a sample is
absent: a gap stays a gap. Steps begin at multiples of their length in the log's own zone, so that
`1h` begins on the hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from itertools import groupby

from vllm_watch.core.metrics import METRICS
from vllm_watch.core.moments import parse_time
from vllm_watch.reports.export import Row
from vllm_watch.reports.spans import moment_of

SHORTEST = 1.0
"""Seconds: stamps are whole seconds."""


def parse_step(text: str) -> float:
    """Return the seconds of a step as written: `30s`, `1min`, `2h`.

    Raises:
        ValueError: it is none.
    """
    try:
        time = parse_time(text)
    except ValueError:
        time = None
    if time is None or time.kind != "ago" or time.seconds < SHORTEST:
        raise ValueError(f"{text!r} is no step of time: write 30s, 1min or 2h, 1s at least")
    return time.seconds


@dataclass(slots=True)
class _Step:
    """The samples of one engine in one step."""

    head: Row
    samples: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        self.samples += 1
        for metric in METRICS:
            value = row[metric.name]
            if isinstance(value, int | float):
                self.sums[metric.name] = self.sums.get(metric.name, 0.0) + value
                self.counts[metric.name] = self.counts.get(metric.name, 0) + 1

    def row(self) -> Row:
        row = {**self.head, "samples": self.samples}
        for metric in METRICS:
            total = self.sums.get(metric.name)
            if total is None:
                row[metric.name] = None
            elif metric.steps == "sum":
                row[metric.name] = int(total)
            else:
                row[metric.name] = round(total / self.counts[metric.name], 6)
        return row


def resampled(rows: Iterable[Row], step: float) -> Iterator[Row]:
    """Yield a row for each step in which an engine has samples, with how many in `samples`.

    Rows come source by source; of one source they go by run, step and engine.
    """
    for _, group in groupby(rows, key=lambda row: row["source"]):
        steps: dict[tuple[int, float, str], _Step] = {}
        for row in group:
            at = moment_of(row)
            if at is None:
                continue
            begin = _begin(at, step)
            key = (int(str(row["run"])), begin.timestamp(), str(row["engine"]).zfill(6))
            known = steps.get(key)
            if known is None:
                known = steps[key] = _Step({**row, "time": begin.isoformat()})
            known.add(row)
        for key in sorted(steps):
            yield steps[key].row()


def _begin(at: datetime, step: float) -> datetime:
    """Return the beginning of the step in which a moment lies."""
    offset = (at.utcoffset() or timedelta()).total_seconds()
    zone: tzinfo | None = at.tzinfo
    local = at.timestamp() + offset
    return datetime.fromtimestamp(local // step * step - offset, zone)
