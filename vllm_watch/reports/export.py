"""`export`: samples as records for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, tzinfo

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.naming import Names, ServerName, name_from_fields, name_in_stream
from vllm_watch.core.records import Amendment, Batch, Event, Looked, Sample, SampleTable
from vllm_watch.reports.pieces import Piece
from vllm_watch.reports.rows import Row


@dataclass(slots=True)
class _Source:
    """The state of one log while its batches pass."""

    name: ServerName
    tz: tzinfo = UTC
    samples: list[Sample] = field(default_factory=list)
    """Single stats lines that are not passed on yet."""
    held: SampleTable | None = None
    """The newest stats line."""


class PieceMaker:
    """Turns batches into pieces; a stats line waits for the companion lines that complete it."""

    def __init__(self) -> None:
        """Start without sources."""
        self._sources: dict[str, _Source] = {}
        self._names = Names()

    def pieces(self, batch: Batch) -> Iterator[Piece]:
        """Yield the samples of a batch; the newest one is held back until `flush`."""
        state = self._sources.get(batch.source)
        if state is None:
            state = self._sources[batch.source] = _Source(name_in_stream(batch.source, batch.part))
        if batch.twin:
            return
        state.tz = batch.tz
        if batch.shift and state.held is not None:
            state.held = state.held.moved(batch.shift, state.held.run)
        for item in batch.items:
            if isinstance(item, Sample):
                if state.samples and state.samples[-1].run != item.run:
                    yield from self._gathered(batch.source, state)
                state.samples.append(item)
            elif isinstance(item, SampleTable):
                yield from self._gathered(batch.source, state)
                yield from self._hold(batch.source, state, item)
            elif isinstance(item, Amendment):
                yield from self._gathered(batch.source, state)
                held = state.held
                if held is not None and item.engine in (None, held.engines[-1]):
                    held.complete(item.values)
            elif isinstance(item, Event) and item.fields:
                yield from self._gathered(batch.source, state)
                state.name = name_from_fields(state.name, item.fields)
        yield from self._gathered(batch.source, state)

    def flush(self) -> Iterator[Piece]:
        """Yield the samples that were held back."""
        for source, state in self._sources.items():
            yield from self._release(source, state)

    def _gathered(self, source: str, state: _Source) -> Iterator[Piece]:
        """Make a table of the single stats lines."""
        if state.samples:
            table = SampleTable.of(state.samples)
            state.samples = []
            yield from self._hold(source, state, table)

    def _hold(self, source: str, state: _Source, table: SampleTable) -> Iterator[Piece]:
        """Pass on the held line and a table without its newest line."""
        yield from self._release(source, state)
        newest = len(table) - 1
        state.held = table.part(newest, newest + 1)
        if newest > 0:
            yield self._piece(source, state, table.part(0, newest))

    def _release(self, source: str, state: _Source) -> Iterator[Piece]:
        if state.held is not None:
            yield self._piece(source, state, state.held)
            state.held = None

    def _piece(self, source: str, state: _Source, table: SampleTable) -> Piece:
        return Piece(self._names.name(source, state.name.text), source, state.tz, table)


def pieces_of(batches: Iterable[Batch]) -> Iterator[Piece]:
    """Yield the samples of logs that are read once, source by source, in file order."""
    maker = PieceMaker()
    source = None
    for batch in batches:
        if source != batch.source:
            yield from maker.flush()
            source = batch.source
        yield from maker.pieces(batch)
    yield from maker.flush()


def rows_of(batches: Iterable[Batch]) -> Iterator[Row]:
    """Yield the same as records."""
    for piece in pieces_of(batches):
        yield from piece.rows()


def rows_as_they_come(items: Iterable[Batch | Looked]) -> Iterator[Row | None]:
    """Yield rows while logs grow, None at each quiet moment (to flush the output).

    A row is released by the next line of its log or the next search of the files, so that it
    includes a companion line written just after it.
    """
    maker = PieceMaker()
    for item in items:
        pieces = maker.flush() if isinstance(item, Looked) else maker.pieces(item)
        for piece in pieces:
            yield from piece.rows()
        if isinstance(item, Looked):
            yield None
