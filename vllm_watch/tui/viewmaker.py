"""Makes the view of a moment: what all panes show, as one frozen value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from itertools import chain
from operator import attrgetter
from types import MappingProxyType

from vllm_watch.actions.silences import SilenceKey
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.figures import day, percent
from vllm_watch.core.run import Run
from vllm_watch.core.states import OVER
from vllm_watch.core.store import Server
from vllm_watch.health.jobs import JobWatch
from vllm_watch.health.monitor import Monitor
from vllm_watch.health.rules import SEVERITIES
from vllm_watch.health.slowdown import worst_of
from vllm_watch.tui.cardfacts import Facts, card_facts
from vllm_watch.tui.charttable import CHART_BY_NAME, charts_of
from vllm_watch.tui.chartwindow import server_window
from vllm_watch.tui.drawings import Drawings
from vllm_watch.tui.endings import errors_of
from vllm_watch.tui.eventlines import EventLine, newest_lines, server_lines
from vllm_watch.tui.fleetrows import FleetRows, KeptRow
from vllm_watch.tui.lognotes import LogNotes
from vllm_watch.tui.requestfacts import cost_facts, times_facts
from vllm_watch.tui.rows import Row, Rows, engine_rows
from vllm_watch.tui.screenview import Choices, ScreenView
from vllm_watch.tui.serverfindings import ServerFindings
from vllm_watch.tui.serverversions import ServerVersions
from vllm_watch.tui.spanfacts import span_facts
from vllm_watch.tui.startupview import StartupView, startup_view
from vllm_watch.tui.timeline import Timeline, Window

FACTS_SECONDS = 5.0
"""Seconds after which the facts about the selected server are computed again without news."""
QUIET_SECONDS = 20.0
"""After so long without a stats line, a ready server shows its answers, not its start-up."""
MOST_EVENT_LINES = 60
"""Events that are put on the screen; the pane shows the newest that fit."""

_ORDER = (
    ("●", "busy"),
    ("▲", "warning"),
    ("✖", "dead"),
    ("…", "silent"),
    ("◐", "starting"),
    ("○", "idle"),
    ("✓", "finished"),
    ("■", "stopped"),
    ("?", "no stats"),
)
_SHARED = ("…", "○")
"""Shapes of several states: if all servers of a shape are in one state, its name is the word."""


_RowFacts = tuple[Facts, bool, StartupView | None]


@dataclass(frozen=True, slots=True)
class _SelectedParts:
    """The parts of the view that depend on the selected row."""

    drawings: Drawings
    facts: Facts = ()
    errors: bool = False
    startup: StartupView | None = None
    marked: Facts = ()
    charts: tuple[str, ...] = ()


class ViewMaker:
    """Makes views; parts of servers without news are taken from the view before."""

    def __init__(self, monitor: Monitor, tz: tzinfo, job: JobWatch | None) -> None:
        """Show the servers of `monitor`, times in the zone `tz`, and the progress of `job`."""
        self._monitor = monitor
        self._tz = tz
        self._job = job
        self._versions = ServerVersions(monitor)
        self._fleet = FleetRows(monitor, self._versions)
        self._lines: dict[str, tuple[object, tuple[EventLine, ...]]] = {}
        self._newest: tuple[EventLine, ...] = ()
        self._events_of = -1
        """The store's revision for which events are cached, −1 if they are of an earlier moment."""
        self._named: tuple[tuple[int, int], list[int]] = ((0, 0), [])
        """The names by which servers were put in order, and that order."""
        self._notes = LogNotes(monitor, tz)
        self._drawn: dict[object, object] = {}
        self._span: tuple[object, Facts] = ((), ())
        self._facts: tuple[object, _RowFacts] = ((), ((), False, None))

    def knows(self, source: str) -> bool:
        """Tell whether a server has a row."""
        return self._fleet.knows(source)

    def make(
        self,
        timeline: Timeline,
        choices: Choices,
        *,
        troubles: tuple[str, ...] = (),
        silences: Mapping[SilenceKey, float | None] = MappingProxyType({}),
    ) -> ScreenView:
        """Return what the screen shows at the timeline's moment.

        `troubles`: lines after those about paths and logs; `silences`: findings, seconds left.
        """
        monitor, moment, live = self._monitor, timeline.moment(), timeline.following
        kept = self._fleet.at(timeline, silences)
        rows = Rows(self._visible_rows([one.row for one in kept], choices, moment), moment)
        entries = chain.from_iterable(map(attrgetter("entries"), kept))
        findings = ServerFindings(entries, moment, silences)
        selected = _selected(rows.cached, findings, choices)
        window = timeline.drawn()
        shown = self._selected_parts(rows[selected] if rows else None, window, timeline, choices)
        return ScreenView(
            moment,
            self._tz,
            timeline.label(),
            rows,
            selected,
            _counts(kept),
            _total_rate(kept),
            findings,
            self._events(timeline, live),
            shown.drawings,
            shown.facts,
            "" if kept else _missing(monitor),
            (*self._notes.notes(), *troubles),
            choices.filter,
            len(kept) - _servers_among(rows.cached, choices),
            _reading(monitor, live=timeline.mode == "live"),
            shown.errors,
            shown.startup,
            shown.marked,
            shown.charts,
            timeline.replayed(),
            self._fleet.names_revision,
            day(moment, self._tz) != day(timeline.now(), self._tz),
        )

    def _selected_parts(
        self, row: Row | None, window: Window, timeline: Timeline, choices: Choices
    ) -> _SelectedParts:
        """Return the parts for the selected row, if there is one."""
        moment, live = timeline.moment(), timeline.following
        drawings = Drawings(
            self._monitor, window, moment, live, self._versions, cursor=timeline.cursor,
            kept=self._drawn,
        )  # fmt: skip
        if row is None:
            return _SelectedParts(drawings)
        facts, errors, startup = self._row_facts(row, moment, live, window)
        charts = charts_of(self._monitor.store.servers[row.source], row.moment, choices.charts)
        if startup is not None and row.state.name in ("ready", "no-stats"):
            filled = tuple(name for name in charts if not CHART_BY_NAME[name].always)
            if filled and row.moment - (row.state.since or row.moment) >= QUIET_SECONDS:
                startup, charts = None, filled
        return _SelectedParts(
            self._drawings_of(row, drawings, timeline),
            facts,
            errors,
            startup,
            self._marked(row, timeline),
            charts,
        )

    def _marked(self, row: Row, timeline: Timeline) -> Facts:
        """Return the figures of the marked stretch, of a row's server or engine."""
        if timeline.marked is None:
            return ()
        server = self._monitor.store.servers[row.source]
        key = (row.source, row.engine, timeline.marked, server.revision)
        if key != self._span[0]:
            settings = self._monitor.settings
            facts = span_facts(server, row.engine, timeline.marked, settings, self._tz)
            self._span = key, facts
        return self._span[1]

    def _visible_rows(self, servers: list[Row], choices: Choices, moment: float) -> list[Row]:
        """Return the requested rows in their order, engines below their server."""
        shown = servers
        if choices.filter:
            shown = [row for row in servers if _matches(row, choices.filter)]
        if choices.order == "name" and not choices.filter:
            shown = [shown[place] for place in self._by_name(shown)]
        elif choices.order != "found":
            shown.sort(key=_ORDERS[choices.order])
        if not choices.opened:
            return shown
        rows: list[Row] = []
        for row in shown:
            rows.append(row)
            if row.source in choices.opened:
                rows += engine_rows(row.at(moment), self._monitor.store.servers[row.source], moment)
        return rows

    def _by_name(self, servers: list[Row]) -> list[int]:
        """Return the places of servers in the order of their names, which rarely change."""
        known = self._fleet.names_revision, len(servers)
        if known != self._named[0]:
            keys = list(map(_ORDERS["name"], servers))
            self._named = known, sorted(range(len(servers)), key=keys.__getitem__)
        return self._named[1]

    def _drawings_of(self, row: Row, drawings: Drawings, timeline: Timeline) -> Drawings:
        """Return the pictures with the charts of a row."""
        server = self._monitor.store.servers[row.source]
        over = row.state.name in OVER
        span = window = timeline.window()
        if timeline.fitted and timeline.span is not None:
            span = server_window(server, window, row.state.since if over else None)
        if span[1] >= window[1]:  # the server has not ended
            span = timeline.drawn(span)
        return drawings.of(row.source, row.engine, span, over=over)

    def _figures(self, server: Server, run: Run, time: float, window: Window | None) -> Facts:
        """Return the lines of mean times and, with a price, of the cost of the stretch shown."""
        settings = self._monitor.settings
        facts: Facts = (("TIMES", times_facts(run, time, settings.times)),)
        if window is None:
            return facts
        stretch = server.clock.own_window(window)
        return (*facts, ("COST", cost_facts(run, time, stretch, settings.cost)))

    def _row_facts(self, row: Row, moment: float, live: bool, window: Window | None) -> _RowFacts:
        """Return facts about a row's server: its card, whether it failed, its start-up."""
        server = self._monitor.store.servers[row.source]
        version = self._versions.of(server, moment, live)
        pace = 1.0 if row.state.name == "starting" else FACTS_SECONDS
        window = window if self._monitor.settings.cost.gpu_hourly is not None else None
        key = (row.source, row.engine, version, int(moment // pace), row.state, window)
        if key != self._facts[0]:
            over, run = row.state.name in OVER, server.run_at(row.moment)
            slow = self._monitor.trends(server, run).slow_down(run, row.moment)
            trend = slow.get(row.engine) if row.engine is not None else worst_of(slow.values())
            figures = self._figures(server, run, row.moment, window)
            since = row.moment if row.state.since is None else row.state.since
            ended = since if over else None
            facts = card_facts(
                server, row.moment, self._tz, self._job, trend, ended=ended, figures=figures
            )
            startup = startup_view(run, row.moment, self._tz, ended)
            self._facts = key, (facts, bool(errors_of(run, row.moment)), startup)
        return self._facts[1]

    def _events(self, timeline: Timeline, live: bool) -> tuple[EventLine, ...]:
        """Return the newest events of all servers; servers without news keep theirs."""
        store, changed = self._monitor.store, False
        servers, moment, now = store.servers, timeline.moment(), timeline.now()
        old = self._monitor.settings.watch.saved_after_seconds
        known, self._events_of = self._events_of, store.revision if live else -1
        news = store.changes.since(known) if live and known >= 0 else servers.values()
        for server in news:
            source = server.source
            seen = (server.revision, -1) if live else self._versions.of(server, moment, live)
            saved = (live or timeline.at_end) and server.saved(now, old)
            version, kept = (seen, saved), self._lines.get(source)
            if kept is None or kept[0] != version:
                found = server_lines(self._monitor, server, moment, MOST_EVENT_LINES, saved=saved)
                same = kept is not None and kept[1] == found
                self._lines[source] = (version, found)
                changed = changed or not same
        if changed:
            lines = (self._lines[source][1] for source in servers)
            self._newest = newest_lines(lines, MOST_EVENT_LINES)
        return self._newest


def _reading(monitor: Monitor, *, live: bool) -> str:
    """Return how far large logs have been read; live, their newest part is shown meanwhile."""
    progress = monitor.store.reading()
    if progress is None:
        return ""
    read, size = progress
    return f"reading {'the past ' if live else ''}{percent(min(1.0, read / max(1, size)))}"


def _worst_first(row: Row) -> tuple[int, float]:
    worst = row.worst
    rank = -SEVERITIES.index(worst.severity) - 1 if worst is not None else 0
    if row.state.name == "dead":
        rank = -len(SEVERITIES) - 1
    return rank, -(worst.since or 0.0) if worst is not None else 0.0


_ORDERS: Mapping[str, Callable[[Row], tuple[float | str, ...]]] = {
    "worst": _worst_first,
    "rate": lambda row: (-(row.values.generation_tps or 0.0),),
    "waiting": lambda row: (-(row.values.waiting or 0.0),),
    "kv": lambda row: (-(row.values.kv_cache_usage or 0.0),),
    "name": lambda row: (row.model, row.port.rjust(9), row.name),
}
"""Sort keys of servers; equal ones stay in the order found."""


def _matches(row: Row, text: str) -> bool:
    words = text.lower().split()
    hay = f"{row.name} {row.word} {row.state.name}".lower()
    return all(word in hay for word in words)


def _servers_among(rows: Sequence[Row], choices: Choices) -> int:
    """Return how many rows are those of servers: all, unless one is opened to its engines."""
    return sum(row.engine is None for row in rows) if choices.opened else len(rows)


def _selected(rows: Sequence[Row], findings: ServerFindings, choices: Choices) -> int:
    """Return the row of the chosen server and engine; without a choice, the worst server's."""
    if not choices.chosen:
        worst = findings.worst
        source = choices.source if worst is None else worst.row.source
        if source is None:
            return 0
        return next((i for i, row in enumerate(rows) if row.source == source), 0)
    for index, row in enumerate(rows):
        if (row.source, row.engine) == (choices.source, choices.engine):
            return index
    return next((i for i, row in enumerate(rows) if row.source == choices.source), 0)


def _total_rate(kept: Sequence[KeptRow]) -> float | None:
    """Return the tokens per second of all servers, None if unknown."""
    rates = [one.rate for one in kept if one.rate is not None]
    return sum(rates) if rates else None


def _missing(monitor: Monitor) -> str:
    """Return the paths that match nothing yet."""
    search = monitor.store.search
    return "" if search is None else " ".join(search.missing)


def _counts(kept: Sequence[KeptRow]) -> tuple[tuple[str, str, int], ...]:
    states = Counter([(one.shape, one.row.state.name) for one in kept])
    found, words = Counter[str](), dict(_ORDER)
    for (shape, _), number in states.items():
        found[shape] += number
    if any(shape == "✖" and state != "dead" for shape, state in states):
        words["✖"] = "critical"
    for shape in _SHARED:
        names = {state for known, state in states if known == shape}
        words[shape] = names.pop() if len(names) == 1 else words[shape]
    return tuple((shape, words[shape], found[shape]) for shape, _ in _ORDER if found[shape])


def whole_minutes(silences: Mapping[SilenceKey, float | None]) -> dict[SilenceKey, int | None]:
    """Return the time left as shown: a change of it needs a redraw."""
    return {key: None if left is None else int(left // 60) for key, left in silences.items()}
