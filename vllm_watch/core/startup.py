"""The start-up of a run: its phases, how far it is, and when it was ready."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from vllm_watch.core.configuration import (
    CONFIG_KINDS,
    ConfigurationBuilder,
    ServerConfiguration,
)
from vllm_watch.core.dataclass import replace
from vllm_watch.core.evidence import left_offline
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.records import Event
from vllm_watch.core.run import Run
from vllm_watch.core.states import ServerState

PHASES = (
    "waiting for GPUs in Ray",
    "loading weights",
    "compiling",
    "profiling memory",
    "preparing the KV cache",
    "capturing graphs",
    "warming up",
    "starting the HTTP server",
)
"""Phases of a start-up in their usual order; a server goes through some of them."""
_WITH_GRAPHS = ("compiling", "capturing graphs")
"""Phases of a start-up with CUDA graphs only."""
LAUNCHING = "launching"
"""Name of the time before the log names a phase: imports, arguments, the engine's process."""

_ENGINE_READY = "starting the HTTP server"
"""The phase after the engine's start; the line that names it says that the engine is ready."""
_OF_A_START = CONFIG_KINDS | {"ready", "process_started"}
"""Kinds of events that a start-up writes."""
_WORKING = frozenset({"server_up", "ready", "served"})
"""Kinds of events of a server that can answer requests, or has answered one."""
_LAUNCH_SECONDS = 10.0
"""A phase up to this short is merged into a following one that reports its own length."""


class Phase(NamedTuple):
    """A stretch of a start-up."""

    name: str
    begin: float
    """Epoch seconds."""
    end: float | None
    """Epoch seconds; None where the log ends or the server died in it, or no line has the end."""
    over: bool
    """Whether it came to its end, even if no line says when."""

    @property
    def seconds(self) -> float | None:
        """Its length by the stamps, in whole seconds."""
        return None if self.end is None else self.end - self.begin


def ready_at(run: Run) -> float | None:
    """Return when the server was up: the stamp of `Starting vLLM server`."""
    return next(
        (m.event.time for m in run.events if m.event.kind == "server_up" and m.event.time), None
    )


def working_at(run: Run) -> float | None:
    """Return when it could serve: the server was up or, without a server, its engine ready.

    If no line says so, the progress of prompts does: it is placed by the stamp before it.
    """
    ready = ready_at(run)
    if ready is not None or not without_server(run):
        return ready
    engine = (k.event.time for k in run.events if k.event.time and is_engine_ready(k.event))
    bar = run.prompts
    known = None if bar is None else bar.newest_stamp or bar.arrived
    return next(engine, known)


def without_server(run: Run) -> bool:
    """Return whether a run has worked without a server: prompts in a list, or a benchmark."""
    kinds = {kept.event.kind for kept in run.events}
    return (run.prompts is not None or left_offline(kinds)) and run.first_request is None


def processes_prompts(run: Run, time: float) -> bool:
    """Return whether a run without a server works on its list of prompts by a moment."""
    bar = run.prompts
    at = None if bar is None else bar.unstamped_time
    return bar is not None and (at is None or at <= time)


def is_engine_ready(event: Event) -> bool:
    """Return whether an event says that the engine is ready; a server is started next."""
    return event.fields.get("phase") == _ENGINE_READY


def serving_at(run: Run) -> float | None:
    """Return when a run first served: it was up, wrote a stats line, or answered a request.

    Without a server: when its engine was ready.
    """
    up = (at for at, kept in run.placed() if kept.event.kind in _WORKING)
    stamps = (series.times[0] for series in run.series.values() if series.times)
    known = [at for at in (next(up, None), *stamps, run.first_request) if at is not None]
    first = min(known, default=None)
    return working_at(run) if first is None else first


def starting_at(run: Run) -> float | None:
    """Return when a start-up began; None if the log begins after it, with a server at work."""
    served = serving_at(run)
    if served is None:
        return run.first_stamp
    kinds = (m.event.kind for at, m in run.placed() if at is None or at <= served)
    return run.first_stamp if any(kind in _OF_A_START for kind in kinds) else None


def ready_after(run: Run) -> float | None:
    """Return the seconds from the run's first stamp until it could work."""
    ready = working_at(run)
    return None if ready is None or run.began is None else ready - run.began


def phases_of(run: Run) -> list[Phase]:
    """Return the phases of the start-up in order; each lasts until the next one begins."""
    ready, served = working_at(run), ready_at(run)
    marks: list[tuple[float, str]] = []
    for at, kept in run.placed():
        fields = kept.event.fields
        phase, took, seconds = (fields.get(name) for name in ("phase", "took", "seconds"))
        late = ready is not None and at is not None and at > ready
        late = late or (served is None and ready is not None and phase == _ENGINE_READY)
        if at is None or late or not isinstance(phase, str):
            continue
        names = {name for _, name in marks}
        if isinstance(took, str) and took not in names and isinstance(seconds, (int, float)):
            _put_before(marks, took, at - seconds)
            names = {name for _, name in marks}
        # Engines start together and log the same phases: the first engine to enter one counts.
        if phase not in names:
            marks.append((at, phase))
    if run.began is not None and marks and marks[0][0] > run.began:
        marks.insert(0, (run.began, LAUNCHING))
    ends = [*(at for at, _ in marks[1:]), ready]
    worked = serving_at(run) is not None
    return [
        Phase(name, at, end, end is not None or worked)
        for (at, name), end in zip(marks, ends, strict=False)
    ]


def phase_lengths(
    run: Run, time: float, ended: float | None = None
) -> Iterator[tuple[str, float | None, bool]]:
    """Yield the phases that have begun by `time`: name, seconds, and whether it still lasts.

    `ended`: when the run was over, None if it goes on. Nothing takes time after that. The seconds
    are None if a phase is over, but no line says since when.
    """
    newest, served = time if ended is None else min(time, ended), serving_at(run)
    for phase in phases_of(run):
        if phase.begin > time:
            continue
        if phase.end is None and served is not None and served <= newest:
            yield phase.name, None, False
            continue
        end = newest if phase.end is None else min(newest, phase.end)
        lasts = ended is None and (phase.end is None or phase.end > time)
        yield phase.name, max(0.0, end - phase.begin), lasts


def phases_to_come(run: Run, seen: Sequence[str]) -> tuple[str, ...]:
    """Return the phases that usually follow those seen.

    Without CUDA graphs nothing is compiled or captured; Ray is waited for at the beginning only.
    """
    last = max((PHASES.index(name) for name in seen if name in PHASES), default=0)
    eager = run.configuration.enforce_eager
    return tuple(name for name in PHASES[last + 1 :] if not (eager and name in _WITH_GRAPHS))


def configuration_at(run: Run, time: float) -> ServerConfiguration:
    """Return the configuration as the log had shown it by then: a replay must not know more."""
    lines = run.configuration_lines
    known = bisect_right(lines, time, key=lambda line: line.time)
    if known == len(lines):
        return run.configuration
    configuration, builder = ServerConfiguration(), ConfigurationBuilder()
    for line in lines[:known]:
        configuration = builder.take(line.event)
    return configuration


def longest_phases(run: Run, now: float) -> list[tuple[str, float]]:
    """Return the phases of a start-up and their seconds up to `now`, the longest first."""
    phases = phase_lengths(run, now)
    known = [(name, seconds) for name, seconds, _ in phases if seconds is not None]
    return sorted(known, key=lambda entry: -entry[1])


def with_progress(state: ServerState, bar: Event) -> ServerState:
    """Return a starting state that says how far its phase is: `loading weights 3/4`."""
    if bar.fields.get("phase") != state.why:
        return state
    return replace(state, why=f"{state.why} {bar.fields.get('done')}/{bar.fields.get('total')}")


def startup_share(state: ServerState, bar: Event | None) -> float | None:
    """Return the progress of a start-up (0…1), from its phase and the bar of that phase.

    None if it is over, or in an unknown phase.
    """
    if state.name != "starting":
        return None
    phase = next((name for name in PHASES if state.why.startswith(name)), "")
    if phase and bar is not None and phase != state.why:
        done, total = bar.fields.get("done"), bar.fields.get("total")
        share = done / total if isinstance(done, int) and isinstance(total, int) and total else 0.0
        return (PHASES.index(phase) + share) / (len(PHASES) + 1)
    if state.why not in PHASES:
        return None if state.why else 0.05
    return (PHASES.index(state.why) + 1) / (len(PHASES) + 1)


def _put_before(marks: list[tuple[float, str]], name: str, begin: float) -> None:
    """Add a phase that has just ended, or replace the newest one by it."""
    if marks:
        before, known = marks[-1]
        begin = max(begin, before)
        if begin - before <= _LAUNCH_SECONDS and known != LAUNCHING:
            del marks[-1]
            begin = before
    marks.append((begin, name))
