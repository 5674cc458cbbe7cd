"""`--since` and `--until`: the rows of a stretch of each log."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo
from itertools import groupby

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.news import Block, News, ZoneFound
from vllm_watch.core.records import Event, Item, Requests, RequestTable, Sample, SampleTable
from vllm_watch.core.timetexts import TimeText, place_time
from vllm_watch.reports.pieces import Piece
from vllm_watch.reports.rows import Row


@dataclass(slots=True)
class Beginnings:
    """The beginning of each log: `+10m` counts from there."""

    _first: dict[str, float] = field(default_factory=dict)

    def passed_on(self, read: Iterable[News]) -> Iterator[News]:
        """Pass news on, and note the first stamp of each log."""
        for news in read:
            self.feed(news)
            yield news

    def feed(self, news: News) -> None:
        """Note what was read."""
        known = self._first.get(news.source)
        if isinstance(news, ZoneFound) and known is not None:
            self._first[news.source] = known + news.shift
        elif isinstance(news, Block) and known is None:
            first = _first_time(news.items)
            if first is not None:
                self._first[news.source] = first

    def of(self, source: str, default: float) -> float:
        """Return the first stamp of a log in epoch seconds."""
        return self._first.get(source, default)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A stretch of time from the command line, including both ends."""

    since: TimeText | None = None
    until: TimeText | None = None

    def __bool__(self) -> bool:
        """Return whether it leaves anything out."""
        return self.since is not None or self.until is not None

    def bounds(
        self, source: str, first: float, newest: float, tz: tzinfo, beginnings: Beginnings
    ) -> tuple[float, float]:
        """Return both ends in epoch seconds for one log: `ago` counts back from its newest line."""
        first = beginnings.of(source, first)
        low, high = (
            None if text is None else place_time(text, first, newest, newest, tz)
            for text in (self.since, self.until)
        )
        return float("-inf") if low is None else low, float("inf") if high is None else high

    def pieces_within(self, pieces: Iterable[Piece], beginnings: Beginnings) -> Iterator[Piece]:
        """Yield the samples within the span; a log's samples are selected once all are read."""
        if not self:
            yield from pieces
            return
        for source, group in groupby(pieces, key=lambda piece: piece.source):
            listed = list(group)
            first = listed[0].table.times[0]
            newest, last = max(
                ((max(piece.table.times), piece) for piece in listed), key=lambda entry: entry[0]
            )
            low, high = self.bounds(source, first, newest, last.tz, beginnings)
            within = (piece.between(low, high) for piece in listed)
            yield from (piece for piece in within if len(piece.table))

    def rows_within(self, rows: Iterable[Row], beginnings: Beginnings) -> Iterator[Row]:
        """Yield the rows within the span, as `pieces_within`."""
        if not self:
            yield from rows
            return
        for _, group in groupby(rows, key=lambda row: row["source"]):
            listed = list(group)
            moments = [at for row in listed if (at := moment_of(row)) is not None]
            if moments:
                newest, first = max(moments), moments[0].timestamp()
                ends = newest.timestamp(), newest.tzinfo or UTC
                low, high = self.bounds(str(listed[0]["source"]), first, *ends, beginnings)
                yield from (row for row in listed if within(row, low, high))


def _first_time(items: Iterable[Item]) -> float | None:
    """Return the time of the first record that has one."""
    for item in items:
        if isinstance(item, SampleTable | RequestTable):
            # In the log, lines of two neighbouring tables may be mixed.
            times = [item.times for item in items if isinstance(item, SampleTable | RequestTable)]
            known = [time for each in times for time in each[:1] if not math.isnan(time)]
            return min(known, default=None)
        if isinstance(item, Sample | Event | Requests) and item.time is not None:
            return item.time
    return None


def within(row: Row, low: float, high: float) -> bool:
    """Return whether a row is between two moments; a row without a time is not."""
    at = moment_of(row)
    return at is not None and low <= at.timestamp() <= high


def moment_of(row: Row) -> datetime | None:
    """Return the time of a row."""
    time = row["time"]
    return None if time is None else datetime.fromisoformat(str(time))
