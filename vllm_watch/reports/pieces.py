"""A log's samples as arrays: filtered and resampled as numbers, written as text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, tzinfo
from itertools import repeat

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import Literal, TypeAlias
from vllm_watch.core.metrics import COUNTS, METRICS, Metric, engine_label
from vllm_watch.core.naming import escaped
from vllm_watch.core.records import SampleTable
from vllm_watch.reports.rows import Row

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
QUARTER = 900
"""Seconds for which an offset from UTC is constant: offsets change at quarters of an hour."""


Cell: TypeAlias = "str | int | float | None"


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples of one log in file order."""

    server: str
    source: str
    tz: tzinfo
    table: SampleTable

    def rows(self) -> Iterator[Row]:
        """Yield each sample as a record: every column, null where absent."""
        names = [column.name for column in COLUMNS]
        cells = map(self.cells, COLUMNS)
        filled = [
            each if isinstance(each, list) else repeat(each, len(self.table)) for each in cells
        ]
        for row in zip(*filled, strict=True):
            yield dict(zip(names, row, strict=True))

    def lines(self) -> Iterator[str]:
        """Yield the same records as lines of JSON."""
        parts, texts = [], []
        for column in COLUMNS:
            cells = self.cells(column)
            if isinstance(cells, list):
                parts.append(f'"{column.name}":%s')
                texts.append(_encoded(column, cells))
            else:
                parts.append(json_line({column.name: cells})[1:-2].replace("%", "%%"))
        form = "{" + ",".join(parts) + "}\n"
        return map(form.__mod__, zip(*texts, strict=True))

    def cells(self, column: Column | Metric) -> list[Cell] | Cell:
        """Return the values of a column, or the one value that all samples share."""
        if isinstance(column, Column):
            cells, count = column.of(self), len(self.table)
            if isinstance(cells, list) and len(cells) != count:
                raise ValueError(f"column {column.name!r} gives {len(cells)} values, not {count}")
            return cells
        values = self.table.columns.get(column.name)
        if values is None:
            return None
        if column.name in COUNTS:
            return [None if math.isnan(value) else int(value) for value in values]
        return [None if math.isnan(value) else value for value in values]

    def between(self, low: float, high: float) -> Piece:
        """Return the samples with `low` ≤ time ≤ `high`."""
        times = self.table.times
        places = [at for at, time in enumerate(times) if low <= time <= high]
        if len(places) == len(times):
            return self
        return Piece(self.server, self.source, self.tz, self.table.chosen(places))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an exported sample that is not a metric."""

    name: str
    type: Literal["time", "text", "whole"]
    of: Callable[[Piece], list[Cell] | Cell]
    """Returns its value in each sample of a piece, or the one that all samples share."""
    about: str
    """What it is, for docs/schemas/sample.json."""


COLUMNS: tuple[Column | Metric, ...] = (
    Column("time", "time", lambda piece: [*iso_times(piece.table.times, piece.tz)],
           "ISO 8601 with the offset of the log's zone."),
    Column("server", "text", lambda piece: piece.server,
           "<model>:<port>, else the file's stem; a second server of that name has ` (2)` "
           "appended."),
    Column("source", "text", lambda piece: piece.source, "Path of the log as found."),
    Column("run", "whole", lambda piece: piece.table.run,
           "Number of the run in its log: 0 for the first, one more after each restart."),
    Column("engine", "text", lambda piece: [*map(engine_label, piece.table.engines)],
           "Data-parallel rank, or `all` for a line about all engines. A text in Parquet."),
    *METRICS,
)  # fmt: skip
"""All columns of a sample, in order."""


def _encoded(column: Column | Metric, cells: list[Cell]) -> Sequence[object]:
    """Return the values of a column as they are written in JSON."""
    if isinstance(column, Metric):
        return ["null" if cell is None else cell for cell in cells]
    if column.type == "time":
        return [f'"{cell}"' for cell in cells]
    texts = {cell: json_line({"": cell})[4:-2] for cell in set(cells)}
    return [texts[cell] for cell in cells]


def json_line(row: Row) -> str:
    """Return a record as one line of JSON, safe to print on a terminal."""
    # A file name that is not UTF-8 keeps its bytes, too.
    line = _encode(row)
    harmless = line.isascii() and "\x7f" not in line
    return (line if harmless else escaped(line)) + "\n"


def iso_times(times: Sequence[float], tz: tzinfo) -> list[str]:
    """Return moments as ISO 8601 with their offset."""
    quarters: dict[int, tuple[str, int, str] | None] = {}
    found = []
    for time in times:
        whole = int(time)
        quarter, seconds = divmod(whole, QUARTER)
        if quarter not in quarters:
            quarters[quarter] = _quarter(quarter * QUARTER, tz)
        parts = quarters[quarter]
        if parts is None or whole != time:
            found.append(datetime.fromtimestamp(time, tz).isoformat())
            continue
        hour, minute, offset = parts
        more, second = divmod(seconds, 60)
        found.append(f"{hour}{minute + more:02}:{second:02}{offset}")
    return found


def _quarter(begin: int, tz: tzinfo) -> tuple[str, int, str] | None:
    """Return the times of a quarter of an hour as text: hour, first minute, offset.

    None if it does not begin with a quarter of an hour there.
    """
    text = datetime.fromtimestamp(begin, tz).isoformat()
    minute, second = text[14:16], text[17:19]
    return (text[:14], int(minute), text[19:]) if second == "00" and int(minute) % 15 == 0 else None
