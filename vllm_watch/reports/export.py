"""`export`: samples as records for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, tzinfo

from vllm_watch.core.columns import shifted
from vllm_watch.core.dataclass import dataclass, field, replace
from vllm_watch.core.naming import Names, ServerName, name_from_fields, name_in_stream
from vllm_watch.core.news import Block, LogFound, News, PathSearch, ZoneFound
from vllm_watch.core.records import Amendment, Event, Sample, SampleTable
from vllm_watch.reports.pieces import Piece
from vllm_watch.reports.rows import Row


@dataclass(slots=True)
class _Source:
    """The state of one log while its news passes."""

    name: ServerName
    tz: tzinfo = UTC
    samples: list[Sample] = field(default_factory=list)
    """Single stats lines that are not passed on yet."""
    held: SampleTable | None = None
    """The newest stats line."""


class PieceMaker:
    """Makes pieces of news; a stats line waits for the companion lines that complete it."""

    def __init__(self) -> None:
        """Start without sources."""
        self._sources: dict[str, _Source] = {}
        self._names = Names()

    def pieces(self, news: News) -> Iterator[Piece]:
        """Yield the samples of a block; the newest one is held back until `flush`."""
        state = self._sources.get(news.source)
        if state is None:
            part = news.part if isinstance(news, LogFound) else ""
            state = self._sources[news.source] = _Source(name_in_stream(news.source, part))
        if isinstance(news, ZoneFound):
            state.tz = news.tz
            if news.shift and state.held is not None:
                state.held = replace(state.held, times=shifted(state.held.times, news.shift))
        elif isinstance(news, Block):
            yield from self._of_block(news, state)

    def _of_block(self, block: Block, state: _Source) -> Iterator[Piece]:
        for item in block.items:
            if isinstance(item, Sample):
                if state.samples and state.samples[-1].run != item.run:
                    yield from self._gathered(block.source, state)
                state.samples.append(item)
            elif isinstance(item, SampleTable):
                yield from self._gathered(block.source, state)
                yield from self._hold(block.source, state, item)
            elif isinstance(item, Amendment):
                yield from self._gathered(block.source, state)
                held = state.held
                if held is not None and item.engine in (None, held.engines[-1]):
                    held.complete(item.values)
            elif isinstance(item, Event) and item.fields:
                yield from self._gathered(block.source, state)
                state.name = name_from_fields(state.name, item.fields)
        yield from self._gathered(block.source, state)

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


def pieces_of(read: Iterable[News]) -> Iterator[Piece]:
    """Yield the samples of logs that are read once, source by source, in file order."""
    maker = PieceMaker()
    source = None
    for news in read:
        if source != news.source:
            yield from maker.flush()
            source = news.source
        yield from maker.pieces(news)
    yield from maker.flush()


def rows_as_they_come(items: Iterable[News | PathSearch]) -> Iterator[Row | None]:
    """Yield rows while logs grow, None at each quiet moment (to flush the output).

    A row is released by the next line of its log or the next search of the files, so that it
    includes a companion line written just after it.
    """
    maker = PieceMaker()
    for item in items:
        pieces = maker.flush() if isinstance(item, PathSearch) else maker.pieces(item)
        for piece in pieces:
            yield from piece.rows()
        if isinstance(item, PathSearch):
            yield None
