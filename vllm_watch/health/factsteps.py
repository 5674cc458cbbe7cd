"""The start-up facts of a run over time: each configuration line can add to them."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

from vllm_watch.core.configuration import ConfigurationBuilder, ServerConfiguration
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.run import Run
from vllm_watch.health.plan import Values
from vllm_watch.health.startupfacts import startup_facts


class FactStep(NamedTuple):
    """Facts of the start-up, from a moment on."""

    time: float
    stamped: bool
    facts: Values


class FactSteps:
    """The facts of one run, step by step."""

    def __init__(self) -> None:
        """Start without a configuration line."""
        self.steps = [_nothing_known(None, None)]
        self._lines_read = -1

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def newest(self) -> Values:
        """The facts known up to now."""
        return self.steps[-1].facts

    def at(self, time: float) -> Values:
        """Return the facts known at a moment."""
        return next(step.facts for step in reversed(self.steps) if step.time <= time)

    def forget(self) -> None:
        """Read all lines again at the next `read`."""
        self._lines_read = -1

    def read(self, run: Run, model: str | None, limit: int | None) -> float:
        """Read new configuration lines; return the time from which facts differ, or infinity.

        The `model` by its name and the `limit` of requests are known without the log.
        """
        if self._lines_read == len(run.configuration_lines):
            return math.inf
        self._lines_read = len(run.configuration_lines)
        builder = ConfigurationBuilder()
        before, steps = self.steps, [_nothing_known(model, limit)]
        for line in run.configuration_lines:
            facts = startup_facts(builder.take(line.event), model, limit)
            if facts != steps[-1].facts:
                steps.append(FactStep(line.time, line.stamped, facts))
        self.steps = steps
        for old, new in zip(before, steps, strict=False):
            if old != new:
                return min(old.time, new.time)
        rest = [*before[len(steps) :], *steps[len(before) :]]
        return rest[0].time if rest else math.inf

    def pieces(
        self, times: Sequence[float], start: int, most: int
    ) -> list[tuple[int, int, Values]]:
        """Return slices of at most `most` rows from `start` on, each with the facts known then."""
        if start < len(times) <= start + most and times[start] >= self.steps[-1].time:
            return [(start, len(times), self.newest)]
        ends = [bisect_left(times, step.time) for step in self.steps[1:]]
        return [
            (first, min(end, first + most), step.facts)
            for step, begin, end in zip(self.steps, [0, *ends], [*ends, len(times)], strict=True)
            for first in range(max(begin, start), end, most)
        ]


def _nothing_known(model: str | None, limit: int | None) -> FactStep:
    return FactStep(-math.inf, False, startup_facts(ServerConfiguration(), model, limit))
