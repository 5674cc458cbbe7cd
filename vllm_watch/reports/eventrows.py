"""`export --events`: what happened to servers, as records that scripts read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo

from vllm_watch.core.buckets import Keep
from vllm_watch.core.olderruns import make_room
from vllm_watch.core.records import Batch, Event, Looked
from vllm_watch.core.run import Moment, Run
from vllm_watch.core.store import Server, Store
from vllm_watch.reports.rows import Row

EVENT_FIELDS = ("time", "server", "source", "run", "kind", "level", "text", "fields")
"""Columns of an event, in order; docs/schemas/event.json tells what they hold."""


def event_row(server: Server, run: Run, at: float | None, moment: Moment) -> Row:
    """Return the record of an event; `at` is where it counts, None where nothing tells."""
    event = moment.event
    return {
        "time": None if at is None else iso(at, server.tz),
        "server": server.name,
        "source": server.source,
        "run": run.number,
        "kind": event.kind,
        "level": event.level,
        "text": "\n".join([event.text, *moment.lines]),
        "fields": _fields(event),
    }


def iso(time: float, tz: tzinfo) -> str:
    """Return a moment as ISO 8601 with its offset."""
    return datetime.fromtimestamp(time, tz).isoformat()


def event_rows(batches: Iterable[Batch]) -> Iterator[Row]:
    """Yield the events of logs that are read once: source by source, run by run, in time order.

    An unstamped line of a companion stands where it counts (DESIGN §3). Errors answered to
    clients are one event per burst.
    """
    store = Store()
    for batch in batches:
        store.apply(batch)
    for server in store.servers.values():
        for run in server.runs:
            yield from _run_rows(server, run)


def event_rows_as_they_come(items: Iterable[Batch | Looked]) -> Iterator[Row | None]:
    """Yield events while logs grow, None at each quiet moment.

    An event is told at the next look at the files, so that the lines that continue it are in it.
    """
    keep = Keep(forgets=False)  # nothing may be forgotten before it is told
    store = Store(keep)
    told: dict[int, Moment] = {}
    for item in items:
        if isinstance(item, Batch):
            store.apply(item)
            continue
        kept: dict[int, Moment] = {}
        for server in store.servers.values():
            for run in server.runs:
                for at, moment in run.placed():
                    kept[id(moment)] = moment
                    if id(moment) not in told:
                        yield event_row(server, run, at, moment)
            make_room(server.runs, keep)
            server.run.forget_text()
        told = kept
        yield None


def _run_rows(server: Server, run: Run) -> Iterator[Row]:
    first = run.first_stamp or 0.0
    placed = sorted(run.placed(), key=lambda entry: first if entry[0] is None else entry[0])
    for at, moment in placed:
        yield event_row(server, run, at, moment)


def _fields(event: Event) -> dict[str, object]:
    return {name: value for name, value in event.fields.items() if value is not None}
