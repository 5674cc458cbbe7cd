"""Moves saved logs of different hours to a common start, to replay them side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vllm_watch.core.dataclass import replace
from vllm_watch.core.records import Amendment, Batch, Record, Sample

BEGINS_AFTER = 30.0
"""Seconds after the first stats lines at which the film begins: its first frame has curves."""


def with_common_start(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield batches shifted so that every source's first stats line is at the same time."""
    start: float | None = None
    shifts: dict[str, float] = {}
    for batch in batches:
        if batch.source not in shifts:
            first = first_sample_time(batch)
            if first is not None:
                start = first if start is None else start
                shifts[batch.source] = start - first
        yield _moved(batch, shifts.get(batch.source, 0.0))


def first_sample_time(batch: Batch) -> float | None:
    """Return the time of a batch's first stats line, None if it has none."""
    return next((record.time for record in batch.records if isinstance(record, Sample)), None)


def _moved(batch: Batch, seconds: float) -> Batch:
    if not seconds:
        return batch
    newest = None if batch.newest_stamp is None else batch.newest_stamp + seconds
    records = tuple(_moved_record(record, seconds) for record in batch.records)
    return replace(batch, items=records, newest_stamp=newest, moved=seconds)


def _moved_record(record: Record, seconds: float) -> Record:
    if isinstance(record, Amendment) or record.time is None:
        return record
    return replace(record, time=record.time + seconds)
