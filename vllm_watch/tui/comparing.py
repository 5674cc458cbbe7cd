"""Compares two watched runs: which ones, their gains, their curves on one axis."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime, tzinfo

from vllm_watch.core import figures
from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.run import Run
from vllm_watch.core.startup import serving_at
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor
from vllm_watch.tui.charts import ChartSpec, Line
from vllm_watch.tui.chartscope import ChartScope
from vllm_watch.tui.charttable import CHART_BY_NAME

if TYPE_CHECKING:
    from vllm_watch.config import Settings
    from vllm_watch.parsing.formats import Formats
    from vllm_watch.reports.comparison import Comparison

DRAWN = ("throughput", "requests", "kv", "pace")
"""Charts whose first line is drawn for both runs."""
LEAST_SECONDS = 60.0
"""Shortest common axis in seconds."""


@dataclass(frozen=True, slots=True)
class Side:
    """One run of one server."""

    monitor: Monitor
    """The monitor that has the run: that of the screen, or one that read a log for this."""
    source: str
    number: int
    """Number of the run in its log."""
    name: str
    words: str
    """When the run was, and how long."""


def sides(monitor: Monitor, tz: tzinfo) -> list[Side]:
    """Return every run that has samples, servers in the order found, their newest run first."""
    return [
        _side(monitor, server, run, tz)
        for server in monitor.store.servers.values()
        for run in reversed(server.runs)
        if run.series
    ]


def _side(monitor: Monitor, server: Server, run: Run, tz: tzinfo) -> Side:
    words = ""
    if run.first_stamp is not None and run.newest_stamp is not None:
        began = datetime.fromtimestamp(run.first_stamp, tz)
        words = f"{began:%m-%d %H:%M}, {figures.duration(run.newest_stamp - run.first_stamp)}"
    of = f" run {run.number + 1}" if len(server.runs) > 1 else ""
    return Side(monitor, server.source, run.number, f"{server.name}{of}", words)


def sides_read(words: str, formats: Formats, settings: Settings, tz: tzinfo) -> list[Side]:
    """Read logs that nobody follows, and return their runs.

    Raises:
        ValueError: There is nothing to compare with; the message says why.
    """
    from vllm_watch.reports.reading import read_saved

    reading = read_saved([os.path.expanduser(words.strip())], formats, settings)
    found = sides(reading.monitor, tz)
    if not found:
        none = "no stats line in it" if reading.servers else "no such log"
        raise ValueError(f"{words.strip()}: {reading.troubles[0] if reading.troubles else none}")
    return found


def run_of(side: Side) -> tuple[Server, Run] | None:
    """Return the server and the run of a side, None if it was forgotten."""
    server = side.monitor.store.servers.get(side.source)
    runs = server.runs if server is not None else ()
    run = next((run for run in runs if run.number == side.number), None)
    return None if server is None or run is None else (server, run)


def compared(baseline: Side, candidate: Side) -> Comparison | None:
    """Return a candidate's gains, None if one of the two was forgotten."""
    # with numpy 0.3 s, only for comparing
    from vllm_watch.reports.comparison import compare, side_of
    from vllm_watch.reports.reading import Reading
    from vllm_watch.reports.summary import run_summary
    from vllm_watch.sources.paths import Found

    known = []
    for side in (baseline, candidate):
        found = run_of(side)
        if found is None:
            return None
        reading = Reading(side.monitor, Found((), ()), time.time())
        known.append(side_of(run_summary(reading, *found), found[1]))
    before, after = known
    return compare(before, after, candidate.monitor.settings.compare)


def curves(baseline: Side, candidate: Side) -> list[ChartSpec]:
    """Return charts of both runs, the candidate above; time begins when each was ready."""
    monitors = candidate.monitor, baseline.monitor
    found = [run_of(side) for side in (candidate, baseline)]
    both = [one for one in found if one is not None]
    if len(both) < 2:
        return []
    begins = [serving_at(run) or run.first_stamp or 0.0 for _, run in both]
    ends = [run.newest_stamp or begin for (_, run), begin in zip(both, begins, strict=True)]
    length = max(LEAST_SECONDS, *(end - begin for end, begin in zip(ends, begins, strict=True)))
    names = ("candidate|cand", "baseline|base")
    specs = []
    for name in DRAWN:
        chart = CHART_BY_NAME[name]
        drawn = []
        looks = ("primary", "up"), ("secondary", "down")
        for monitor, (server, run), begin, words, (role, marker) in zip(
            monitors, both, begins, names, looks, strict=True
        ):
            scope = ChartScope(
                monitor, _alone(server, run), None, begin, begin + length, begin + length
            )
            lines = chart.lines(scope)
            drawn.append(_moved(lines[0], begin, words, role, marker))
        what = "Generation" if name == "throughput" else "Running" if name == "requests" else ""
        specs.append(
            ChartSpec(
                what or chart.words, chart.unit, 0.0, length, tuple(drawn), kind="mirror",
                relative=True, even=True, y_max=chart.y_max, empty="neither has samples",
            )
        )  # fmt: skip
    return specs


def _alone(server: Server, run: Run) -> Server:
    """Return a server with only this run: a chart's curve covers all its runs."""
    return replace(server, runs=[run])


def _moved(line: Line, begin: float, name: str, role: str, marker: str) -> Line:
    """Return a line whose times begin at zero."""
    return replace(
        line, name=name, role=role, marker=marker, times=[at - begin for at in line.times]
    )


def flags_of(comparison: Comparison) -> Iterator[tuple[str, str, str]]:
    """Yield the flags that differ: name, the baseline's value, the candidate's."""
    from vllm_watch.reports.comparisontext import configuration_rows

    yield from configuration_rows(comparison)
