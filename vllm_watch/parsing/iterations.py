"""Iteration details: lines of steps, hundreds a second, read into one table for each block."""

from __future__ import annotations

from array import array

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.records import COUNTS, StepTable
from vllm_watch.parsing.envelope import LONGEST_HEAD
from vllm_watch.parsing.timestamps import StampClock

if TYPE_CHECKING:
    import re

HEAD_GROUPS = ("stamp", "engine", "rank")
"""Groups of the pattern for the text before a step; the last two may be empty."""


@dataclass(frozen=True, slots=True)
class StepForm:
    """The form of a line of a step."""

    contains: bytes
    """A text in every such line, where `body` begins."""
    head: re.Pattern[bytes]
    """Matches everything before it; its groups are `HEAD_GROUPS`."""
    body: re.Pattern[bytes]
    """Matches from there on; its groups are `COUNTS`."""

    def read(self, text: bytes, clock: StampClock) -> StepTable | None:
        """Return the steps in a text of whole lines, None if there is none.

        `clock` has resolved the stamps of these lines before.
        """
        heads: dict[bytes, tuple[float, int] | None] = {}
        found: list[tuple[float, int]] = []
        rows: list[tuple[bytes, ...]] = []
        match, find, contains = self.body.match, text.find, self.contains
        at = find(contains)
        while at >= 0:
            head = text[text.rfind(b"\n", 0, at) + 1 : at]
            if head not in heads:
                heads[head] = self._read_head(head, clock)
            known, step = heads[head], match(text, at)
            if known is not None and step is not None:
                found.append(known)
                rows.append(step.group(*COUNTS))
            end = find(b"\n", at)
            at = find(contains, end) if end >= 0 else -1
        if not rows:
            return None
        times, engines = zip(*found, strict=True)
        columns = zip(COUNTS, zip(*rows, strict=True), strict=True)
        return StepTable(
            array("d", times),
            array("q", engines),
            {name: array("q", map(int, texts)) for name, texts in columns},
        )

    def _read_head(self, head: bytes, clock: StampClock) -> tuple[float, int] | None:
        """Return time and engine in a head, None if it is not the head of such a line."""
        found = self.head.fullmatch(head) if len(head) <= LONGEST_HEAD else None
        time = None if found is None else clock.again(found["stamp"])
        if found is None or time is None:
            return None
        return time, int(found["engine"] or found["rank"] or 0)
