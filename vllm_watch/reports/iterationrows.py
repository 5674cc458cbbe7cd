"""`export --iterations`: seconds of steps, where logs have iteration details, for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields

from vllm_watch.core.news import News
from vllm_watch.core.steps import Second
from vllm_watch.reports.rows import Row, row_of, runs_read

ITERATION_COUNTS = tuple(one.name for one in fields(Second))
"""Columns of a second, all whole numbers (described in `core/steps.py`)."""
ITERATION_FIELDS = ("time", "server", "source", "run", "engine", *ITERATION_COUNTS)
"""Columns of a row, in order."""


def iteration_rows(read: Iterable[News]) -> Iterator[Row]:
    """Yield the seconds of each engine of logs that are read once: source by source, in order."""
    for server, run in runs_read(read):
        found = [
            (time, engine, second)
            for engine, steps in run.steps.items()
            for time, second in zip(steps.times, steps.rows, strict=True)
        ]
        for time, engine, second in sorted(found, key=lambda entry: entry[:2]):
            yield {**row_of(server, run, time), "engine": engine, **asdict(second)}
