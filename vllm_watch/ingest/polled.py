"""A followed log, and the metrics page of its server if the port can be reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from vllm_watch.core.news import CompanionBlock, FileTrouble, News, PathSearch
from vllm_watch.core.recorded import RECORDING
from vllm_watch.ingest.logs import Ingest
from vllm_watch.ingest.options import ReadOptions
from vllm_watch.ingest.recordingreader import substituted
from vllm_watch.ingest.substitutes import Substitutes
from vllm_watch.parsing.formats import Formats
from vllm_watch.serverside.poller import Poller
from vllm_watch.sources.wakeups import StopEvent


class PolledIngest(Ingest):
    """Follows logs; the page's rows count as recorded beside the first log."""

    def __init__(
        self, patterns: Sequence[str], formats: Formats, options: ReadOptions, poller: Poller
    ) -> None:
        """Follow `patterns`, and take the rows that `poller` reads."""
        super().__init__(patterns, formats, options)
        self._poller = poller
        self._substitutes = Substitutes()
        self._said = ""

    def follow(
        self, stop: StopEvent, *, waits: Callable[[], object] = lambda: None
    ) -> Iterator[News | PathSearch]:
        """Yield the same as `Ingest`, and after each look the new rows of the page."""
        end = self._poller.start()
        try:
            for item in super().follow(stop, waits=waits):
                yield item
                if isinstance(item, PathSearch):
                    yield from self._polled()
        finally:
            end()

    def _polled(self) -> Iterator[News]:
        logs = next(iter(self.found.logs), None)
        if logs is None or any(RECORDING in path for path in logs.recordings):
            return  # a recording beside it has the same rows
        (rows, trouble), url = self._poller.take(), self._poller.url
        if rows:
            yield CompanionBlock(logs.source, rows)
        if trouble != self._said and (rows or trouble):
            self._said = trouble
            yield FileTrouble(logs.source, url, self._said, self._options.now(), twin=True)
        log = self.reader(logs.source)
        yield from substituted(logs.source, rows, log, self._substitutes)
