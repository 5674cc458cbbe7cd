"""The state of a server, from the evidence of its run and a clock."""

from __future__ import annotations

import math
from collections.abc import Mapping

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.evidence import Offline, evidence_at
from vllm_watch.core.hints import Literal
from vllm_watch.core.run import Run, WorkStretch
from vllm_watch.core.series import Series

State = Literal[
    "dead",
    "stopped",
    "starting",
    "no-stats",
    "finished",
    "ended",
    "stalled",
    "ready",
    "idle",
    "busy",
]
UP = frozenset({"ready", "idle", "busy", "no-stats"})
"""States in which a server answers requests."""
OVER: frozenset[State] = frozenset({"dead", "stopped", "finished", "ended"})
"""States that only a new run can leave."""
FAILED: frozenset[State] = frozenset({"dead", "ended"})
"""States of a server that ended although nobody stopped it."""
SHAPES: dict[State, str] = {
    "busy": "●",
    "idle": "○",
    "ready": "○",
    "starting": "◐",
    "stopped": "■",
    "finished": "✓",
    "dead": "✖",
    "no-stats": "?",
    "ended": "…",
    "stalled": "…",
}
"""The shape of each state: colour is never the only sign."""
NO_STATS_LINES = "vLLM writes no stats lines:"
"""Beginning of the text of a `no-stats` state; the cause follows."""
NO_LINE = "no vLLM line"
"""What is said of a log without any line of vLLM."""
NO_CAUSE = "no cause in the log"
"""Stands for the cause where the log has neither a cause nor an error that tells it."""
LATE_CADENCES = 3.0
"""Cadences without a line after which the newest sample of a busy server is late."""


@dataclass(frozen=True, slots=True)
class StateRules:
    """The limits behind the states; all are settings."""

    stalled_cadences: float = 3.0
    stalled_floor: float = 30.0
    ended_after: float = 300.0
    start_lost_after: float = 86_400.0
    """Seconds of silence after which a start-up is lost, if the log was silent when found."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """The state of a server, since when, and how it is known."""

    name: State
    since: float | None
    why: str = ""
    """The line or the fact that proves it."""
    cause: str = ""
    """Why it died, as the format files name it (`out of memory` …), or why it has no stats.

    For a log that ends during a start-up: the phase.
    """
    figures: tuple[tuple[str, float], ...] = ()
    """Numbers in the cause of death, by the names of the format files."""
    told: bool = True
    """Whether the log has an error about it that says why."""

    @property
    def remedied_as(self) -> str:
        """What its remedy depends on: its cause, or that the log has none."""
        return self.cause or ("" if self.told else NO_CAUSE)

    @property
    def perhaps_why(self) -> str:
        """What is said of a fault before an end whose cause the log does not name."""
        return f"perhaps why it {'ended' if self.name == 'ended' else 'died'}"


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
    evidence = evidence_at(run, now, saved=saved)
    if evidence.death is not None:
        reason = evidence.reason
        since = _known(evidence.death)
        return ServerState("dead", since, reason.text, reason.cause, reason.figures, reason.told)
    if evidence.stop is not None:
        return ServerState("stopped", _known(evidence.stop), evidence.stop_text)
    quiet = now - _quiet_since(run, now, live=live)
    offline = evidence.offline
    if offline is not None and offline.over(quiet > rules.stalled_floor or (saved or not live)):
        return ServerState("finished", run.newest_stamp, offline.text)
    if evidence.ready is None:
        if saved and (not live or quiet > rules.start_lost_after):
            phase = evidence.phase
            words = "the log ends during the start-up" + (f" ({phase})" if phase else "")
            return ServerState("ended", run.newest_stamp, words, phase)
        return ServerState("starting", run.first_stamp, evidence.phase)
    if offline is not None and not run.series:
        return _offline_state(run, offline, quiet, evidence.ready, saved=saved, rules=rules)
    if evidence.no_stats and offline is None and not _recorded(run, now, rules):
        cause = evidence.no_stats
        return ServerState("no-stats", _known(evidence.ready), f"{NO_STATS_LINES} {cause}", cause)
    return _working_state(run, now, evidence.ready, live=live, saved=saved, rules=rules)


def steady_until(run: Run, state: ServerState, now: float, rules: StateRules) -> float:
    """Return until when a live state stays the same if nothing is written; at least `now`.

    Only silence can change it then, and silence counts only after some time.
    """
    if run.newest_stamp is None or run.newest_stamp > now or run.prompts is not None:
        return now
    if state.name == "idle" or state.name in OVER:
        return math.inf
    newest = [series.times[-1] for series in run.series.values() if series.times]
    if state.name != "busy" or not newest:
        return now
    silence = min(rules.stalled_floor, rules.ended_after, LATE_CADENCES * run.cadence)
    return max(now, min(newest) + silence)


def _offline_state(
    run: Run, offline: Offline, quiet: float, began: float, *, saved: bool, rules: StateRules
) -> ServerState:
    """Judge a run without a server by its progress bar."""
    if offline.done:
        return ServerState("ready", _known(began), offline.text)
    if saved or quiet > rules.ended_after:
        return ServerState("ended", run.newest_stamp, f"the log ends at {offline.text}")
    return ServerState("busy", _known(began), offline.text)


def _quiet_since(run: Run, now: float, *, live: bool) -> float:
    """Return when anything was written last, as far as is known by `now`."""
    known = [run.newest_stamp, run.newest_arrival]
    return max((at for at in known if at is not None and (live or at <= now)), default=now)


def _working_state(
    run: Run, now: float, ready: float, *, live: bool, saved: bool, rules: StateRules
) -> ServerState:
    """Judge a server that is up by its stats lines and its silence."""
    working: dict[int, int] = {}
    idle: dict[int, int] = {}
    written: dict[int, float] = {}
    for engine in run.engines:
        series = run.series[engine]
        index = series.index_at(now)
        if index is not None:
            at = series.written(index, now)
            if live and index == len(series.times) - 1:
                at = max(at, run.last_arrivals.get(engine, at))
            written[engine] = at
            (working if _work(series, index) else idle)[engine] = index
    if not written:
        return ServerState("ready", _known(ready), "no stats line yet")
    if not working:
        return ServerState("idle", _since(run, idle, busy=False))
    quiet_since = max(written.values())
    if saved:
        return ServerState("ended", quiet_since, "the log ends with requests running")
    if live or run.newest_stamp is None or run.newest_stamp <= now:
        quiet_since = max(quiet_since, run.newest_stamp or quiet_since)
    if run.newest_arrival is not None and run.newest_arrival <= now:
        quiet_since = max(quiet_since, run.newest_arrival)
    if now - quiet_since > rules.ended_after:
        return ServerState("ended", quiet_since, "nothing more was written")
    for engine, index in working.items():
        silent = now - written[engine]
        if silent <= rules.stalled_floor:
            continue
        if silent > rules.stalled_cadences * run.series[engine].cadence_at(index):
            words = f"engine {engine} went silent under load"
            return ServerState("stalled", written[engine], words)
    return ServerState("busy", _since(run, working, busy=True))


def _recorded(run: Run, now: float, rules: StateRules) -> bool:
    """Return whether a run without stats lines has current samples from a recording beside its log.

    If a recording stops, the server may still work.
    """
    limit = max(rules.stalled_cadences * run.cadence, rules.stalled_floor)
    indices = ((series, series.index_at(now)) for series in run.series.values())
    return any(
        index is not None and now - series.times[index] <= limit for series, index in indices
    )


def _known(time: float) -> float | None:
    """Return a known time, else None."""
    return time if math.isfinite(time) else None


def _work(series: Series, index: int) -> bool:
    """Return whether a sample has requests running or waiting."""
    running, waiting = series.columns.get("running"), series.columns.get("waiting")
    if running is not None and running[index] > 0:
        return True
    return waiting is not None and waiting[index] > 0


def _since(run: Run, newest: Mapping[int, int], *, busy: bool) -> float:
    """Return the first sample of the present busy (or idle) stretch of engines.

    `newest`: the index of the newest sample of each engine, which is busy (or idle).
    """
    begins = [_stretch_began(run, engine, index, busy=busy) for engine, index in newest.items()]
    return min(begins) if busy else max(begins)


def _stretch_began(run: Run, engine: int, index: int, *, busy: bool) -> float:
    """Return the time of the first of the samples up to `index` that are all busy, or idle.

    The newest answer is kept, so that later calls look only at new samples.
    """
    series, kept = run.series[engine], run.stretches.get(engine)
    kind, times, first = (series.revision, busy), series.times, index
    if kept is not None and (kept.revision, kept.busy) != kind:
        kept = None
    known, found, began = run.newest_stretches.get(engine, (-1, None, 0.0))
    if found == kind and known == index + series.offset - 1:
        first -= 1  # as usual, one sample has come
    while first + series.offset != known or found != kind:
        at = times[first]
        if kept is not None and kept.begin <= at <= kept.checked_until:
            began = kept.begin
            break
        if first == 0 or _work(series, first - 1) != busy:
            began = at
            break
        first -= 1
    run.newest_stretches[engine] = index + series.offset, kind, began
    return began


def keep_stretches(run: Run) -> None:
    """Keep where the newest stretches began: the samples before are about to be thinned."""
    for engine, series in run.series.items():
        newest = len(series) - 1
        if newest >= 0:
            busy = _work(series, newest)
            began = _stretch_began(run, engine, newest, busy=busy)
            run.stretches[engine] = WorkStretch(began, series.times[newest], busy, series.revision)
            del run.newest_stretches[engine]
