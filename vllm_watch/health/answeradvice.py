"""What to do about requests answered with errors: it depends on their status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from vllm_watch.core.keptevents import HTTP_ERRORS
from vllm_watch.core.reasons import errors_until, has_error
from vllm_watch.core.refusals import Refusal, refusals_of
from vllm_watch.core.run import Run
from vllm_watch.health.situation import Advice, Situation

_MOST = 2
"""Statuses whose remedies are said, the most frequent ones."""
_REMEDIES: Mapping[str, str] = {
    "400": "look at length and fields of the requests: the answer's text says what is wrong",
    "401": "send the API key with which the server was started",
    "403": "ask whoever runs the server why this client is not allowed",
    "404": "check the model's name and the path of the URL",
    "413": "send shorter requests",
    "422": "look at the fields of the requests: the answer's text says which one is wrong",
    "429": "send fewer requests at once, or add replicas",
    "499": "the clients gave up: let them wait longer, or find out why answers are slow",
    "500": "read the server's first error",
    "503": "wait until the server is ready; if it already is, send fewer requests at once",
    "504": "let clients and proxies wait longer, or find out why answers are slow",
}
_OF_CLIENTS = "look at the requests: the answer's text says what is wrong"
_OF_SERVERS = "read the server's first error"
_NO_ERROR = "the log has no error for them: restart with VLLM_LOGGING_LEVEL=DEBUG to see more"


def answers(at: Situation) -> Advice | None:
    """Advise by the most frequent statuses of the newest failed requests."""
    statuses = _statuses(at.run, at.time, at.settings.health.http_seconds)
    if not statuses:
        return None
    refused = refusals_of(at.run, at.time)
    frequent = sorted(statuses, key=statuses.__getitem__, reverse=True)  # most_common loads heapq
    return Advice(
        "; ".join(f"{status}: {_remedy(at, status, refused)}" for status in frequent[:_MOST])
    )


def _statuses(run: Run, time: float, seconds: float) -> Counter[str]:
    """Return the statuses of failed requests of the last `seconds`, else of all before `time`."""
    bursts = [
        (kept.event.time, kept.event.fields)
        for kept in run.events
        if kept.event.kind == HTTP_ERRORS and (kept.event.time is None or kept.event.time <= time)
    ]
    newest = [one for one in bursts if one[0] is not None and one[0] > time - seconds]
    found: Counter[str] = Counter()
    for _, fields in newest or bursts:
        found.update({status: n for status, n in fields.items() if isinstance(n, int)})
    return found


def _remedy(at: Situation, status: str, refused: list[Refusal]) -> str:
    """Return the remedy for a status, with what the log says about the refused requests."""
    reasons = {one.reason: one for one in reversed(refused)}
    served = at.run.configuration.served_model
    if status == "404" and "model" in reasons and served:
        name = served if isinstance(served, str) else " or ".join(served)
        return f"ask for {name}, the model that is served"
    if status == "400" and "length" in reasons and reasons["length"].allowed:
        allowed = reasons["length"].allowed
        return f"prompt and answer together have at most {allowed:,} tokens: send shorter prompts"
    if status >= "500" and not has_error(errors_until(at.run.placed(), at.time)):
        return _REMEDIES[status] if status in ("503", "504") else _NO_ERROR
    return _REMEDIES.get(status, _OF_SERVERS if status >= "500" else _OF_CLIENTS)
