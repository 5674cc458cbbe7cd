"""What a block of a log holds, and how far it has been read."""

from __future__ import annotations

from collections.abc import Iterable

from vllm_watch.core.dataclass import dataclass, field, replace
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.recorded import EngineRow
from vllm_watch.core.records import (
    Amendment,
    Event,
    Item,
    Record,
    Sample,
    SampleTable,
    Stamps,
    records_of,
)

if TYPE_CHECKING:
    from vllm_watch.parsing.smallaccessfilter import Removed


@dataclass(slots=True)
class Scan:
    """The content of a block."""

    items: list[Item] = field(default_factory=list)
    newest_stamp: float | None = None
    stats_like: int = 0
    """Lines that look like stats lines without a known envelope."""
    damaged: int = 0
    """Stats lines that were cut off: they give no samples."""
    lines: int = 0
    _passed: tuple[int, float, float, float] | None = None
    """Lines without a record since the newest event: where among the items they begin, and the
    first, the earliest and the latest of their stamps."""

    @property
    def records(self) -> list[Record]:
        """Return the items with each line of a table as a separate record."""
        return records_of(self.items)

    def note_stamp(self, time: float) -> None:
        """Note a stamp."""
        if self.newest_stamp is None or time > self.newest_stamp:
            self.newest_stamp = time

    def note_skipped(self, first: float, oldest: float, newest: float) -> None:
        """Note the stamps of lines that may give no record."""
        self.note_stamp(newest)
        if self._passed is None:
            self._passed = len(self.items), first, oldest, newest
            return
        at, began, earliest, latest = self._passed
        self._passed = at, began, min(earliest, oldest), max(latest, newest)

    def put(self, record: Record) -> None:
        """Add a record; a companion line goes into the stats line just before it.

        An event may begin a run, and without a stamp it gets the time of the lines before it. So
        their stamps are added first.
        """
        if isinstance(record, Event):
            self.end()
        _add(self.items, record)

    def put_all(self, records: Iterable[Record]) -> None:
        """Add records."""
        for record in records:
            self.put(record)

    def end(self) -> None:
        """Add the stamps of the lines passed so far, in their place."""
        if self._passed is not None:
            at, first, oldest, newest = self._passed
            self.items.insert(at, Stamps(first, oldest, newest))
            self._passed = None


def _add(records: list[Item], record: Record) -> None:
    """Append a record; a companion line goes into the stats line just before it."""
    at = len(records) - 1
    if at > 0 and isinstance(records[at], EngineRow):
        at -= 1  # a latency line between the two
    if isinstance(record, Amendment):
        if not (at >= 0 and _amend(records, at, record)):
            records.append(record)
        return
    if isinstance(record, EngineRow) and record.preemptions is not None:
        added = Amendment({"preemptions": float(record.preemptions)}, record.engine)
        if not (at >= 0 and _amend(records, at, added)):
            records.append(added)
    records.append(record)


def _amend(records: list[Item], at: int, added: Amendment) -> bool:
    """Complete the stats line at an index by a companion line, if it belongs to it."""
    newest = records[at]
    if isinstance(newest, SampleTable) and added.engine in (None, newest.engines[-1]):
        newest.complete(added.values)
        return True
    if isinstance(newest, Sample) and added.engine in (None, newest.engine):
        records[at] = replace(newest, values={**newest.values, **added.values})
        return True
    return False


@dataclass(slots=True)
class BlockCursor:
    """How far a block has been read."""

    block: bytes
    scan: Scan
    line_start: int = 0
    line_end: int = 0
    after: int = 0
    """End of the newest envelope."""
    envelopes: int = 0
    """Number of envelopes read in this line."""
    counted: int = 0
    """Requests have been counted up to here."""
    opaque_end: int = 0
    """Text up to here is not from the server itself."""
    teaches: bool = False
    removed: list[Removed] = field(default_factory=list)
    """Removed lines that are not counted yet, the last first."""

    def enter(self, position: int) -> None:
        """Go to the line at `position`."""
        self.envelopes = 0
        self.line_start = self.block.rfind(b"\n", self.line_end, position) + 1
        end = self.block.find(b"\n", position)
        self.line_end = len(self.block) if end < 0 else end
