"""What the events of a run prove: that it is up, that it was stopped, that it died and why."""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.keptevents import KeptEvent
from vllm_watch.core.reasons import (
    DEADLY,
    DEATHS,
    ERRORS,
    INTERRUPT,
    OF_REQUEST,
    Reason,
    has_exception,
    reason_of,
)
from vllm_watch.core.records import Event
from vllm_watch.core.run import Run

STARTUP_TRACEBACK_SECONDS = 30.0
"""A traceback without envelope ends the start-up if no stamped line follows within this time."""
REASON_SECONDS = 60.0
"""Errors this long before or after the first sign of a death can explain it."""
BY_HAND = "interrupted from the keyboard, or asked to end"
"""Why a run stopped if its last error is that of Ctrl-C."""
DUMPED = "the engine dumped what it worked on: a step failed"
"""Cause of a death if the log has only the engine's dump."""
SEVERAL_API_SERVERS = "several API servers"
"""Cause of missing stats lines if vLLM says that it has switched them off."""
STATS_DISABLED = "--disable-log-stats"
"""Cause of missing stats lines if the given flags switch them off."""
_LONG_AGO = -math.inf
"""Used as the time of an event without stamp and without arrival."""
_SERVED = frozenset({"version", "server_up", "ready", "process_started"})
"""Kinds of events that only a server writes, never a run of the class `LLM`."""
_PROGRESS = frozenset({"phase", "capacity", "server_up", "ready"})
"""Kinds of events that show that a start-up continues."""
_ENDED_OFFLINE = frozenset({"exit", "engine_config"})
"""Kinds of events that together show the end of a run that had no server."""


@dataclass(frozen=True, slots=True)
class Offline:
    """Progress of a run without a server: it processes a list of prompts and then ends."""

    prompts: int | None = None
    """Prompts of the newest progress bar that are processed; None where there is no bar."""
    total: int | None = None
    left: bool = False
    """Whether the workers were asked to stop, or the process said that it exits."""

    @property
    def done(self) -> bool:
        """Whether the newest bar is full."""
        return self.prompts is not None and self.prompts == self.total

    def over(self, quiet: bool) -> bool:
        """Return whether the run has finished.

        Another progress bar may follow a full one, so only silence or exiting workers show the end.
        """
        if self.prompts is None:
            return self.left
        return self.done and (self.left or quiet)

    @property
    def text(self) -> str:
        """The progress in words."""
        if self.prompts is None:
            return "the worker processes have ended"
        return f"{self.prompts:,} of {self.total:,} prompts processed"


@dataclass(slots=True)
class Evidence:
    """The events up to a moment, sorted by what they prove."""

    ready: float | None = None
    no_stats: str = ""
    """Why no stats lines are written, empty if they are."""
    stop: float | None = None
    stop_text: str = ""
    death: float | None = None
    reason: Reason = Reason("")
    """The cause of death, if the server died."""
    phase: str = ""
    offline: Offline | None = None
    """The progress, if it is a run without a server."""


@dataclass(frozen=True, slots=True)
class End:
    """The end of a run that its errors show."""

    time: float
    died: bool
    """False if it was interrupted by hand."""
    reason: Reason


def end_of(run: Run, now: float, *, over: bool) -> End | None:
    """Return the end of a run up to a moment, None if no error shows one at a known time.

    `over`: nothing more will be written about it. A stop without an error has an event of its own.
    """
    events = (kept.event for _, kept in run.placed())
    if not any(event.kind in ERRORS or "dump" in event.fields for event in events):
        return None
    found = evidence_at(run, now, saved=over)
    by_hand = found.stop is not None and found.stop_text == BY_HAND
    time = found.stop if by_hand else found.death
    if time is None or not math.isfinite(time):
        return None
    return End(time, not by_hand, found.reason)


def evidence_at(run: Run, now: float, *, saved: bool) -> Evidence:
    """Sort the events up to `now` by what they prove."""
    found = Evidence()
    if run.first_request is not None and run.first_request <= now:
        found.ready = run.first_request
    elif run.first_stamp is None and (run.served or run.polls):
        found.ready = _LONG_AGO
    for series in run.series.values():
        if series.times and series.times[0] <= now:
            first = series.times[0]
            found.ready = first if found.ready is None else min(found.ready, first)
    times = ((_LONG_AGO if at is None else at, kept) for at, kept in run.placed())
    placed = [(at, kept) for at, kept in times if at <= now]
    for at, kept in placed:
        _weigh(found, run, at, kept)
    for at, kept in placed:
        _weigh_end(found, at, kept)
    if found.ready is None and found.death is None and found.stop is None:
        _weigh_traceback(found, run, now, placed, saved=saved)
        _weigh_worker(found, now, placed, saved=saved)
        if saved and found.death is None:
            _weigh_last_error(found, run, placed)
    if found.death is not None and torn_down(run, placed):
        found.death = None
    if found.death is not None:
        _weigh_reason(found, found.death, placed)
    elif found.stop is None:
        _weigh_offline(found, run, now, placed)
    return found


def _weigh(found: Evidence, run: Run, at: float, kept: KeptEvent) -> None:
    event = kept.event
    if event.kind in ("server_up", "ready"):
        found.ready = at if found.ready is None else min(found.ready, at)
    elif cause := why_no_stats(event):
        found.no_stats = found.no_stats or cause
    elif found.stop is None and found.death is None:
        if event.kind == "served" or OF_REQUEST in event.fields:
            found.ready = at if found.ready is None else min(found.ready, at)
        elif event.kind == "stop" or (event.kind == "shutting_down" and not event.twin):
            found.stop, found.stop_text = at, event.text
        elif _interrupted(kept):
            found.stop, found.stop_text = at, BY_HAND
        elif _is_death(kept) and not _went_on(run, at, kept):
            found.death = at
        elif "dump" in event.fields:
            found.death, found.reason = at, Reason(DUMPED, told=True)
    phase = event.fields.get("phase")
    if isinstance(phase, str):
        found.phase = phase


def why_no_stats(event: Event) -> str:
    """Return why no stats lines follow an event of a server, empty if they may follow."""
    if event.kind == "no_stats":
        return SEVERAL_API_SERVERS
    args = event.fields.get("args") if event.kind == "args" else None
    disabled = isinstance(args, dict) and args.get("disable_log_stats") is True
    return STATS_DISABLED if disabled else ""


def _is_death(kept: KeptEvent) -> bool:
    """Return whether an event means the server's end; for a bare traceback its error decides."""
    return kept.event.kind in DEATHS or DEADLY in kept.event.fields


def _interrupted(kept: KeptEvent) -> bool:
    """Return whether a traceback of the main process ends in Ctrl-C."""
    error = str(kept.event.fields.get("error", ""))
    return kept.event.kind == "traceback" and error.partition(":")[0] == INTERRUPT


def _went_on(run: Run, at: float, kept: KeptEvent) -> bool:
    """Return whether a server generated tokens after an unstamped sign of death.

    Such a line (`Killed`) may be about another process. A line of the batch system is always about
    the job.
    """
    if kept.event.time is not None or "outside" in kept.event.fields:
        return False
    for series in run.series.values():
        rates = series.columns.get("generation_tps")
        after = series.index_at(at + STARTUP_TRACEBACK_SECONDS)
        start = 0 if after is None else after + 1
        if rates is not None and any(rate > 0 for rate in rates[start:]):
            return True
    return False


def _weigh_end(found: Evidence, at: float, kept: KeptEvent) -> None:
    """A `Shutting down` in the `.err` file means stopped only if the run has no death line."""
    event = kept.event
    if event.kind == "shutting_down" and event.twin and found.death is None and found.stop is None:
        found.stop, found.stop_text = at, event.text


def _weigh_traceback(
    found: Evidence, run: Run, now: float, placed: list[tuple[float, KeptEvent]], *, saved: bool
) -> None:
    """A bare traceback ends a start-up unless a stamped line follows it."""
    for at, kept in placed:
        if kept.event.kind != "traceback":
            continue
        followed = run.newest_own is not None and run.newest_own > at
        if not followed and (saved or now - at > STARTUP_TRACEBACK_SECONDS):
            found.death = at
            return


def _weigh_worker(
    found: Evidence, now: float, placed: list[tuple[float, KeptEvent]], *, saved: bool
) -> None:
    """A worker's exception ends a start-up unless the start-up continues after it.

    The engine may wait for that worker forever without reporting the failure.
    """
    failed = [at for at, kept in placed if kept.event.kind == "worker_failed"]
    if found.death is not None or not failed:
        return
    went_on = any(at > failed[0] and kept.event.kind in _PROGRESS for at, kept in placed)
    if not went_on and (saved or now - failed[0] > STARTUP_TRACEBACK_SECONDS):
        found.death = failed[0]


def _weigh_last_error(found: Evidence, run: Run, placed: list[tuple[float, KeptEvent]]) -> None:
    """An engine's exception at the end of a saved log ends a start-up.

    The line that says so (`EngineCore failed to start.`) may be missing: excerpts are short.
    """
    errors = [(at, kept) for at, kept in placed if kept.event.kind in ERRORS]
    if not errors:
        return
    at, kept = errors[-1]
    went_on = any(later > at and one.event.kind in _PROGRESS for later, one in placed)
    if went_on or (run.newest_own or at) > at + STARTUP_TRACEBACK_SECONDS:
        return
    if not kept.event.process.lower().startswith("apiserver") and has_exception(kept):
        found.death = at


def torn_down(run: Run, placed: Iterable[tuple[float | None, KeptEvent]]) -> bool:
    """Return whether all errors of a finished run without a server come from its tear-down."""
    bar = run.prompts
    if bar is None or bar.event.fields.get("done") != bar.event.fields.get("total"):
        return False
    events = [kept.event for _, kept in placed]
    kinds = {event.kind for event in events}
    errors = [event for event in events if event.kind in ERRORS]
    return not kinds & _SERVED and all("teardown" in event.fields for event in errors)


def _weigh_reason(found: Evidence, death: float, placed: list[tuple[float, KeptEvent]]) -> None:
    """Find the cause of death; Ctrl-C is a deliberate stop.

    During a start-up every error counts. For a server that was up only errors near its end count:
    earlier ones are about requests.
    """
    started = found.ready is not None and found.ready <= death
    first = death - REASON_SECONDS if started else -math.inf
    last = death + REASON_SECONDS if math.isfinite(death) else math.inf
    errors = [m for at, m in placed if m.event.kind in ERRORS and first <= at <= last]
    reason = reason_of(errors)
    if reason is not None and reason.by_hand:
        found.death, found.stop = None, death
        found.stop_text = BY_HAND
    elif reason is not None:
        found.reason = reason


def left_offline(kinds: AbstractSet[str]) -> bool:
    """Return whether these kinds of events show the end of a run that had no server."""
    return kinds >= _ENDED_OFFLINE and not kinds & _SERVED


def _weigh_offline(
    found: Evidence, run: Run, now: float, placed: list[tuple[float, KeptEvent]]
) -> None:
    """Note the progress of a run without a server."""
    kinds = {kept.event.kind for _, kept in placed}
    if kinds & _SERVED or run.first_request is not None:
        return
    bar = run.prompts
    at = None if bar is None else bar.unstamped_time
    left = left_offline(kinds)
    if bar is not None and (at is None or at <= now):
        done, total = bar.event.fields.get("done"), bar.event.fields.get("total")
        if isinstance(done, int) and isinstance(total, int):
            found.offline = Offline(done, total, left)
            found.ready = found.ready if found.ready is not None or at is None else at
            found.ready = _LONG_AGO if found.ready is None else found.ready
    elif left:
        found.offline = Offline(left=True)
