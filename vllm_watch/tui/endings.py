"""Why a server ended, in texts from long to short, for lines without room for an error."""

from __future__ import annotations

from vllm_watch.core.patterns import lazy
from vllm_watch.core.reasons import SHOWN_ERRORS, TRACEBACK
from vllm_watch.core.run import Run
from vllm_watch.core.states import FAILED, ServerState

_TYPE = lazy(r"(?:\w+\.)*(\w+(?:Error|Exception))\b")
MOST_ERRORS = 3
"""Error lines shown beside a death."""
_ECHO = "EngineDeadError"
"""What vLLM raises after any end of its engine: it only repeats that."""
_LESS = ((" unexpectedly", ""), ("engine core", "engine"))
"""Words that a short text can do without, and what stays."""
_LOG_ENDS = ("the log just ends", "log ends")


def failed(run: Run, time: float) -> bool:
    """Return whether there is an error to read in a run up to `time`."""
    return any(
        moment.event.kind in SHOWN_ERRORS and (at is None or at <= time)
        for at, moment in run.placed()
    )


def first_errors(state: ServerState, run: Run, time: float) -> tuple[str, ...]:
    """Return the first error lines of a dead or ended server's log, as they are written.

    Of a traceback it is the line with the error. Nothing for other servers.
    """
    if state.name not in FAILED:
        return ()
    placed = [(at, moment) for at, moment in run.placed() if moment.event.kind in SHOWN_ERRORS]
    lines: dict[str, None] = {}
    for at, moment in sorted(placed, key=lambda one: one[0] or 0.0):
        if len(lines) == MOST_ERRORS or (at is not None and at > time):
            break
        text = moment.event.text.strip()
        if text.startswith(TRACEBACK):
            flush = [line for line in moment.lines if line.strip() and not line[:1].isspace()]
            text = flush[-1] if flush else str(moment.event.fields.get("error") or text)
        lines[text.partition("\n")[0]] = None
    return tuple(lines)


def ending_words(state: ServerState, run: Run, time: float) -> tuple[str, ...]:
    """Return why a dead or ended server is over, the longest words first; else nothing.

    In this order: the error as written, its name in the format files (`out of memory`), the first
    cause in the log and the type of its error (`ValueError`).
    """
    if state.name == "ended":
        return (state.why, *_LOG_ENDS)
    if state.name != "dead":
        return ()
    words = [state.cause, state.why] if state.cause else []
    kind = ""
    for at, moment in run.placed():
        event = moment.event
        if event.kind not in SHOWN_ERRORS or (at is not None and at > time):
            continue
        said = str(event.fields.get("error") or event.fields.get("reason") or event.text)
        found = _TYPE.search(said)
        if found:
            kind = kind or found[1]  # later errors follow from the first
        elif not state.cause and not any(" " in known for known in words):
            words.append(said)
    words = [*words, kind] if words or kind else [state.why]
    if len(words) > 1 and words[-1] == _ECHO:
        words.pop()
        for more, less in _LESS:
            words.append(words[-1].replace(more, less))
    return tuple(sorted(dict.fromkeys(filter(None, words)), key=len, reverse=True))
