"""Alerts and trends as events: when each fired and when it ended, in the log's own time."""

from __future__ import annotations

import math
from collections.abc import Iterator

from vllm_watch.config.sections import Severity
from vllm_watch.core.figures import iso
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.metrics import engine_label
from vllm_watch.core.run import Run
from vllm_watch.core.store import Server
from vllm_watch.health.alertfindings import alert_finding, over_words
from vllm_watch.health.enginetrend import TrendSpan
from vllm_watch.health.monitor import Monitor
from vllm_watch.health.rules import title_over
from vllm_watch.health.spans import WHOLE_SERVER, AlertSpan
from vllm_watch.reports.rows import Row, row_of

KIND = "alert"
_LEVELS: dict[Severity, str] = {"note": "INFO", "warning": "WARNING", "critical": "CRITICAL"}


class Change(NamedTuple):
    """An alert that fired or ended."""

    time: float
    id: str
    engine: int
    since: float
    resolved: bool
    span: AlertSpan | TrendSpan

    @property
    def key(self) -> tuple[object, ...]:
        """Its identity, the same each time it is judged."""
        return self[:-1]


def changes_of(monitor: Monitor, server: Server, run: Run) -> list[Change]:
    """Return the alerts that fired and ended in a run up to its newest stamp, in that order."""
    spans: list[AlertSpan | TrendSpan] = [*monitor.alerts(server, run).spans()]
    spans += monitor.trends(server, run).spans(run)
    changes = []
    for span in spans:
        name = span.rule.id if isinstance(span, AlertSpan) else span.id
        known = (name, span.engine, span.since)
        changes.append(Change(span.fired, *known, False, span))
        if span.until is not None:
            changes.append(Change(span.until, *known, True, span))
    newest = math.inf if run.newest_stamp is None else run.newest_stamp
    known_by_now = (change for change in changes if change.time <= newest)
    return sorted(known_by_now, key=lambda change: (change.time, change.resolved, change.id))


def alert_rows(
    monitor: Monitor, server: Server, run: Run, changes: list[Change]
) -> Iterator[tuple[float, Row]]:
    """Yield the time and the record of each change, as it was known at that time."""
    case, spans = monitor.case(server, run), monitor.alerts(server, run).spans()
    for change in changes:
        span = change.span
        if isinstance(span, AlertSpan):
            beside = [one for one in spans if one is not span and one.firing_at(span.fired)]
            finding = alert_finding(case, span, span.fired, beside)
            severity, text = finding.severity, finding.title
            if change.resolved:
                text, _ = over_words(case, span, beside)
        else:
            finding = monitor.trends(server, run).finding(run, span)
            severity, text = finding.severity, finding.title
            if change.resolved:
                text = title_over(finding.title)
        yield change.time, _row(server, run, change, severity, text)


def _row(server: Server, run: Run, change: Change, severity: Severity, text: str) -> Row:
    engine = engine_label(change.engine)
    return {
        **row_of(server, run, change.time),
        "kind": KIND,
        "level": _LEVELS[severity],
        "text": text,
        "fields": {
            "id": change.id,
            "engine": None if engine == WHOLE_SERVER else engine,
            "severity": severity,
            "change": "resolved" if change.resolved else "fired",
            "since": iso(change.since, server.clock.tz),
        },
    }


class AlertsAsTheyCome:
    """Reports each change once while a log grows.

    A change waits for the next line of its log or the next search of the files, as a sample does: a
    companion line just after it may still change the judgement.
    """

    def __init__(self, monitor: Monitor) -> None:
        """Report on a monitor's servers."""
        self._monitor = monitor
        self._written: dict[tuple[str, int], set[tuple[object, ...]]] = {}
        self._seen: dict[tuple[str, int], tuple[int, float | None]] = {}
        self._waiting: set[tuple[str, int]] = set()
        """Runs with changes that wait."""

    def moved(self, source: str, seconds: float) -> None:
        """Note that all times of a log have shifted: reported changes are not reported again."""
        for place, written in self._written.items():
            if place[0] == source:
                self._written[place] = {_moved(key, seconds) for key in written}

    def rows(self, server: Server, run: Run) -> Iterator[Row]:
        """Yield the new changes of a run."""
        place = (server.source, run.number)
        judgement = self._monitor.alerts(server, run)
        now = (judgement.revision, run.newest_stamp)
        before, self._seen[place] = self._seen.get(place), now
        written = self._written.setdefault(place, set())
        if before == now and place not in self._waiting:
            return
        changes = changes_of(self._monitor, server, run)
        settled = [c for c in changes if before == now or c.time < (run.newest_stamp or c.time)]
        if len(settled) < len(changes):
            self._waiting.add(place)
        else:
            self._waiting.discard(place)
        fresh = [change for change in settled if change.key not in written]
        self._written[place] = {change.key for change in changes if change.key in written}
        self._written[place] |= {change.key for change in fresh}
        yield from (row for _, row in alert_rows(self._monitor, server, run, fresh))


def _moved(key: tuple[object, ...], seconds: float) -> tuple[object, ...]:
    time, name, engine, since, resolved = key
    assert isinstance(time, float)
    assert isinstance(since, float)
    return (time + seconds, name, engine, since + seconds, resolved)
