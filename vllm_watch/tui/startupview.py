"""The start-up of a server that has no stats line: its phases, its errors."""

from __future__ import annotations

from datetime import tzinfo
from itertools import groupby

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.evidence import why_no_stats
from vllm_watch.core.run import Run
from vllm_watch.core.startup import (
    LAUNCHING,
    phase_lengths,
    phases_to_come,
    processes_prompts,
    serving_at,
)
from vllm_watch.core.states import NO_LINE, NO_STATS_LINES
from vllm_watch.tui.errortext import INDENT, error_text

_USUALLY = (
    "vLLM writes one every ten seconds while requests run,",
    "none if it was started with --disable-log-stats",
)
MOST_TRACE_LINES = 6
"""Lines of one traceback that are reported."""
ROWS, MOST_ROWS = 13, 99
"""Rows of a start-up without errors, the same in all of its phases; all for one with errors."""
MOST_ERROR_LINES = 60
"""Most error lines that the screen can show."""


@dataclass(frozen=True, slots=True)
class StartupView:
    """The start-up of a run up to a moment."""

    phases: tuple[tuple[str, float | None, bool], ...]
    """Of each phase: its name, its seconds, and whether it continues (`phase_lengths`)."""
    errors: tuple[str, ...]
    """Lines of its errors, the first one first."""
    over: bool
    """True if the start-up will not continue."""
    ready: bool
    """Whether the server could answer requests by then."""
    next: tuple[str, ...] = ()
    """The phases that usually follow."""
    about: tuple[str, ...] = ()
    """Why there is neither a phase nor a stats line, in sentences."""


def startup_rows(startup: StartupView | None) -> int:
    """Return the rows that a start-up needs with its frame, 0 for none."""
    return 0 if startup is None else MOST_ROWS if startup.errors else ROWS


def startup_view(run: Run, time: float, tz: tzinfo, ended: float | None) -> StartupView | None:
    """Return the start-up of a run that has no stats line up to `time`, else None.

    `ended`: when the run was over, None if it goes on. Nothing takes time after that.
    """
    if any(series.times and series.times[0] <= time for series in run.series.values()):
        return None
    over = ended is not None
    phases = list(phase_lengths(run, time, ended))
    up = serving_at(run)
    ready = (up is not None and up <= time) or processes_prompts(run, time)
    if not phases and run.first_stamp is not None and not over and not ready:
        phases.append((LAUNCHING, max(0.0, time - run.first_stamp), True))
    errors = shorter(error_text(run, time, tz).split("\n"))[:MOST_ERROR_LINES]
    to_come = () if over or ready else phases_to_come(run, [name for name, *_ in phases])
    about = _about(run, time, over=over, ready=ready)
    return StartupView(tuple(phases), tuple(filter(None, errors)), over, ready, to_come, about)


def _about(run: Run, time: float, *, over: bool, ready: bool) -> tuple[str, ...]:
    """Return why a run shows nothing, as far as its log tells."""
    if run.first_stamp is None and not run.events:
        return (NO_LINE if over else f"{NO_LINE} yet",)
    if not ready:
        return ("no line names a phase of the start-up",)
    placed = (kept.event for at, kept in run.placed() if at is None or at <= time)
    cause = next(filter(None, map(why_no_stats, placed)), "")
    if cause:
        return (f"{NO_STATS_LINES} {cause}",)
    return ("no stats line was written" if over else "no stats line yet", *_USUALLY)


def shorter(lines: list[str]) -> list[str]:
    """Return errors with the ends of long tracebacks, where the exception is."""
    found: list[str] = []
    for trace, group in groupby(lines, key=lambda line: line.startswith(INDENT)):
        block = list(group)
        if trace and len(block) > MOST_TRACE_LINES + 1:
            left_out = len(block) - MOST_TRACE_LINES
            found += [f"{INDENT}… {left_out} lines", *block[-MOST_TRACE_LINES:]]
        else:
            found += block
    return found
