"""A log's samples as arrays: filtered and resampled as numbers, written as text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.metrics import ALL_ENGINES, COUNTS, METRICS
from vllm_watch.core.naming import escaped
from vllm_watch.core.records import SampleTable
from vllm_watch.reports.rows import Row

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_QUARTER = 900
"""Seconds for which an offset from UTC is constant: offsets change at quarters of an hour."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples of one log in file order."""

    server: str
    source: str
    tz: tzinfo
    table: SampleTable

    def rows(self) -> Iterator[Row]:
        """Yield each sample as a record: every metric of the catalogue, null where absent."""
        columns = [(metric.name, self._values(metric.name)) for metric in METRICS]
        times = iso_times(self.table.times, self.tz)
        for at, (time, engine) in enumerate(zip(times, self.table.engines, strict=True)):
            row: Row = {
                "time": time,
                "server": self.server,
                "source": self.source,
                "run": self.table.run,
                "engine": "all" if engine == ALL_ENGINES else engine,
            }
            for name, values in columns:
                row[name] = values[at]
            yield row

    def lines(self) -> Iterator[str]:
        """Yield the same records as lines of JSON."""
        head = json_line({"server": self.server, "source": self.source, "run": self.table.run})
        parts = ['{"time":"%s",' + head[1:-2].replace("%", "%%") + ',"engine":%s']
        engines = ['"all"' if engine == ALL_ENGINES else engine for engine in self.table.engines]
        columns: list[Sequence[object]] = [iso_times(self.table.times, self.tz), engines]
        for metric in METRICS:
            if metric.name in self.table.columns:
                parts.append(f',"{metric.name}":%s')
                columns.append(["null" if v is None else v for v in self._values(metric.name)])
            else:
                parts.append(f',"{metric.name}":null')
        form = "".join([*parts, "}\n"])
        return map(form.__mod__, zip(*columns, strict=True))

    def between(self, low: float, high: float) -> Piece:
        """Return the samples with `low` ≤ time ≤ `high`."""
        times = self.table.times
        places = [at for at, time in enumerate(times) if low <= time <= high]
        if len(places) == len(times):
            return self
        return Piece(self.server, self.source, self.tz, self.table.chosen(places))

    def _values(self, name: str) -> Sequence[float | int | None]:
        """Return the values of a metric, requests as whole numbers, None if absent."""
        column = self.table.columns.get(name)
        if column is None:
            return [None] * len(self.table)
        if name in COUNTS:
            return [None if math.isnan(value) else int(value) for value in column]
        return [None if math.isnan(value) else value for value in column]


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
        quarter, seconds = divmod(whole, _QUARTER)
        if quarter not in quarters:
            quarters[quarter] = _quarter(quarter * _QUARTER, tz)
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
