"""`export --recorded`: rows of recordings as records for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vllm_watch.core.news import News
from vllm_watch.core.recorded import FINISHED, GPU_VALUES, LATENCIES, QUANTILES, THROTTLES, TOTALS
from vllm_watch.core.recordings import Table
from vllm_watch.core.run import Run
from vllm_watch.core.store import Server
from vllm_watch.reports.rows import WHERE, Fields, Row, row_of, runs_read

_COUNTED = (*TOTALS, *(f"finished_{reason}" for reason in FINISHED))
_TIMES = tuple(f"{name}_{part}" for name in LATENCIES for part in (*QUANTILES, "mean"))
_MEASURED = tuple(f"{name}_count" for name in LATENCIES)
RECORDED_FIELDS: Fields = {
    **WHERE,
    **{"kind": "text", "engine": "text"},
    **{"running": "count", "waiting": "count", "kv_cache_usage": "number"},
    **dict.fromkeys(_COUNTED, "count"),
    **dict.fromkeys(_TIMES, "number"),
    **dict.fromkeys(_MEASURED, "count"),
    **{"gpu": "count", "name": "text", "uuid": "text"},
    **dict.fromkeys(GPU_VALUES, "number"),
    "throttle": "text",
}
"""Columns of a row, in order: an engine's, then a GPU's; docs/recording.md describes them."""


def recorded_rows(read: Iterable[News]) -> Iterator[Row]:
    """Yield recorded rows beside logs that are read once: source by source, run by run.

    In a run those of engines and GPUs are mixed as they came.
    """
    for server, run in runs_read(read):
        recording = server.recording
        begin, end = server.recorded_span(run)
        tables = [
            *((table, "engine", engine) for engine, table in recording.engines.items()),
            *((table, "latency line", engine) for engine, table in recording.lines.items()),
            *((table, "gpu", gpu) for gpu, table in recording.gpus.items()),
        ]
        found = [
            (table.times[index], kind, number, table, index)
            for table, kind, number in tables
            for index in range(*table.span(begin, end))
            if table.times[index] < end
        ]
        for _, kind, number, table, index in sorted(found, key=lambda entry: entry[:3]):
            yield _row(server, run, kind, number, table, index)


def _row(server: Server, run: Run, of: str, number: int, table: Table, index: int) -> Row:
    values = table.row(index)
    of_gpu = of == "gpu"
    row: Row = dict.fromkeys(RECORDED_FIELDS)
    row |= row_of(server, run, table.times[index])
    row |= {"kind": of, "gpu" if of_gpu else "engine": number}
    for name, kind in RECORDED_FIELDS.items():
        if name in values:
            row[name] = int(values[name]) if kind == "count" else values[name]
    if of_gpu:
        row["name"], row["uuid"] = server.recording.names.get(number, (None, None))
        held = (why for why in THROTTLES if values.get(f"throttle_{why}"))
        row["throttle"] = " ".join(held) or None
    return row
