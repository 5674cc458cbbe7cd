"""Iteration details: lines of steps, hundreds a second, read into one table for each block."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass

from vllm_watch.core.steps import COUNTS, StepTable
from vllm_watch.parsing.timestamps import StampClock

GROUPS = ("stamp", "engine", *COUNTS)
"""Groups that the pattern must have."""


@dataclass(frozen=True, slots=True)
class Iterations:
    """How a line of a step looks."""

    contains: bytes
    """Stands in every such line."""
    pattern: re.Pattern[bytes]
    """Matches from the beginning of a line; its groups are `GROUPS`."""

    def read(self, text: bytes, clock: StampClock) -> StepTable | None:
        """Return the steps in a text of whole lines, None if there is none.

        `clock` has resolved the stamps of these lines before.
        """
        at = text.find(self.contains)
        if at < 0:
            return None
        rows: list[tuple[bytes, ...]] = []
        match, find, groups = self.pattern.match, text.find, GROUPS
        while at >= 0:
            found = match(text, text.rfind(b"\n", 0, at) + 1)
            if found is not None:
                rows.append(found.group(*groups))
            end = find(b"\n", at)
            at = find(self.contains, end) if end >= 0 else -1
        times = {stamp: clock.again(stamp) for stamp in {row[0] for row in rows}}
        rows = [row for row in rows if times[row[0]] is not None]
        if not rows:
            return None
        stamps, engines, *counts = zip(*rows, strict=True)
        return StepTable(
            array("d", (time for stamp in stamps if (time := times[stamp]) is not None)),
            array("q", map(int, engines)),
            {
                name: array("q", map(int, column))
                for name, column in zip(COUNTS, counts, strict=True)
            },
        )
