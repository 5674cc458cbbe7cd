"""Why a server ended, in texts from long to short, for lines without room for an error."""

from __future__ import annotations

from vllm_watch.core.evidence import REASON_SECONDS
from vllm_watch.core.keptevents import KeptEvent
from vllm_watch.core.patterns import lazy
from vllm_watch.core.reasons import SHOWN_ERRORS, is_headline, traceback_errors, without_module
from vllm_watch.core.run import Run
from vllm_watch.core.startup import working_at
from vllm_watch.core.states import FAILED, ServerState
from vllm_watch.tui.wording import shortened

MOST_ERRORS = 3
"""Error lines shown beside a death."""
_TYPE = lazy(r"\w+(?:Error|Exception)")
_ROOMS = (96, 64, 44, 30)
"""Cells of shorter forms of an error, from its beginning on."""
_LESS = ((" unexpectedly", ""), ("engine core", "engine"))
"""Words that a short text can do without, and what stays."""
_LOG_ENDS = ("the log just ends", "log ends")


def errors_of(run: Run, until: float) -> list[tuple[float | None, KeptEvent]]:
    """Return the errors of a run up to a moment, with their times, as they are in the log."""
    return [
        (at, kept)
        for at, kept in run.placed()
        if kept.event.kind in SHOWN_ERRORS and (at is None or at <= until)
    ]


def by_time(errors: list[tuple[float | None, KeptEvent]]) -> list[tuple[float | None, KeptEvent]]:
    """Return errors in the order of their times, those without one first."""
    return sorted(errors, key=lambda placed: placed[0] or 0.0)


def first_errors(state: ServerState, run: Run, time: float) -> tuple[str, ...]:
    """Return the first errors of a dead or ended server's log, without the paths of modules.

    Of a traceback it is the line with the error. Lines that only say that there was an error count
    if there are no others. With the traceback of an engine, those of API servers only follow from
    it. Errors of requests, long before the end of a server that was up, do not count. Nothing for
    other servers.
    """
    if state.name not in FAILED:
        return ()
    clear: dict[str, None] = {}
    vague: dict[str, None] = {}
    errors = [kept for _, kept in by_time(errors_of(run, time)) if _of_the_end(state, run, kept)]
    inner = [kept for kept in errors if not kept.event.process.lower().startswith("apiserver")]
    for kept in inner if any(next(traceback_errors(_lines(one)), 0) for one in inner) else errors:
        if len(clear) == MOST_ERRORS:
            break
        lines = _lines(kept)
        error = next(traceback_errors(lines), 0)  # without a traceback the first line is the error
        below = error > 0 and kept.event.kind != "traceback"
        told = below or "vague" not in kept.event.fields
        said = state.why if is_headline(lines[error]) else lines[error].strip()
        (clear if told else vague)[without_module(said)] = None
    return tuple(filter(None, clear or vague))[:MOST_ERRORS]


def _lines(kept: KeptEvent) -> list[str]:
    return [*kept.event.text.strip().split("\n"), *kept.lines]


def _of_the_end(state: ServerState, run: Run, kept: KeptEvent) -> bool:
    """Return whether an error may belong to the end of a run."""
    ready, at = working_at(run), kept.event.time
    if ready is None or state.since is None or at is None or at < ready:
        return True
    return at >= state.since - REASON_SECONDS


def ending_words(state: ServerState, run: Run, time: float) -> tuple[str, ...]:
    """Return why a dead or ended server is over, the longest words first; else nothing.

    They are the error as written, the same without its type, its name in the format files (`out of
    memory`) or, if it has none, its first words, and its type (`ValueError`).
    """
    if state.name == "ended":
        return (state.why, *_LOG_ENDS)
    if state.name != "dead":
        return ()
    kinds, _ = _apart(state.why)
    said = said_of(state.why, run, time)
    kinds = [kind for kind in kinds[:1] if not 0 < len(state.cause) <= len(kind)]
    words = [state.why if kinds or state.cause else said, state.cause or said, *kinds]
    if not state.cause:
        for more, less in _LESS:
            said = said.replace(more, less)
            words.append(said)
        cut = [shortened(said.rstrip("."), room) for room in _ROOMS]
        words += [each for each in cut if not each.endswith(":…")]
    return tuple(sorted(dict.fromkeys(filter(None, words)), key=len, reverse=True))


def _apart(why: str) -> tuple[list[str], str]:
    """Return the types before an error's message, and the message; a single word keeps them."""
    parts = why.split(": ")
    count = next((at for at, part in enumerate(parts) if not _TYPE.fullmatch(part)), 0)
    message = ": ".join(parts[count:])
    return parts[:count], message if " " in message else why


def said_of(why: str, run: Run, time: float) -> str:
    """Return an error without its type, or the words that a format file takes from its line."""
    kinds, message = _apart(why)
    return message if kinds else _said(why, run, time) or why


def _said(why: str, run: Run, time: float) -> str:
    """Return the words that a format file takes from the line with the reason, empty if none."""
    told = (kept.event for _, kept in errors_of(run, time) if why in kept.event.text)
    event = next(told, None)
    return (
        "" if event is None else str(event.fields.get("error") or event.fields.get("reason") or "")
    )
