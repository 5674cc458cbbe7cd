"""Reads the recordings beside a log: `X.metrics.jsonl` and `X_gpu.csv`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, tzinfo

from vllm_watch.core.news import Block, CompanionBlock, News
from vllm_watch.core.recorded import (
    GPU_TABLE,
    EngineRow,
    NewerRowError,
    Recorded,
    RowError,
    row_of,
)
from vllm_watch.core.records import Stage
from vllm_watch.ingest.backlog import is_large
from vllm_watch.ingest.filereader import FileReader
from vllm_watch.ingest.options import ReadOptions
from vllm_watch.ingest.substitutes import Substitutes
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.gputable import GpuTable
from vllm_watch.sources.chunks import Chunk
from vllm_watch.sources.follower import FollowOptions

LONGEST_ROW = 65_536
"""Bytes of a line that are read: a row has about 1,000."""


class RecordingReader(FileReader):
    """One file beside a log, followed and read into rows.

    Rows of engines whose log is without stats lines become samples, too.
    """

    def __init__(
        self,
        path: str,
        source: str,
        formats: Formats,
        options: ReadOptions,
        following: FollowOptions | None,
        log: Callable[[], FileReader | None],
    ) -> None:
        """Read `path` for the server whose log is `source`; `log` returns that log's reader.

        If the newest part is enough, only that and the header of a large file are read.
        """
        stage: Stage = "whole"
        if options.newest_only and is_large(path, skipping=True):
            stage = "newest"
        super().__init__(path, source, formats, options, following, twin=True, stage=stage)
        self._log = log
        self._table = GpuTable() if GPU_TABLE in path else None
        self._newer = 0
        self._read_any = False
        self._broken = 0
        self._substitutes = Substitutes()

    def _news(self, chunk: Chunk) -> Iterator[News]:
        """Yield the new rows, then the samples made from them."""
        rows = [row for line in chunk.data.split(b"\n") if (row := self._row(line)) is not None]
        yield CompanionBlock(self.source, tuple(rows), size=len(chunk.data))
        engines = [row for row in rows if isinstance(row, EngineRow)]
        yield from substituted(self.source, engines, self._log(), self._substitutes)

    def _wrong(self) -> tuple[str, float | None]:
        text = self._trouble()
        return (text, self._options.now()) if text else super()._wrong()

    def _row(self, line: bytes) -> Recorded | None:
        if not line.strip(b" \r\x00") or len(line) > LONGEST_ROW:
            return None
        if self._table is not None:
            return self._table.read(line.decode("utf-8", "replace"), self._tz())
        try:
            row = row_of(json.loads(line))
        except NewerRowError:
            self._newer += 1
        except (RowError, ValueError, RecursionError):
            self._broken += 1  # cut in the middle: its recorder was killed
        else:
            self._read_any = True
            return row
        return None

    def _trouble(self) -> str:
        """Return why rows cannot be read, empty if they can."""
        if self._table is not None:
            return f"{self.path}: {self._table.trouble}" if self._table.trouble else ""
        if self._newer:
            rows = "a row" if self._newer == 1 else f"{self._newer:,} rows"
            return f"{self.path}: {rows} of a later version ignored; update vllm-watch to read them"
        if self._broken > 1 and not self._read_any:
            return f"{self.path}: has no recorded row; vllm-watch record writes them"
        return ""

    def _tz(self) -> tzinfo:
        log = self._log()
        return UTC if log is None else log.zone.tz


def substituted(
    source: str, rows: Sequence[EngineRow], log: FileReader | None, substitutes: Substitutes
) -> Iterator[News]:
    """Yield the samples made from rows, if the log itself has none."""
    samples = substitutes.samples(rows, log.runs) if log is not None and rows else ()
    if log is not None and samples:
        yield Block(source, tuple(samples))
