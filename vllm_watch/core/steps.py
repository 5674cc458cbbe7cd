"""Steps of engines, second by second, if a log has iteration details."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping

from vllm_watch.core.columns import shifted
from vllm_watch.core.dataclass import dataclass, field, replace

BUDGET_SHARE = 0.95
"""From this share of `max_num_batched_tokens` on, a step counts as at that limit."""
STEPS_APART = 2.5
"""Seconds with steps that are further apart than this have a gap between them."""
MOST_SECONDS = 50_000
"""Seconds kept of a watched engine."""


@dataclass(slots=True)
class Second:
    """The steps of one engine within one second."""

    steps: int = 0
    context_tokens: int = 0
    """Prompt tokens computed."""
    generation_tokens: int = 0
    decode_steps: int = 0
    """Steps without prompts that generated tokens."""
    decode_requests: int = 0
    """Requests in those steps, added up."""
    most_tokens: int = 0
    """Most tokens in one step."""
    at_budget: int | None = None
    """Steps with at least `BUDGET_SHARE` of `max_num_batched_tokens`; None if that is unknown."""
    at_seqs: int | None = None
    """Steps with `max_num_seqs` requests; None if that is unknown."""

    def add(self, other: Second) -> None:
        """Add further steps."""
        self.steps += other.steps
        self.context_tokens += other.context_tokens
        self.generation_tokens += other.generation_tokens
        self.decode_steps += other.decode_steps
        self.decode_requests += other.decode_requests
        self.most_tokens = max(self.most_tokens, other.most_tokens)
        self.at_budget = _sum(self.at_budget, other.at_budget)
        self.at_seqs = _sum(self.at_seqs, other.at_seqs)


def second_of(
    counts: Mapping[str, array[int]], budget: float | None, most_seqs: float | None
) -> Second:
    """Return the steps of a second as one row.

    Args:
        counts: `COUNTS` of each step.
        budget: `max_num_batched_tokens`, None where it is unknown.
        most_seqs: `max_num_seqs`, None where it is unknown.
    """
    prompts, generating = counts["context_requests"], counts["generation_requests"]
    both = zip(counts["context_tokens"], counts["generation_tokens"], strict=True)
    tokens = [context + generated for context, generated in both]
    requests = [one + other for one, other in zip(prompts, generating, strict=True)]
    decoding = [n for p, n in zip(prompts, generating, strict=True) if not p and n]
    full = None if budget is None else BUDGET_SHARE * budget
    return Second(
        len(tokens),
        sum(counts["context_tokens"]),
        sum(counts["generation_tokens"]),
        len(decoding),
        sum(decoding),
        max(tokens),
        None if full is None else sum(n >= full for n in tokens),
        None if most_seqs is None else sum(n >= most_seqs for n in requests),
    )


@dataclass(slots=True)
class Steps:
    """All steps of one engine, in the order of time."""

    times: array[float] = field(default_factory=lambda: array("d"))
    """Whole seconds in which there were steps."""
    rows: list[Second] = field(default_factory=list)
    dropped_seconds: int = 0
    """Number of seconds that are no longer kept one by one."""
    changed_from: float = math.inf
    """The earliest second that changed since steps were last judged (`health/stepalerts.py`)."""
    _total: Second = field(default_factory=Second)

    def add(self, time: float, row: Second, *, bounded: bool = False) -> None:
        """Add the steps of a second; while a log is followed, a second can come in parts."""
        self._total.add(row)
        self.changed_from = min(self.changed_from, time)
        at = bisect_left(self.times, time)
        if at < len(self.times) and self.times[at] == time:
            self.rows[at].add(row)
            return
        self.times.insert(at, time)
        self.rows.insert(at, row)
        if bounded and len(self.rows) > MOST_SECONDS:
            gone = MOST_SECONDS // 10
            self.dropped_seconds += gone
            del self.rows[:gone], self.times[:gone]

    def total(self) -> Second:
        """Return all steps as one row; steps at a limit are counted once the limit is known."""
        return replace(self._total)

    def whole(self) -> list[tuple[float, Second]]:
        """Return the seconds whose neighbours have steps as well: work went on throughout.

        One second ÷ its number of steps is then the time of a step.
        """
        times = self.times
        return [
            (times[at], self.rows[at])
            for at in range(1, len(times) - 1)
            if times[at] - times[at - 1] <= 1 and times[at + 1] - times[at] <= 1
        ]

    def pace_at(self, time: float, seconds: float) -> float | None:
        """Return the mean time of a step over the last `seconds` up to a moment, None without any.

        The second of the moment itself is not yet over.
        """
        begin, end = bisect_left(self.times, time - seconds), bisect_right(self.times, time - 1)
        steps = sum(row.steps for row in self.rows[begin:end])
        return (end - begin) / steps if steps else None

    def places(self, start: float, end: float) -> tuple[int, int]:
        """Return the first second from `start` on, and the first from `end` on."""
        return bisect_left(self.times, start), bisect_left(self.times, end)

    def shift(self, seconds: float) -> None:
        """Shift all times."""
        self.times = shifted(self.times, seconds)


def _sum(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
