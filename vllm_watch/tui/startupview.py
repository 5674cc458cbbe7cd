"""The start-up of a server that has no stats line: its phases, its errors."""

from __future__ import annotations

from datetime import tzinfo
from itertools import groupby

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.run import Run
from vllm_watch.core.startup import LAUNCHING, phases_of, phases_to_come, serving_at
from vllm_watch.tui.screens.errors import INDENT, error_text

MOST_TRACE_LINES = 6
"""Lines of one traceback that are reported."""
ROWS, MOST_ROWS = 13, 99
"""Rows of a start-up without errors, the same in all of its phases; all for one with errors."""
MOST_ERROR_LINES = 60
"""Most error lines that the screen can show."""


@dataclass(frozen=True, slots=True)
class StartupView:
    """The start-up of a run up to a moment."""

    phases: tuple[tuple[str, float, bool], ...]
    """Of each phase: its name, its seconds, and whether it continues."""
    errors: tuple[str, ...]
    """Lines of its errors, the first one first."""
    over: bool
    """True if the start-up will not continue."""
    ready: bool
    """Whether the server could answer requests by then."""
    next: tuple[str, ...] = ()
    """The phases that usually follow."""


def startup_rows(startup: StartupView | None) -> int:
    """Return the rows that a start-up needs with its frame, 0 for none."""
    return 0 if startup is None else MOST_ROWS if startup.errors else ROWS


def startup_view(run: Run, time: float, tz: tzinfo, ended: float | None) -> StartupView | None:
    """Return the start-up of a run that has no stats line up to `time`, else None.

    `ended`: when the run was over, None if it goes on. Nothing takes time after that.
    """
    if any(series.times and series.times[0] <= time for series in run.series.values()):
        return None
    phases, over = [], ended is not None
    newest = time if ended is None else min(time, ended)
    for phase in phases_of(run):
        if phase.begin > time:
            continue
        lasts = not over and (phase.end is None or phase.end > time)
        end = newest if phase.end is None else min(newest, phase.end)
        phases.append((phase.name, max(0.0, end - phase.begin), lasts))
    up = serving_at(run)
    ready = up is not None and up <= time
    if not phases and run.first_stamp is not None and not over and not ready:
        phases.append((LAUNCHING, max(0.0, time - run.first_stamp), True))
    errors = shorter(error_text(run, time, tz).split("\n"))[:MOST_ERROR_LINES]
    to_come = () if over or ready else phases_to_come(run, [name for name, *_ in phases])
    return StartupView(tuple(phases), tuple(filter(None, errors)), over, ready, to_come)


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
