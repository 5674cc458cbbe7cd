"""Joins records in order; a companion line is merged into the stats line that it completes."""

from __future__ import annotations

from vllm_watch.core.dataclass import replace
from vllm_watch.core.recorded import EngineRow
from vllm_watch.core.records import Amendment, Item, Record, Sample, SampleTable


def add_record(records: list[Item], record: Record) -> None:
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
