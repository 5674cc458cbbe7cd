"""`export --recorded`: rows of recordings as records for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vllm_watch.core.news import News
from vllm_watch.core.recorded import FINISHED, LATENCIES, QUANTILES, THROTTLES, TOTALS
from vllm_watch.core.recordings import Table
from vllm_watch.core.run import Run
from vllm_watch.core.store import Server
from vllm_watch.reports.rows import Row, row_of, runs_read

_NOW = ("running", "waiting", "kv_cache_usage")
_COUNTED = (*TOTALS, *(f"finished_{reason}" for reason in FINISHED))
_TIMES = tuple(f"{name}_{part}" for name in LATENCIES for part in (*QUANTILES, "mean"))
_MEASURED = tuple(f"{name}_count" for name in LATENCIES)
_GPU = ("utilization", "memory_used", "memory_total", "power_w", "temperature_c", "sm_clock_hz")
RECORDED_FIELDS = (
    *("time", "server", "source", "run", "kind", "engine"),
    *(*_NOW, *_COUNTED, *_TIMES, *_MEASURED),
    *("gpu", "name", "uuid", *_GPU, "throttle"),
)
"""Columns of a row, in order: an engine's, then a GPU's; docs/recording.md describes them."""
RECORDED_WHOLE = frozenset({"running", "waiting", "gpu", *_COUNTED, *_MEASURED})
"""Columns of whole numbers."""


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


def _row(server: Server, run: Run, kind: str, number: int, table: Table, index: int) -> Row:
    values = table.row(index)
    of_gpu = kind == "gpu"
    row: Row = dict.fromkeys(RECORDED_FIELDS)
    row |= row_of(server, run, table.times[index])
    row |= {"kind": kind, "gpu" if of_gpu else "engine": number}
    for name in RECORDED_FIELDS:
        if name in values:
            row[name] = int(values[name]) if name in RECORDED_WHOLE else values[name]
    if of_gpu:
        row["name"], row["uuid"] = server.recording.names.get(number, (None, None))
        held = (why for why in THROTTLES if values.get(f"throttle_{why}"))
        row["throttle"] = " ".join(held) or None
    return row
