"""A server over time: its runs as spans of states, and the alerts over them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.run import Run
from vllm_watch.core.startup import serving_at, starting_at, without_server
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor

NOTHING, STARTING, BUSY, IDLE, SILENT = "nothing", "starting", "busy", "idle", "silent"
WARNING, CRITICAL, DEAD, OVER = "warning", "critical", "dead", "over"
"""States of a server over time: `nothing` before its log begins, `over` after it was stopped."""
_ENDS = {"dead": DEAD, "stopped": OVER, "finished": OVER, "ended": OVER}
_WORST = {WARNING: 1, CRITICAL: 2}


@dataclass(frozen=True, slots=True)
class StateStretch:
    """A stretch of time in which a server is in one state; times are epoch seconds of its log."""

    begin: float
    end: float
    """Infinite if the stretch has not ended."""
    state: str


def states_with_work(
    monitor: Monitor,
    server: Server,
    window: tuple[float, float],
    known: float,
    lines: Sequence[tuple[bool, bool, bool]],
    late: Collection[str] = (),
) -> list[str]:
    """Return a server's state in each step of a window of time.

    If an alert fires while the server is up, the state is the severity of the alert instead of busy
    or idle. `lines` say for each step whether it has a stats line, whether one of its lines shows
    work, and whether the newest line up to its end shows none; `known` and `late` are those of
    `states_in_steps`. A run without a server works without such lines.
    """
    lives = states_in_steps(
        state_stretches(monitor, server, known), window, len(lines), known, late
    )
    alarms = states_in_steps(alert_stretches(monitor, server, known), window, len(lines), known)
    offline = all(without_server(run) and not run.series for run in server.runs)
    states = []
    for state, alarm, (any_line, works, rests) in zip(lives, alarms, lines, strict=True):
        if state == BUSY:
            here = alarm or (BUSY if works else IDLE)
            seen = any_line or rests
            states.append(BUSY if offline else here if seen else SILENT)
        else:
            states.append(state or NOTHING)
    return states


def state_stretches(monitor: Monitor, server: Server, end: float) -> Iterator[StateStretch]:
    """Yield stretches of the runs up to the moment `end`: starting, up (`BUSY`), dead or over."""
    for index, run in enumerate(server.runs):
        begin = run.first_stamp
        following = server.runs[index + 1].first_stamp if index + 1 < len(server.runs) else None
        until = math.inf if following is None else following
        if begin is None or begin > end:
            continue
        ready = serving_at(run)
        gone = _end_of(monitor, run, min(end, until))
        over = until if gone is None else gone.begin
        up = over if ready is None else min(ready, over)
        if starting_at(run) is not None:
            yield StateStretch(begin, up, STARTING)
        yield StateStretch(up, over, BUSY)
        if gone is not None:
            yield StateStretch(over, until, gone.state)


def alert_stretches(monitor: Monitor, server: Server, end: float) -> Iterator[StateStretch]:
    """Yield the alerts up to the moment `end`, the worst ones last; notes are left out."""
    spans = [
        StateStretch(span.since, math.inf if span.until is None else span.until, span.rule.severity)
        for span in monitor.spans(server)
        if span.fired <= end
    ]
    spans += [
        StateStretch(span.since, math.inf if span.until is None else span.until, span.severity)
        for span, _ in monitor.trend_warnings(server, end)
    ]
    loud = [span for span in spans if span.state in _WORST]
    yield from sorted(loud, key=lambda span: _WORST[span.state])


def states_in_steps(
    stretches: Iterable[StateStretch],
    window: tuple[float, float],
    steps: int,
    known: float,
    late: Collection[str] = (),
) -> list[str]:
    """Return for each of `steps` steps of a window the state of the last stretch that touches it.

    The state is empty if no stretch touches the step. Nothing is known after `known`. States in
    `late` are shown only from the first step that lies completely in them.
    """
    start, end = window[0], min(known, window[1])
    width = (window[1] - start) / steps
    found = [""] * steps
    for stretch in stretches:
        if stretch.end <= start or stretch.begin >= end or stretch.end <= stretch.begin:
            continue
        begin = (stretch.begin - start) / width
        first = math.ceil(begin) if stretch.state in late else int(begin)
        last = math.ceil((min(stretch.end, end) - start) / width) - 1
        first, last = max(0, first), min(steps - 1, last)
        found[first : last + 1] = [stretch.state] * (last + 1 - first)
    return found


def _end_of(monitor: Monitor, run: Run, time: float) -> StateStretch | None:
    """Return the stretch after the end of a run, None if the run lasts at the moment `time`."""
    state = monitor.state(run, time, live=False, saved=False)
    if state.name not in _ENDS or state.since is None:
        return None
    return StateStretch(state.since, math.inf, _ENDS[state.name])
