"""The errors of a run, as text."""

from __future__ import annotations

from datetime import tzinfo

from vllm_watch.core.figures import clock
from vllm_watch.core.refusals import refusal_words, refusals_of
from vllm_watch.core.run import Run
from vllm_watch.tui.endings import by_time, errors_of

MOST_LINES = 600
"""Most lines shown; the first ones matter."""
INDENT = " " * 17
"""Stands before a line without a time, where others have their time and file."""


def error_text(run: Run, until: float, tz: tzinfo) -> str:
    """Return the errors of a run up to a moment, from both files, in the order of their times.

    The reasons for refused requests come first, grouped and counted.
    """
    known = refusals_of(run, until)
    lines = [f"refused: {refusal_words(one, run.configuration)}" for one in known]
    for at, kept in by_time(errors_of(run, until)):
        event = kept.event
        where = ".err" if event.twin else ".log"
        about = "~" if kept.about and at is not None else " "
        first, *rest = event.text.split("\n")
        lines.append(f"{about}{clock(at, tz):<8}  {where}  {first}")
        lines += [f"{INDENT}{line}" for line in (*rest, *kept.lines)]
    return "\n".join(lines[:MOST_LINES])
