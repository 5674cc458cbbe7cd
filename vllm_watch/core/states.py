"""The state of a server, from the evidence of its run and a clock (DESIGN §3, the table)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from vllm_watch.core.run import Moment, Run, Stretch

State = Literal[
    "dead", "stopped", "starting", "no-stats", "ended", "stalled", "ready", "idle", "busy"
]

STARTUP_TRACEBACK_SECONDS = 30.0
"""A traceback without envelope ends the start-up if nothing stamped follows for this long."""
_DEATHS = frozenset({"dead", "killed", "usage"})
STATS_ARE_OFF = "stats are disabled in this server"
"""Why a server writes no stats lines."""
_LONG_AGO = -math.inf
"""When something happened of which neither a stamp nor an arrival is known."""


@dataclass(frozen=True, slots=True)
class StateRules:
    """The numbers behind the states; all are settings."""

    stalled_cadences: float = 3.0
    stalled_floor: float = 30.0
    ended_after: float = 300.0


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a server does, since when, and how we know."""

    name: State
    since: float | None
    why: str = ""
    """The line or the fact behind it."""
    cause: str = ""
    """What killed it, as the format files name it: `out of memory`, `port in use` …"""


@dataclass(slots=True)
class _Evidence:
    """The events up to a moment, sorted into what they prove."""

    ready: float | None = None
    no_stats: bool = False
    stop: float | None = None
    stop_text: str = ""
    death: float | None = None
    death_text: str = ""
    cause: str = ""
    cause_text: str = ""
    phase: str = ""


def judge(
    run: Run, now: float, *, live: bool, saved: bool, rules: StateRules | None = None
) -> ServerState:
    """Return the state of a run at `now`.

    Args:
        run: the evidence.
        now: the clock that measures silence: the wall clock, the playhead or the log's own end.
        live: lines that arrived while we watched count from their arrival, whatever their stamp.
        saved: nothing more will be written to this log.
        rules: limits of silence.
    """
    rules = rules or StateRules()
    evidence = _evidence(run, now, saved=saved)
    if evidence.death is not None:
        why = evidence.cause_text or evidence.death_text
        return ServerState("dead", _known(evidence.death), why, evidence.cause)
    if evidence.stop is not None:
        return ServerState("stopped", _known(evidence.stop), evidence.stop_text)
    if evidence.ready is None:
        if saved:
            return ServerState("ended", run.newest_stamp, "the log ends during the start-up")
        return ServerState("starting", run.first_stamp, evidence.phase)
    if evidence.no_stats:
        return ServerState("no-stats", _known(evidence.ready), STATS_ARE_OFF)
    return _working_state(run, now, evidence.ready, live=live, saved=saved, rules=rules)


def _working_state(
    run: Run, now: float, ready: float, *, live: bool, saved: bool, rules: StateRules
) -> ServerState:
    """Judge a server that is up by its stats lines and its silence."""
    newest = {
        engine: (index, written)
        for engine in run.engines
        if (index := run.series[engine].index_at(now)) is not None
        and (written := _written(run, engine, index, now, live=live)) is not None
    }
    if not newest:
        name: State = "ended" if saved else "ready"
        return ServerState(name, _known(ready), "no stats line yet")
    working = {engine: at for engine, at in newest.items() if _work(run, engine, at[0])}
    if not working:
        return ServerState("idle", _since(run, now, busy=False))
    quiet_since = max(written for _, written in newest.values())
    if saved:
        return ServerState("ended", quiet_since, "the log ends with requests running")
    if live or run.newest_stamp is None or run.newest_stamp <= now:
        quiet_since = max(quiet_since, run.newest_stamp or quiet_since)
    if run.newest_arrival is not None and run.newest_arrival <= now:
        quiet_since = max(quiet_since, run.newest_arrival)
    if now - quiet_since > rules.ended_after:
        return ServerState("ended", quiet_since, "nothing was written any more")
    for engine, (index, written) in working.items():
        silent = now - written
        if silent <= rules.stalled_floor:
            continue
        if silent > rules.stalled_cadences * run.series[engine].cadence_at(index):
            return ServerState("stalled", written, f"engine {engine} has fallen silent at work")
    return ServerState("busy", _since(run, now, busy=True))


def _known(time: float) -> float | None:
    """Return a time that is known, else None."""
    return time if math.isfinite(time) else None


def _written(run: Run, engine: int, index: int, now: float, *, live: bool) -> float:
    """Return when a stats line was written, as far as is known."""
    series = run.series[engine]
    time = series.written(index, now)
    if live and index == len(series) - 1:
        return max(time, run.seen.get(engine, time))
    return time


def _work(run: Run, engine: int, index: int) -> bool:
    """Tell whether a sample has requests running or waiting."""
    series = run.series[engine]
    return bool((series.value("running", index) or 0) + (series.value("waiting", index) or 0))


def _since(run: Run, now: float, *, busy: bool) -> float | None:
    """Return the first sample of the present stretch of work (or of idleness)."""
    begins = []
    for engine in run.engines:
        series = run.series[engine]
        index = series.index_at(now)
        if index is None or _work(run, engine, index) != busy:
            continue
        begins.append(_stretch_began(run, engine, index, busy=busy))
    return (min if busy else max)(begins, default=None)


def _stretch_began(run: Run, engine: int, index: int, *, busy: bool) -> float:
    """Return the time of the first of the samples up to `index` that are all at work, or idle.

    The run remembers the newest answer: asked again later, only what is new is looked at.
    """
    series = run.series[engine]
    known = run.stretches.get(engine)
    if known is None or known.revision != series.revision or known.busy != busy:
        known = None
    running, waiting = series.columns.get("running"), series.columns.get("waiting")
    times, first = series.times, index
    while first > 0 and not (known and known.begin <= times[first] <= known.seen):
        before = first - 1
        at_work = (running is not None and running[before] > 0) or (
            waiting is not None and waiting[before] > 0
        )
        if at_work != busy:
            break
        first = before
    began = times[first]
    if known and known.begin <= began <= known.seen:
        began = known.begin
    run.stretches[engine] = Stretch(began, times[index], busy, series.revision)
    return began


def phase_at(run: Run, now: float) -> str:
    """Return the start-up phase that a run is in at `now`, in words."""
    return _evidence(run, now, saved=False).phase


def _evidence(run: Run, now: float, *, saved: bool) -> _Evidence:
    """Fold the events up to `now` into what they prove."""
    found = _Evidence()
    if run.first_request is not None and run.first_request <= now:
        found.ready = run.first_request
    for series in run.series.values():
        if series.times and series.times[0] <= now:
            first = series.times[0]
            found.ready = first if found.ready is None else min(found.ready, first)
    times = ((_LONG_AGO if at is None else at, moment) for at, moment in run.placed())
    placed = [(at, moment) for at, moment in times if at <= now]
    for at, moment in placed:
        _weigh(found, at, moment)
    for at, moment in placed:
        _weigh_end(found, at, moment)
    if found.ready is None and found.death is None and found.stop is None:
        _weigh_traceback(found, run, now, placed, saved=saved)
    return found


def _weigh(found: _Evidence, at: float, moment: Moment) -> None:
    event = moment.event
    if event.kind in ("server_up", "ready"):
        found.ready = at if found.ready is None else min(found.ready, at)
    elif event.kind == "no_stats":
        found.no_stats = True
    elif event.kind == "stop" and found.stop is None and found.death is None:
        found.stop, found.stop_text = at, event.text
    elif event.kind == "shutting_down" and not event.twin and found.death is None:
        if found.stop is None:
            found.stop, found.stop_text = at, event.text
    elif event.kind in _DEATHS and found.stop is None and found.death is None:
        found.death, found.death_text = at, event.text
        if event.kind in ("killed", "usage"):
            found.cause = {"killed": "batch system", "usage": "bad flags"}[event.kind]
    elif event.kind == "cause" and not found.cause:
        found.cause, found.cause_text = str(event.fields.get("cause", "")), event.text
    phase = event.fields.get("phase")
    if isinstance(phase, str):
        found.phase = phase


def _weigh_end(found: _Evidence, at: float, moment: Moment) -> None:
    """A `Shutting down` in the twin means stopped only if the run has no death line."""
    event = moment.event
    if event.kind == "shutting_down" and event.twin and found.death is None and found.stop is None:
        found.stop, found.stop_text = at, event.text


def _weigh_traceback(
    found: _Evidence,
    run: Run,
    now: float,
    placed: list[tuple[float, Moment]],
    *,
    saved: bool,
) -> None:
    """A bare traceback ends a start-up unless a stamped line follows it."""
    for at, moment in placed:
        if moment.event.kind != "traceback":
            continue
        followed = run.newest_stamp is not None and run.newest_stamp > at
        if not followed and (saved or now - at > STARTUP_TRACEBACK_SECONDS):
            found.death = at
            found.death_text = str(moment.event.fields.get("error", moment.event.text))
            found.cause = str(moment.event.fields.get("cause", ""))
            return
