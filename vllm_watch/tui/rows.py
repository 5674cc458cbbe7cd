"""Frozen views of servers: what a row of the fleet shows at a moment."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vllm_watch.core.metrics import ALL_ENGINES, METRIC_BY_NAME
from vllm_watch.core.phases import startup_share, with_progress
from vllm_watch.core.run import Run
from vllm_watch.core.series import Series
from vllm_watch.core.states import OVER, ServerState
from vllm_watch.core.store import Server
from vllm_watch.health.findings import Finding
from vllm_watch.health.monitor import Monitor
from vllm_watch.tui.endings import ending_words

SPARK_POINTS = 60
"""Values of a sparkline; drawn narrower where there is less room."""

_SHAPES = {
    "busy": "●",
    "idle": "○",
    "ready": "○",
    "starting": "◐",
    "stopped": "■",
    "finished": "■",
    "dead": "✖",
    "no-stats": "?",
    "ended": "…",
    "stalled": "…",
}


@dataclass(frozen=True, slots=True)
class Values:
    """The newest numbers of an engine or a server; None where unknown."""

    generation_tps: float | None = None
    prompt_tps: float | None = None
    running: float | None = None
    waiting: float | None = None
    kv_cache_usage: float | None = None
    prefix_cache_hit_rate: float | None = None

    @property
    def per_request(self) -> float | None:
        """Tokens per second per running request (HEALTH §4: decode rate)."""
        if not self.running or self.generation_tps is None:
            return None
        return self.generation_tps / self.running


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
    findings: tuple[Finding, ...]
    values: Values
    age: float | None
    """Seconds since the newest stats line."""
    late: bool
    """True when that is more than three cadences of a server at work."""
    spark: tuple[float | None, ...]
    moment: float = 0.0
    """The moment shown, in the log's own clock."""
    progress: float | None = None
    """Share of the start-up that is done, None when it is over."""
    engines: int = 0
    """How many engines it has."""
    trouble: str = ""
    """Why its file cannot be read."""
    requests: float | None = None
    """Requests answered per second, where no stats line tells more."""
    errors: float | None = None
    """Requests per second that were answered with an error."""
    ending: tuple[str, ...] = ()
    """Why it ended, in words that become fewer."""
    silenced: frozenset[str] = frozenset()
    """Ids of findings that nobody wants to hear of now: they do not colour the row."""

    @property
    def short(self) -> str:
        """The shortest name that tells it from the others: its port."""
        return self.port or self.name

    @property
    def severity(self) -> str:
        """The worst finding's severity, empty where all is well."""
        return self.worst.severity if self.worst else ""

    @property
    def worst(self) -> Finding | None:
        """The worst finding that is not silenced."""
        return next((found for found in self.findings if found.id not in self.silenced), None)

    @property
    def shape(self) -> str:
        """The sign of its state."""
        if self.state.name in ("busy", "idle", "ready") and self.severity == "critical":
            return "✖"
        if self.state.name in ("busy", "idle", "ready") and self.severity == "warning":
            return "▲"
        return _SHAPES[self.state.name]

    @property
    def word(self) -> str:
        """The worst finding in a word, else the state."""
        if self.state.name == "starting" and self.state.why:
            return "starting"
        if self.worst is not None and self.worst.severity != "note":
            return self.worst.word
        return self.state.name


def make_row(
    monitor: Monitor, server: Server, time: float, span: tuple[float, float], *, live: bool
) -> Row:
    """Return the row of a server as of `time`, with a sparkline over `span`."""
    saved = live and server.saved(time, monitor.settings.watch.saved_after_seconds)
    if server.skew:  # the log has a clock of its own: everything about it is shown in it
        time, span = time - server.skew, (span[0] - server.skew, span[1] - server.skew)
    health = monitor.health(server, time, live=live, saved=saved)
    run = server.run_at(time)
    gone = health.state.name in (*OVER, "starting", "no-stats", "ready")
    values = Values() if gone else server_values(run, time)
    since = newest_age(run, time, live=live)
    if health.state.name == "starting" and not run.moments:
        health = replace(health, state=replace(health.state, why="no line of vLLM yet"))
    if live and run.progress is not None and health.state.name == "starting":
        health = replace(health, state=with_progress(health.state, run.progress[0]))
    traffic = run.traffic.rate(time, run.stamps()) if health.state.name == "no-stats" else None
    late = health.state.name in ("busy", "stalled") and (since or 0) > 3 * run.cadence
    return Row(
        server.source,
        None,
        server.name,
        server.known.model or server.known.stem,
        f":{server.known.port}" if server.known.port else "",
        health.state,
        health.findings,
        values,
        since,
        late,
        sparkline(run, None, span),
        time,
        startup_share(health.state, run.progress[0] if live and run.progress else None),
        len(run.engines),
        server.trouble or "",
        None if traffic is None else traffic.answered,
        None if traffic is None else traffic.refused + traffic.failed,
        ending_words(health.state, run, time),
    )


def engine_rows(row: Row, server: Server, time: float, span: tuple[float, float]) -> list[Row]:
    """Return the rows of a server's engines."""
    time, span = time - server.skew, (span[0] - server.skew, span[1] - server.skew)
    run = server.run_at(time)
    rows = []
    for engine in run.engines:
        index = run.series[engine].index_at(time)
        own = tuple(found for found in row.findings if found.engine in (None, engine))
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
                sparkline(run, engine, span),
                time,
                silenced=row.silenced,
            )
        )
    return rows


def server_values(run: Run, time: float) -> Values:
    """Return the numbers of all engines together: sums of sums, means of ratios."""
    each = [engine_values(run, engine, time) for engine in run.engines]
    if not each:
        return Values()
    total: dict[str, float | None] = {}
    for name in Values.__slots__:
        known = [value for values in each if (value := getattr(values, name)) is not None]
        whole = METRIC_BY_NAME[name].total == "sum"
        total[name] = None if not known else sum(known) / (1 if whole else len(known))
    return Values(**total)


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
                written = max(written, run.seen.get(engine, written))
            newest.append(written)
    return max(0.0, time - max(newest)) if newest else None


def sparkline(run: Run, engine: int | None, span: tuple[float, float]) -> tuple[float | None, ...]:
    """Return mean generation throughput in `SPARK_POINTS` equal steps of time, None in gaps."""
    total: list[float | None] = [None] * SPARK_POINTS
    for number in run.engines if engine is None else [engine]:
        for step, value in enumerate(_steps(run.series[number], span)):
            known = total[step]
            if value is not None:
                total[step] = value if known is None else known + value
    return tuple(total)


def _steps(series: Series, span: tuple[float, float]) -> list[float | None]:
    """Return the mean of each step; a step without a sample takes the one before within reach."""
    start, end = span
    width = (end - start) / SPARK_POINTS
    low, high = series.span(start, end)
    sums, counts = [0.0] * SPARK_POINTS, [0] * SPARK_POINTS
    for at, value in zip(
        series.times[low:high], series.values("generation_tps", low, high), strict=True
    ):
        step = min(SPARK_POINTS - 1, int((at - start) / width))
        if value is not None:
            sums[step] += value
            counts[step] += 1
    reach = max(1, int(1.5 * series.cadence / width) + 1)
    steps: list[float | None] = []
    for step in range(SPARK_POINTS):
        back = next((i for i in range(step, max(-1, step - reach), -1) if counts[i]), None)
        steps.append(None if back is None else sums[back] / counts[back])
    return steps
