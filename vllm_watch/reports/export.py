"""`export`: samples as records that scripts read (DESIGN §3)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import TypeAlias

from vllm_watch.core.metrics import ALL_ENGINES, COUNTS, METRICS
from vllm_watch.core.naming import Names, ServerName, escaped, name_from_fields, name_in_stream
from vllm_watch.core.records import Amendment, Batch, Event, Looked, Sample

Row: TypeAlias = "dict[str, str | int | float | dict[str, object] | None]"

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def sample_row(sample: Sample, server: str, source: str, tz: tzinfo) -> Row:
    """Return the record of a sample: every metric of the catalogue, null where absent."""
    row: Row = {
        "time": datetime.fromtimestamp(sample.time, tz).isoformat(),
        "server": server,
        "source": source,
        "run": sample.run,
        "engine": "all" if sample.engine == ALL_ENGINES else sample.engine,
    }
    for metric in METRICS:
        value = sample.values.get(metric.name)
        if value is not None and metric.name in COUNTS:
            value = int(value)
        row[metric.name] = value
    return row


def json_line(row: Row) -> str:
    """Return a record as one line of JSON; nothing in it acts on a terminal."""
    # A file name that is no UTF-8 stays its name, too.
    line = _encode(row)
    harmless = line.isascii() and "\x7f" not in line
    return (line if harmless else escaped(line)) + "\n"


@dataclass(slots=True)
class _Source:
    """What is known of one log while its batches pass."""

    name: ServerName
    tz: tzinfo = UTC
    held: Sample | None = None


class RowMaker:
    """Makes rows of batches; a stats line waits for the companion lines that complete it."""

    def __init__(self) -> None:
        """Start without sources."""
        self._sources: dict[str, _Source] = {}
        self._names = Names()

    def rows(self, batch: Batch) -> Iterator[Row]:
        """Yield the rows of a batch; the newest sample is held back until `flush`."""
        state = self._sources.get(batch.source)
        if state is None:
            state = self._sources[batch.source] = _Source(name_in_stream(batch.source, batch.part))
        if batch.twin:
            return
        state.tz = batch.tz
        if batch.shift and state.held is not None:
            state.held = replace(state.held, time=state.held.time + batch.shift)
        for record in batch.records:
            if isinstance(record, Sample):
                yield from self._release(batch.source, state)
                state.held = record
            elif isinstance(record, Amendment):
                held = state.held
                if held is not None and record.engine in (None, held.engine):
                    state.held = replace(held, values={**held.values, **record.values})
            elif isinstance(record, Event) and record.fields:
                state.name = name_from_fields(state.name, record.fields)

    def flush(self) -> Iterator[Row]:
        """Yield the samples that were held back."""
        for source, state in self._sources.items():
            yield from self._release(source, state)

    def _release(self, source: str, state: _Source) -> Iterator[Row]:
        if state.held is not None:
            server = self._names.name(source, state.name.text)
            yield sample_row(state.held, server, source, state.tz)
            state.held = None


def rows_of(batches: Iterable[Batch]) -> Iterator[Row]:
    """Yield the rows of logs that are read once, source by source, in file order."""
    maker = RowMaker()
    source = None
    for batch in batches:
        if source != batch.source:
            yield from maker.flush()
            source = batch.source
        yield from maker.rows(batch)
    yield from maker.flush()


def rows_as_they_come(items: Iterable[Batch | Looked]) -> Iterator[Row | None]:
    """Yield rows while logs grow, None at each quiet moment (to flush what was written).

    A row is released by the next line of its log or by the next look at the files, so that a
    companion line written just after it is in it.
    """
    maker = RowMaker()
    for item in items:
        if isinstance(item, Looked):
            yield from maker.flush()
            yield None
        else:
            yield from maker.rows(item)
