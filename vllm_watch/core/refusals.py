"""Why requests were refused, if the log says so: grouped and counted."""

from __future__ import annotations

import math
from collections import Counter

from vllm_watch.core.configuration import ServerConfiguration
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.run import Run

REFUSED = "refused"
"""Kind of the events that say why a request was refused."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Requests refused for one reason."""

    reason: str
    """`model`, `length`, `validation` or `said`, as the format files say."""
    asked: str
    """The requested model, the kind of request, or vLLM's own words; empty if there are none."""
    count: int
    longest: int | None = None
    """Tokens of the longest request that was too long."""
    allowed: int | None = None
    """Tokens that are allowed."""


def refusals_of(run: Run, until: float = math.inf, since: float = -math.inf) -> list[Refusal]:
    """Return why requests of a run were refused in a stretch of time, the most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    longest: dict[tuple[str, str], int] = {}
    allowed: dict[tuple[str, str], int] = {}
    for at, kept in run.placed():
        if kept.event.kind != REFUSED or not (at is None or since <= at <= until):
            continue
        fields = kept.event.fields
        key = (str(fields.get("reason", "")), str(fields.get("asked", "")))
        counts[key] += 1
        if isinstance(given := fields.get("given"), int):
            longest[key] = max(given, longest.get(key, 0))
        if isinstance(most := fields.get("allowed"), int):
            allowed[key] = most
    return [
        Refusal(*key, count, longest.get(key), allowed.get(key))
        for key, count in counts.most_common()
    ]


def refusal_words(refusal: Refusal, configuration: ServerConfiguration) -> str:
    """Return one reason in words, with the accepted value."""
    if refusal.reason == "model":
        served = configuration.served_model
        known = f"; the server serves {served}" if served else ""
        return f"{refusal.count:,} × the model {refusal.asked} does not exist{known}"
    if refusal.reason == "length":
        most = f" of {refusal.longest:,} tokens" if refusal.longest else ""
        limit = f", {refusal.allowed:,} are allowed" if refusal.allowed else ""
        longest = "the longest" if refusal.count > 1 and most else "prompt"
        return f"{refusal.count:,} × prompt too long: {longest}{most}{limit}"
    if refusal.reason == "said":
        return f"{refusal.count:,} × {refusal.asked}"
    return f"{refusal.count:,} × {refusal.asked or 'a request'} is not valid"
