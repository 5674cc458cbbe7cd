"""Events in words, newest first."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.evidence import end_of, torn_down
from vllm_watch.core.figures import duration
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.keptevents import HTTP_ERRORS, KeptEvent
from vllm_watch.core.reasons import DEATHS, ERRORS, without_module
from vllm_watch.core.records import Event, FieldValue
from vllm_watch.core.run import Run
from vllm_watch.core.startup import is_engine_ready, without_server, working_at
from vllm_watch.core.store import Server
from vllm_watch.health.alertfindings import alert_title, begun_at, over_words, shown_rises
from vllm_watch.health.answeralerts import SCOPE
from vllm_watch.health.finding import Case
from vllm_watch.health.monitor import Monitor
from vllm_watch.health.rules import GLYPHS, title_over
from vllm_watch.health.spans import AlertSpan
from vllm_watch.tui.endings import said_of
from vllm_watch.tui.rows import server_values


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event as a line."""

    time: float
    glyph: str
    role: str
    """Palette key: good, note, warning, critical, muted."""
    server: str
    text: str
    about: bool = False
    """True when the line carried no stamp: the time is approximate."""
    part: str = ""
    """Its part in an end: `end`, `echo` (only a sign of it), `failures`, `alert`."""


AFTER_DEATH = "after it died"
MORE_THAN_IN_FLIGHT = "in flight and new ones"
"""Which requests an API server fails whose engine died, if they are more than its last line had."""
_ECHOES = (*DEATHS, "cause", "error", "traceback")
"""Kinds of events that follow from a death, or from a stop."""
_END_SECONDS = 5.0
"""Events up to so long after an end are told with it …"""
_BEFORE_SECONDS = 1.0
"""… and errors up to so long before it."""


def _answers(fields: Mapping[str, FieldValue]) -> str:
    """Return `497 × HTTP 500 at /v1/completions`, without a route `497 × HTTP 500`."""
    routes = fields.get("routes")
    return _numbers(fields) + (f" at {routes}" if routes else "")


def _numbers(fields: Mapping[str, FieldValue]) -> str:
    return ", ".join(f"{n:,} × HTTP {status}" for status, n in sorted(_counts(fields).items()))


def _counts(fields: Mapping[str, FieldValue]) -> dict[str, int]:
    """Return the number of answers by their status."""
    return {status: n for status, n in fields.items() if isinstance(n, int)}


NOT_THIS = ": another process, the server works on"
"""What is added to a line about a death after which the server generated tokens."""
TOLD_TO_STOP = "told to stop: ctrl+c or SIGTERM"
"""How a server was stopped if its log names no signal: vLLM shuts down only for these two."""


def _stopped(fields: Mapping[str, FieldValue]) -> str:
    signal = fields.get("signal")
    return f"told to stop: {signal}" if signal else TOLD_TO_STOP


_WORDS: Mapping[str, tuple[str, str, Callable[[Mapping[str, FieldValue], Event], str]]] = {
    "version": ("◐", "note", lambda f, _: f"vLLM {f.get('version', '')} starts"),
    "phase": ("◐", "muted", lambda f, _: str(f.get("phase", "starting"))),
    "server_up": ("●", "good", lambda f, _: f"up at {f.get('address', '')}"),
    "no_stats": ("?", "note", lambda _f, e: "stats lines are switched off"),
    "spike": ("•", "note", lambda f, _: f"paused to compile {f.get('kernel', '')}"),
    "stop": ("■", "muted", lambda f, _: _stopped(f)),
    "dead": ("✖", "critical", lambda f, e: str(f.get("reason", e.text))),
    "cause": ("✖", "critical", lambda f, e: f"{f.get('cause', '')}: {e.text}"),
    "killed": ("✖", "critical", lambda f, e: f"ended from outside: {f.get('reason', e.text)}"),
    "usage": ("✖", "critical", lambda f, e: f"bad flags: {f.get('reason', e.text)}"),
    "traceback": ("✖", "critical", lambda f, e: without_module(str(f.get("error", e.text)))),
    "error": ("✖", "warning", lambda _f, e: e.text),
    "http_errors": ("▲", "warning", lambda f, _: _answers(f)),
}
"""Kind of event to glyph, role and words; other kinds are not shown."""


def newest_lines(lines: Iterable[Sequence[EventLine]], limit: int) -> tuple[EventLine, ...]:
    """Return the newest of the events of several servers, the newest first.

    Events of the same second keep their order, the newest of a server first.
    """
    return tuple(sorted(chain.from_iterable(lines), key=lambda line: -line.time)[:limit])


def server_lines(
    monitor: Monitor, server: Server, until: float, limit: int, *, saved: bool = False
) -> tuple[EventLine, ...]:
    """Return the newest events of one server up to `until` (our clock), the newest first.

    `saved`: nothing more will be written to its log.
    """
    time = server.clock.own(until)
    lines = [
        *_log_lines(server, time, saved),
        *_alert_lines(monitor, server, time, limit),
        *_trend_lines(monitor, server, time),
    ]
    return newest_lines([_ends_as_one(lines)[::-1]], limit)


def _ends_as_one(lines: list[EventLine]) -> list[EventLine]:
    """Return events in which each end of a run has one line: why, and which requests failed."""
    ends = sorted({line.time for line in lines if line.part == "end"})
    shown: list[EventLine] = []
    failed: dict[float, str] = {}
    for line in lines:
        before = bisect_right(ends, line.time) if line.part not in ("", "end") else 0
        if before and line.time - ends[before - 1] <= _END_SECONDS:
            if line.part != "echo":  # those of the log come first, and say more than an alert
                failed.setdefault(ends[before - 1], line.text)
        else:
            shown.append(line)
    return [
        replace(line, text=f"{line.text}; {failed[line.time]}")
        if line.part == "end" and line.time in failed
        else line
        for line in shown
    ]


def short_name(server: Server) -> str:
    """Return the port with its colon, else the name."""
    return f":{server.known.port}" if server.known.port else server.name


def _log_lines(server: Server, until: float, saved: bool) -> Iterator[EventLine]:
    """Yield the events of the log itself."""
    name = short_name(server)
    for run in server.runs:
        said: set[str] = set()
        stopped = False
        end = _end_line(name, run, until, over=saved or run is not server.run)
        after_work = torn_down(run, run.placed())
        for at, kept in run.placed():
            kind = kept.event.kind
            line = _event_line(name, run, at, kept, said)
            if line is not None and (stopped or (after_work and kind in _ECHOES)):
                # Signs of death after a stop belong to the stop, not to a failure.
                part = "echo" if kind in _ECHOES else ""
                line = replace(line, glyph="■", role="muted", part=part)
            elif line is not None and kind == "stop":
                line = replace(line, part="end")
            elif line is not None and end is not None:
                line = _beside(end, line, run, kept)
            elif line is not None and kind in DEATHS:
                line = replace(line, glyph="•", role="note", text=f"{kept.event.text}{NOT_THIS}")
            if line is not None and line.time <= until:
                yield line
            stopped = stopped or kind == "stop"
        if end is not None:
            yield end


def _end_line(name: str, run: Run, until: float, *, over: bool) -> EventLine | None:
    """Return the line of a run's end: why it died, or that it was told to stop."""
    end = end_of(run, until, over=over)
    if end is None:
        return None
    if not end.died:
        return EventLine(end.time, "■", "muted", name, TOLD_TO_STOP, part="end")
    signs = (
        kept.event for at, kept in run.placed() if at == end.time and kept.event.kind in ERRORS
    )
    sign = next(signs, None)
    text = said_of(end.reason.text, run, until)
    if end.reason.cause and end.reason.cause.lower() not in text.lower():
        text = f"{end.reason.cause}: {text}"
    text = f"died: {text}" if text else "died"
    if sign is not None and sign.kind == "killed":
        text = _WORDS["killed"][2](sign.fields, sign)
    about = sign is not None and sign.time is None
    return EventLine(end.time, "✖", "critical", name, text, about=about, part="end")


def _beside(end: EventLine, line: EventLine, run: Run, kept: KeptEvent) -> EventLine | None:
    """Return an event of a run that ended; None if the line of the end says it."""
    kind, later = kept.event.kind, line.time - end.time
    if kind in _ECHOES and -_BEFORE_SECONDS <= later <= _END_SECONDS:
        return None
    if later >= 0 and kind == HTTP_ERRORS:
        return replace(line, text=_failed(run, kept.event.fields), part="failures")
    return line


def _failed(run: Run, fields: Mapping[str, FieldValue]) -> str:
    """Return how many requests failed after a death, and which; their routes say nothing then."""
    last = server_values(run, math.inf)
    in_flight = (last.running or 0.0) + (last.waiting or 0.0)
    many = sum(_counts(fields).values()) > in_flight > 0
    return f"{_numbers(fields)}: {MORE_THAN_IN_FLIGHT if many else AFTER_DEATH}"


def _alert_lines(monitor: Monitor, server: Server, until: float, limit: int) -> list[EventLine]:
    """Return the newest alerts, each also when it grew worse; none that another one explains.

    An alert does not end after the last line of its run, because no line shows its end. The lines
    are kept until an alert changes: a screen asks at every line of a server.
    """
    name, now = short_name(server), until
    found: list[EventLine] = []
    for run in server.runs:
        until = now if run.newest_stamp is None else min(now, run.newest_stamp)
        judgement = monitor.alerts(server, run)
        spans, key = judgement.spans(), (name, limit, len(judgement.startup))
        known = run.memo.get("alert lines")
        if known is not None and known[0] == key and isinstance(known[1], _Lines):
            kept = known[1]
            if kept.spans is spans and kept.newest <= until:
                found += kept.lines
                continue
        newest = max(map(_newest, spans), default=-math.inf)
        kept = _Lines(spans, newest, [*_lines_of(monitor.case(server, run), name, until, limit)])
        if newest <= until:
            run.memo["alert lines"] = key, kept
        found += kept.lines
    return found


class _Lines(NamedTuple):
    """Alerts and the lines about them."""

    spans: list[AlertSpan]
    newest: float
    """When one of these alerts changed last."""
    lines: list[EventLine]


def _newest(span: AlertSpan) -> float:
    return max(at for at in (span.fired, span.until, span.raised) if at is not None)


def _lines_of(case: Case, name: str, until: float, limit: int) -> Iterator[EventLine]:
    """Yield what is said about the newest alerts of a run."""
    spans = [span for span in case.alerts.spans() if span.fired <= until][-2 * limit :]
    for span in spans:
        steps = [step for step in shown_rises(span, spans) if step[0] <= until]
        for at, severity, _ in steps:
            title, part = alert_title(case, span, spans, at), ""
            if span.rule.scope == SCOPE:
                title += f" in {case.settings.health.http_seconds / 60:g} min"
                part = "alert"
            else:  # its figures were those of that moment: beside the newest ones they confuse
                title = title.partition(":")[0]
            begun = begun_at(span, spans, at)
            yield EventLine(begun, GLYPHS[severity], severity, name, title, part=part)
        for worst in {id(step[2]): step[2] for step in steps}.values():
            if worst.until is not None and worst.until <= until:
                text, good = over_words(case, worst, spans)
                glyph, role = ("✓", "good") if good else ("·", "muted")
                yield EventLine(worst.until, glyph, role, name, text)


def _trend_lines(monitor: Monitor, server: Server, until: float) -> Iterator[EventLine]:
    """Yield the trends that were warnings, and when each was over."""
    name = short_name(server)
    for span, finding in monitor.trend_warnings(server, until):
        glyph = GLYPHS[span.severity]
        yield EventLine(span.since, glyph, span.severity, name, finding.title)
        if span.until is not None and span.until <= until:
            yield EventLine(span.until, "✓", "good", name, title_over(finding.title))


def _event_line(
    name: str, run: Run, at: float | None, kept: KeptEvent, said: set[str]
) -> EventLine | None:
    event = kept.event
    words = _WORDS.get(event.kind)
    if words is None or at is None:
        return None
    glyph, role, make = words
    text = make(event.fields, event)
    if event.kind == HTTP_ERRORS and any(status >= "500" for status in _counts(event.fields)):
        glyph, role = "✖", "critical"
    ready = event.kind == "server_up"
    if is_engine_ready(event) and without_server(run):
        ready = working_at(run) == at
        glyph, role, _ = _WORDS["server_up"]
    if ready and run.began is not None:
        text = f"ready after {duration(at - run.began)}"
    if event.kind in ("phase", "dead", "version"):
        if text in said:
            return None
        said.add(text)
    return EventLine(at, glyph, role, name, text, about=kept.about)
