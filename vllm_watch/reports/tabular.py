"""Rows as CSV and as Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice

from vllm_watch.core.hints import IO, Any
from vllm_watch.core.metrics import METRICS
from vllm_watch.core.naming import escaped
from vllm_watch.reports.pieces import COLUMNS, Column
from vllm_watch.reports.rows import Fields, Row

SAMPLE_FIELDS: Fields = {
    column.name: column.type
    if isinstance(column, Column)
    else ("count" if column.kind == "count" else "number")
    for column in COLUMNS
}
"""Columns of a sample, in order."""
_SUMS = {metric.name for metric in METRICS if metric.steps == "sum"}
STEP_FIELDS: Fields = {
    name: "number" if type_ == "count" and name not in _SUMS else type_
    for name, type_ in SAMPLE_FIELDS.items()
} | {"samples": "count"}
"""Columns of a step of `--resample`."""
_CHUNK = 20_000


class MissingExtraError(Exception):
    """A missing optional package; the message says what to install."""


def csv_lines(rows: Iterable[Row], fields: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a CSV file with a header; what is absent is empty.

    The fields of an event are JSON in one cell.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = list(fields)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(row[name]) for name in names])
        if buffer.tell() > 1 << 16:
            yield _taken(buffer)
    yield _taken(buffer)


def _cell(value: object) -> object:
    if isinstance(value, dict):
        return escaped(json.dumps(value, ensure_ascii=False))
    if not isinstance(value, str):
        return value
    # Spreadsheets read such cells as formulas. Names that are not UTF-8 stay readable.
    guard = "'" if value.startswith(("=", "+", "-", "@")) else ""
    return guard + "\n".join(escaped(line) for line in value.split("\n"))


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def write_parquet(rows: Iterable[Row], fields: Fields, file: IO[bytes]) -> None:
    """Write rows as Parquet.

    `time` is a timestamp with zone: the logs' own offset, UTC if they have several. Requests and
    other whole numbers are nullable integers, `engine` is a text (`0`, `1`, `all`): the type of a
    column must not depend on the content of a log. The fields of an event are JSON as text.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError(
            "Parquet needs pyarrow: pip install 'vllm-watch[parquet]'"
        ) from None
    schema = _schema(pa, fields)
    zones: set[str] = set()
    left = iter(rows)
    batches = [
        pa.RecordBatch.from_pydict(_columns(chunk, fields, zones), schema=schema)
        for chunk in iter(lambda: [*islice(left, _CHUNK)], [])
    ]
    table = pa.Table.from_batches(batches, schema=schema)
    if len(zones) == 1:
        zoned = pa.timestamp("us", tz=zones.pop())
        at = table.schema.get_field_index("time")
        table = table.set_column(at, "time", table.column("time").cast(zoned))
    pq.write_table(table, file, compression="zstd")


def _schema(pa: Any, fields: Fields) -> Any:
    types = {"time": pa.timestamp("us", tz="UTC"), "text": pa.string(), "whole": pa.int32()}
    types |= {"count": pa.int64(), "number": pa.float64()}
    return pa.schema([(name, types[kind]) for name, kind in fields.items()])


def _columns(rows: list[Row], fields: Fields, zones: set[str]) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {name: [row[name] for row in rows] for name in fields}
    moments = [None if t is None else datetime.fromisoformat(str(t)) for t in columns["time"]]
    zones |= {_zone(moment) for moment in moments if moment is not None}
    columns["time"] = list(moments)
    for name, kind in fields.items():
        if kind == "text":
            cells = (_cell(value) for value in columns[name])
            columns[name] = [None if cell is None else str(cell) for cell in cells]
    return columns


def _zone(moment: datetime) -> str:
    """Return the offset of a moment as Arrow spells it."""
    offset = moment.strftime("%z")
    return f"{offset[:3]}:{offset[3:5]}" if moment.utcoffset() else "UTC"
