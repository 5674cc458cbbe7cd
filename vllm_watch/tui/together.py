"""Saved logs of different hours moved to a common start: one film shows them side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from vllm_watch.core.records import Amendment, Batch, Record


def moved_together(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield batches in which every source begins when the first one did."""
    start: float | None = None
    shifts: dict[str, float] = {}
    for batch in batches:
        if batch.source not in shifts:
            first = _first_time(batch)
            if first is not None:
                start = first if start is None else start
                shifts[batch.source] = start - first
        yield _moved(batch, shifts.get(batch.source, 0.0))


def _first_time(batch: Batch) -> float | None:
    times = (getattr(record, "time", None) for record in batch.records)
    return next((time for time in times if time is not None), None)


def _moved(batch: Batch, seconds: float) -> Batch:
    if not seconds:
        return batch
    newest = None if batch.newest_stamp is None else batch.newest_stamp + seconds
    records = tuple(_moved_record(record, seconds) for record in batch.records)
    return replace(batch, records=records, newest_stamp=newest)


def _moved_record(record: Record, seconds: float) -> Record:
    if isinstance(record, Amendment) or record.time is None:
        return record
    return replace(record, time=record.time + seconds)
