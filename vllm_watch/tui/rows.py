"""Frozen views of servers: the content of a table row at a moment."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.enginevalues import combined_value
from vllm_watch.core.logclock import LogClock
from vllm_watch.core.metrics import ALL_ENGINES, METRIC_BY_NAME
from vllm_watch.core.patterns import lazy
from vllm_watch.core.run import Run
from vllm_watch.core.startup import startup_share, with_progress
from vllm_watch.core.states import LATE_CADENCES, NO_LINE, OVER, SHAPES, ServerState
from vllm_watch.core.store import Server
from vllm_watch.health.finding import RankedFinding
from vllm_watch.health.monitor import Monitor
from vllm_watch.health.rules import GLYPHS
from vllm_watch.tui.endings import ending_words, first_errors
from vllm_watch.tui.lazysequence import LazySequence

_SERIALS = count(1)


@dataclass(frozen=True, slots=True)
class Values:
    """The newest numbers of an engine or a server; None if unknown."""

    generation_tps: float | None = None
    prompt_tps: float | None = None
    running: float | None = None
    waiting: float | None = None
    kv_cache_usage: float | None = None
    prefix_cache_hit_rate: float | None = None

    @property
    def per_request(self) -> float | None:
        """Tokens per second per running request (decode rate)."""
        if not self.running or self.generation_tps is None:
            return None
        return self.generation_tps / self.running


_METRICS = [METRIC_BY_NAME[name] for name in Values.__match_args__]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the fleet: a server, or one of its engines."""

    source: str
    engine: int | None
    """None: the whole server."""
    name: str
    model: str
    port: str
    """`:8001`, or empty where unknown."""
    state: ServerState
    ranked: tuple[RankedFinding, ...]
    """Its findings, the worst first."""
    values: Values
    age: float | None
    """Seconds since the newest stats line."""
    late: bool
    """True if that is more than three cadences of a busy server."""
    moment: float = 0.0
    """The moment shown, in the log's own clock."""
    progress: float | None = None
    """Share of the start-up that is done, None when it is over."""
    engines: int = 0
    """How many engines it has."""
    trouble: str = ""
    """Why its file cannot be read."""
    requests: float | None = None
    """Requests answered per second, if stats lines do not show more."""
    errors: float | None = None
    """Requests per second that were answered with an error."""
    ending: tuple[str, ...] = ()
    """Why it ended, the longest form first."""
    saved: bool = False
    """True for a saved log: no more lines are expected."""
    last: Values = Values()
    """The newest numbers written, also for a server that has ended."""
    silenced: frozenset[str] = frozenset()
    """Ids of silenced findings: they do not colour the row."""
    clock: LogClock = LogClock()
    first_errors: tuple[str, ...] = ()
    """The first error lines of the log of a dead or ended server."""
    serial: int = 0
    """Two rows with the same serial differ only in the moment."""

    @property
    def short(self) -> str:
        """The shortest distinguishing name: its port."""
        return self.port or self.name

    def at(self, moment: float) -> Row:
        """Return the same row a little later, at a moment of our clock."""
        own = self.clock.own(moment)
        if own == self.moment:
            return self
        age = None if self.age is None else max(0.0, self.age + own - self.moment)
        return replace(self, moment=own, age=age)

    def same(self, other: Row) -> bool:
        """Return whether another row from the same lines differs only in its moment."""
        one, two = (replace(row, moment=0.0, age=None, serial=0) for row in (self, other))
        return one == two

    @property
    def severity(self) -> str:
        """The worst finding's severity, empty if there is none."""
        return self.worst.severity if self.worst else ""

    @property
    def worst(self) -> RankedFinding | None:
        """The worst finding that is not silenced."""
        return next((found for found in self.ranked if found.id not in self.silenced), None)

    @property
    def shape(self) -> str:
        """The sign of its state."""
        works = self.state.name in ("busy", "idle", "ready")
        if works and self.severity in ("warning", "critical"):
            return GLYPHS[self.severity]
        return SHAPES[self.state.name]

    @property
    def word(self) -> str:
        """The worst finding in a word, else the state."""
        if self.state.name == "starting" and self.state.why:
            return "starting"
        if self.worst is not None and self.worst.severity != "note":
            return self.worst.word
        return self.state.name


class Rows(LazySequence[Row]):
    """Rows as of a moment; a row is only updated when it is read."""

    def __init__(self, cached: Sequence[Row], moment: float) -> None:
        """Show `cached` rows as of `moment`, in our clock."""
        super().__init__()
        self.cached = cached
        self.moment = moment

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.cached)

    def make(self, place: int) -> Row:
        """Return a row as of the moment."""
        return self.cached[place].at(self.moment)


def make_row(monitor: Monitor, server: Server, time: float, *, live: bool, saved: bool) -> Row:
    """Return the row of a server as of `time`; `saved`: nothing more is expected of its log."""
    time = server.clock.own(time)  # a log with its own clock is shown in that clock
    if live:
        health = monitor.recent.advance(server, time, saved=saved)
    else:
        health = monitor.health(server, time, live=False, saved=saved)
    run = server.run_at(time)
    gone = health.state.name in (*OVER, "starting", "no-stats", "ready")
    last = server_values(run, time)
    since = newest_age(run, time, live=live)
    if health.state.name == "starting" and not run.events:
        health = replace(health, state=replace(health.state, why=f"{NO_LINE} yet"))
    if live and run.progress is not None and health.state.name == "starting":
        health = replace(health, state=with_progress(health.state, run.progress[0]))
    silent = health.state.name in ("ready", "no-stats")
    traffic = run.traffic.rate(time, run.stamps()) if silent else None
    late = health.state.name in ("busy", "stalled") and (since or 0) > LATE_CADENCES * run.cadence
    return Row(
        server.source,
        None,
        _without_joiners(server.name),
        _without_joiners(server.known.model or server.known.stem),
        f":{server.known.port}" if server.known.port else "",
        health.state,
        health.ranked,
        Values() if gone else last,
        since,
        late,
        time,
        startup_share(health.state, run.progress[0] if live and run.progress else None),
        len(run.engines),
        server.trouble or "",
        None if traffic is None else traffic.answered,
        None if traffic is None else traffic.refused + traffic.failed,
        ending_words(health.state, run, time),
        saved,
        last,
        clock=server.clock,
        serial=next(_SERIALS),
        first_errors=first_errors(health.state, run, time),
    )


_JOINERS = lazy(r"[\u200b-\u200d\u2060\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]")


def _without_joiners(text: str) -> str:
    """Return text without combining signs: terminals draw these in different widths."""
    return text if text.isascii() else _JOINERS.sub("", text)


def engine_rows(row: Row, server: Server, time: float) -> list[Row]:
    """Return the rows of a server's engines."""
    time = server.clock.own(time)
    run = server.run_at(time)
    rows = []
    for engine in run.engines:
        index = run.series[engine].index_at(time)
        own = tuple(found for found in row.ranked if found.engine in (None, engine))
        unknown = row.values == Values() or index is None
        rows.append(
            Row(
                server.source,
                engine,
                "all engines" if engine == ALL_ENGINES else f"engine {engine:03d}",
                row.model,
                row.port,
                row.state,
                own,
                Values() if unknown else engine_values(run, engine, time),
                None if index is None else time - run.series[engine].written(index, time),
                row.late,
                time,
                silenced=row.silenced,
                clock=server.clock,
            )
        )
    return rows


def server_values(run: Run, time: float) -> Values:
    """Return the numbers of all engines together: sums of counts and rates, means of ratios."""
    each = [run.series[engine] for engine in run.engines]
    newest = [(one.columns, at) for one in each if (at := one.index_at(time)) is not None]
    if not newest:
        return Values()
    total: list[float | None] = []
    for metric in _METRICS:
        name = metric.name
        known = [columns[name][at] for columns, at in newest if name in columns]
        value = combined_value(metric, known) if known else None
        if value != value:  # NaN: an engine has none
            known = [one for one in known if one == one]
            value = combined_value(metric, known) if known else None
        total.append(value)
    return Values(*total)


def engine_values(run: Run, engine: int, time: float) -> Values:
    """Return the numbers of one engine as of `time`."""
    series = run.series[engine]
    index = series.index_at(time)
    if index is None:
        return Values()
    return Values(**{name: series.value(name, index) for name in Values.__slots__})


def newest_age(run: Run, time: float, *, live: bool) -> float | None:
    """Return the seconds since the newest stats line of any engine."""
    newest = []
    for engine in run.engines:
        index = run.series[engine].index_at(time)
        if index is not None:
            written = run.series[engine].written(index, time)
            if live and index == len(run.series[engine]) - 1:
                written = max(written, run.last_arrivals.get(engine, written))
            newest.append(written)
    return max(0.0, time - max(newest)) if newest else None
