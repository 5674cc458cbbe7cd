"""A record of an export before it is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vllm_watch.core.figures import iso
from vllm_watch.core.hints import Literal, TypeAlias
from vllm_watch.core.news import News
from vllm_watch.core.run import Run
from vllm_watch.core.store import Server, Store

Row: TypeAlias = "dict[str, str | int | float | dict[str, object] | None]"
"""Names to values, in the order in which they are written; None where a value is absent."""

Fields: TypeAlias = "dict[str, Literal['time', 'text', 'whole', 'count', 'number']]"
"""Columns in order, and what they hold: `whole` in 32 bits, `count` in 64; a text may be JSON."""

WHERE: Fields = {"time": "time", "server": "text", "source": "text", "run": "whole"}
"""Columns with which each row begins."""
EVENT_FIELDS: Fields = {**WHERE, "kind": "text", "level": "text", "text": "text", "fields": "text"}
"""Columns of an event; docs/schemas/event.json describes them."""


def row_of(server: Server, run: Run, time: float | None) -> Row:
    """Return a record with its time and the run that it is from; more is added to it."""
    return {
        "time": iso(time, server.clock.tz),
        "server": server.name,
        "source": server.source,
        "run": run.number,
    }


def runs_read(read: Iterable[News]) -> Iterator[tuple[Server, Run]]:
    """Yield the runs of logs that are read once: source by source, in order."""
    store = Store()
    for news in read:
        store.apply(news)
    for server in store.servers.values():
        for run in server.runs:
            yield server, run
