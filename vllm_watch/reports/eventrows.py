"""`export --events`: events of servers as records for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vllm_watch.config import Settings
from vllm_watch.core.keptevents import KeptEvent
from vllm_watch.core.news import News, PathSearch, ZoneFound
from vllm_watch.core.records import Event
from vllm_watch.core.run import Run
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor
from vllm_watch.reports.alertrows import AlertsAsTheyCome, alert_rows, changes_of
from vllm_watch.reports.rows import Row, row_of


def event_row(server: Server, run: Run, at: float | None, kept: KeptEvent) -> Row:
    """Return the record of an event; `at` is its time, None if unknown."""
    event = kept.event
    return {
        **row_of(server, run, at),
        "kind": event.kind,
        "level": event.level,
        "text": "\n".join([event.text, *kept.lines]),
        "fields": _fields(event),
    }


def event_rows(read: Iterable[News], settings: Settings) -> Iterator[Row]:
    """Yield the events of logs that are read once: source by source, run by run, in time order.

    Unstamped lines of a companion come at their estimated time. Errors answered to clients are one
    event per burst. Alerts follow the lines of their moment.
    """
    monitor = Monitor(settings)
    for news in read:
        monitor.apply(news)
    monitor.judge()
    for server in monitor.store.servers.values():
        for run in server.runs:
            yield from _run_rows(monitor, server, run)


def event_rows_as_they_come(
    items: Iterable[News | PathSearch], settings: Settings
) -> Iterator[Row | None]:
    """Yield events while logs grow, None at each quiet moment.

    An event is reported at the next search of the files, so that it includes the lines that
    continue it.
    """
    # No event may be dropped before it is reported.
    monitor = Monitor(settings, bounded=True, forgets=False)
    alerts = AlertsAsTheyCome(monitor)
    reported: dict[int, KeptEvent] = {}
    for item in items:
        if not isinstance(item, PathSearch):
            server = monitor.apply(item)
            if isinstance(item, ZoneFound) and item.shift:
                alerts.moved(server.source, item.shift)
            continue
        monitor.judge()
        seen: dict[int, KeptEvent] = {}
        for server in monitor.store.servers.values():
            for run in server.runs:
                for at, kept in run.placed():
                    seen[id(kept)] = kept
                    if id(kept) not in reported:
                        yield event_row(server, run, at, kept)
                yield from alerts.rows(server, run)
            monitor.make_room(server)
        reported = seen
        yield None


def _run_rows(monitor: Monitor, server: Server, run: Run) -> Iterator[Row]:
    first = run.first_stamp or 0.0
    rows = [
        (first if at is None else at, event_row(server, run, at, kept)) for at, kept in run.placed()
    ]
    rows += alert_rows(monitor, server, run, changes_of(monitor, server, run))
    yield from (row for _, row in sorted(rows, key=lambda entry: entry[0]))


def _fields(event: Event) -> dict[str, object]:
    return {name: value for name, value in event.fields.items() if value is not None}
