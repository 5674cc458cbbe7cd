"""`--since` and `--until`: the rows of a stretch of each log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby

from vllm_watch.core.moments import TimeText, place_time
from vllm_watch.core.records import Batch, Event, Requests, Sample
from vllm_watch.reports.export import Row


@dataclass(slots=True)
class Beginnings:
    """Where each log begins: `+10m` counts from there."""

    _first: dict[str, float] = field(default_factory=dict)

    def passed_on(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Pass batches on, taking notice of the first stamp of each log."""
        for batch in batches:
            self.feed(batch)
            yield batch

    def feed(self, batch: Batch) -> None:
        """Take notice of a batch."""
        if batch.twin:
            return
        known = self._first.get(batch.source)
        if known is not None:
            self._first[batch.source] = known + batch.shift
            return
        for record in batch.records:
            if isinstance(record, Sample | Event | Requests) and record.time is not None:
                self._first[batch.source] = record.time
                return

    def of(self, source: str, default: float) -> float:
        """Return the first stamp of a log in epoch seconds."""
        return self._first.get(source, default)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time as written on the command line; both ends belong to it."""

    since: TimeText | None = None
    until: TimeText | None = None

    def __bool__(self) -> bool:
        """Tell whether it leaves anything out."""
        return self.since is not None or self.until is not None

    def bounds(self, rows: list[Row], beginnings: Beginnings) -> tuple[float, float]:
        """Return both ends in epoch seconds for the rows of one log: `ago` is before its newest."""
        moments = [at for row in rows if (at := moment_of(row)) is not None]
        if not moments:
            return float("-inf"), float("inf")
        newest = max(moments)
        first = beginnings.of(str(rows[0]["source"]), moments[0].timestamp())
        tz, end = newest.tzinfo or UTC, newest.timestamp()
        ends = [
            None if text is None else place_time(text, first, end, end, tz)
            for text in (self.since, self.until)
        ]
        low, high = ends
        return float("-inf") if low is None else low, float("inf") if high is None else high

    def of(self, rows: Iterable[Row], beginnings: Beginnings) -> Iterator[Row]:
        """Yield the rows within the span; each log's are placed when all of them are there."""
        if not self:
            yield from rows
            return
        for _, group in groupby(rows, key=lambda row: row["source"]):
            listed = list(group)
            low, high = self.bounds(listed, beginnings)
            yield from (row for row in listed if within(row, low, high))


def within(row: Row, low: float, high: float) -> bool:
    """Tell whether a row lies between two moments; one without a time lies nowhere."""
    at = moment_of(row)
    return at is not None and low <= at.timestamp() <= high


def moment_of(row: Row) -> datetime | None:
    """Return the time of a row."""
    time = row["time"]
    return None if time is None else datetime.fromisoformat(str(time))
