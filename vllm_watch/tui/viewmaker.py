"""Makes the view of a moment: what all panes show, as one frozen value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo
from types import MappingProxyType

from vllm_watch.actions.silences import Key
from vllm_watch.core.moments import since_words
from vllm_watch.core.states import OVER
from vllm_watch.core.store import Server
from vllm_watch.health.jobs import JobWatch
from vllm_watch.health.longcontext import worst_of
from vllm_watch.health.monitor import Monitor
from vllm_watch.health.rules import SEVERITIES
from vllm_watch.tui.chartwindow import server_window
from vllm_watch.tui.endings import failed
from vllm_watch.tui.eventlines import event_lines
from vllm_watch.tui.facts import Facts, facts_of
from vllm_watch.tui.figures import percent
from vllm_watch.tui.pictures import Pictures
from vllm_watch.tui.rows import Row, engine_rows, make_row
from vllm_watch.tui.screenview import Choices, Problem, ScreenView
from vllm_watch.tui.timeline import Timeline

MOST_EVENT_LINES = 60
"""Events that are put on the screen; the pane shows the newest that fit."""

_ORDER = (
    ("●", "busy"),
    ("▲", "warning"),
    ("✖", "dead"),
    ("…", "silent"),
    ("◐", "starting"),
    ("○", "idle"),
    ("■", "stopped"),
    ("?", "no stats"),
)


def make_view(
    monitor: Monitor,
    timeline: Timeline,
    choices: Choices,
    tz: tzinfo,
    job: JobWatch | None = None,
    *,
    troubles: tuple[str, ...] = (),
    silences: Mapping[Key, float | None] = MappingProxyType({}),
) -> ScreenView:
    """Return what the screen shows at the timeline's moment.

    `job` tells how far it is; `troubles` are lines about what else needs a hand, after those
    about paths and logs; `silences` the findings that are silenced, with the seconds left.
    """
    moment, window = timeline.moment(), timeline.window()
    live = timeline.following
    begun = [
        server
        for server in monitor.store.servers.values()
        if timeline.mode == "live" or _begun(server, moment)
    ]
    after = monitor.settings.watch.saved_after_seconds
    made = (
        make_row(
            monitor, server, moment, live=live, saved=live and server.saved(timeline.now(), after)
        )
        for server in begun
    )
    servers = [_silenced(row, silences) for row in made]
    shown = [row for row in servers if _matches(row, choices.filter)]
    rows: list[Row] = []
    for row in shown:
        rows.append(row)
        if row.source in choices.opened:
            rows += engine_rows(row, monitor.store.servers[row.source], moment)
    problems = _problems(servers, silences)
    selected = _selected(rows, problems, choices)
    looked = monitor.store.looked
    waiting = ""
    if not servers and looked is not None:
        waiting = " ".join(looked.missing)
    rates = [row.values.generation_tps for row in servers if row.values.generation_tps is not None]
    ages = [row.age for row in servers if row.age is not None]
    pictures = Pictures(monitor, window, moment)
    facts: Facts = ()
    errors = False
    if rows:
        at = rows[selected]
        server = monitor.store.servers[at.source]
        over = at.state.name in OVER
        fits = timeline.fitted and timeline.span is not None
        gone = at.state.since if over else None
        span = server_window(server, window, gone) if fits else window
        pictures = pictures.of(at.source, at.engine, span, over=over)
        run = server.run_at(at.moment)
        slow = monitor.trends(server, run).slow_down(run, at.moment)
        trend = slow.get(at.engine) if at.engine is not None else worst_of(slow.values())
        facts = facts_of(server, at.moment, tz, job, trend, over=over)
        errors = failed(run, at.moment)
    return ScreenView(
        moment,
        tz,
        timeline.label(),
        tuple(rows),
        selected,
        _counts(servers),
        sum(rates) if rates else None,
        min(ages) if ages else None,
        problems,
        event_lines(monitor, moment, MOST_EVENT_LINES),
        pictures,
        facts,
        window,
        waiting,
        (*_notes(monitor, tz), *troubles),
        choices.filter,
        len(servers) - len(shown),
        _reading(monitor, live=timeline.mode == "live"),
        errors,
        monitor.store.revision,
    )


def _reading(monitor: Monitor, *, live: bool) -> str:
    """Return how far large logs have been read; live, their newest part is shown meanwhile."""
    progress = monitor.store.reading()
    if progress is None:
        return ""
    read, size = progress
    return f"reading {'the past ' if live else ''}{percent(min(1.0, read / max(1, size)))}"


def _begun(server: Server, moment: float) -> bool:
    first = server.runs[0].first_stamp
    return first is None or first <= moment


def _matches(row: Row, text: str) -> bool:
    words = text.lower().split()
    hay = f"{row.name} {row.word} {row.state.name}".lower()
    return all(word in hay for word in words)


def _selected(rows: list[Row], problems: tuple[Problem, ...], choices: Choices) -> int:
    """Return the row of the chosen server and engine; unchosen, the worst server's."""
    if not choices.chosen:
        source = next((p.row.source for p in problems if p.loud), choices.source)
        return next((i for i, row in enumerate(rows) if row.source == source), 0)
    for index, row in enumerate(rows):
        if (row.source, row.engine) == (choices.source, choices.engine):
            return index
    return next((i for i, row in enumerate(rows) if row.source == choices.source), 0)


def _counts(rows: list[Row]) -> tuple[tuple[str, str, int], ...]:
    found = Counter(row.shape for row in rows)
    dead = sum(row.state.name == "dead" for row in rows)
    words = dict(_ORDER)
    if found["✖"] and dead < found["✖"]:
        words["✖"] = "critical"
    return tuple((shape, words[shape], found[shape]) for shape, _ in _ORDER if found[shape])


def _silenced(row: Row, silences: Mapping[Key, float | None]) -> Row:
    quiet = frozenset(found.id for found in row.findings if (row.source, found.id) in silences)
    return replace(row, silenced=quiet) if quiet else row


def _problems(rows: list[Row], silences: Mapping[Key, float | None]) -> tuple[Problem, ...]:
    """Return all findings: the loud ones first, the worst of them before the others."""
    found = [
        Problem(row, finding, silences.get((row.source, finding.id)))
        for row in rows
        for finding in row.findings
    ]
    found.sort(
        key=lambda problem: (
            problem.silenced,
            -SEVERITIES.index(problem.finding.severity),
            -(problem.finding.since or 0.0),
        )
    )
    return tuple(found)


def _notes(monitor: Monitor, tz: tzinfo) -> tuple[str, ...]:
    looked = monitor.store.looked
    notes = [*monitor.notes]
    now = looked.time if looked else 0.0
    if looked:
        each = zip(looked.troubles, looked.troubles_since, strict=True)
        notes += [text + since_words(since, now, tz) for text, since in each]
    if looked and monitor.store.servers:
        notes += [
            f"{path}: is not there yet; it is read when it appears" for path in looked.missing
        ]
    for server in monitor.store.servers.values():
        if server.trouble:
            since = server.trouble_since
            notes.append(server.trouble + since_words(since, now or since or 0.0, tz))
        if server.stats_like:
            notes.append(
                f"{server.source}: {server.stats_like} stats-like lines without a known envelope"
            )
        if server.damaged:
            notes.append(f"{server.source}: {server.damaged} stats lines were cut off")
        if server.run.doubled:
            notes.append(
                f"{server.source}: {server.run.doubled} API servers write lines for one engine; "
                "each line counts only its own requests"
            )
        if server.lines > 20 and not server.records:
            notes.append(
                f"{server.source}: no line of vLLM in {server.lines:,} lines; is it a log?"
            )
    return tuple(notes)
