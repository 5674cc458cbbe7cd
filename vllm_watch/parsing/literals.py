"""Positions in a block of the literals of lines without an envelope."""

from __future__ import annotations

from collections.abc import Collection, Iterator

LONG = 64 * 1024
"""Of longer lines (bytes) only the beginning is searched, where a literal counts."""


class Literals:
    """Literals searched in the blocks of a log."""

    def __init__(
        self, literals: Collection[bytes], anywhere: Collection[bytes], *, reach: int
    ) -> None:
        """Search for `literals` and those that may be `anywhere` in a line.

        `reach`: the bytes of a line before a literal, at most. A carriage return begins a new line.
        """
        self._near = tuple(sorted({*literals} - {*anywhere}))
        self._anywhere = tuple(sorted(anywhere))
        self._reach = reach + max(map(len, self._near), default=0)

    def __iter__(self) -> Iterator[bytes]:
        yield from self._near
        yield from self._anywhere

    def positions(self, block: bytes) -> list[int]:
        """Return the first position of each literal in each line, in descending order."""
        found: set[int] = set()
        for literal in self._anywhere:
            if literal in block:
                found |= _places(block, literal, 0, len(block))
        spans = [(0, len(block))]
        if len(block) > LONG and b"\r" not in block:
            spans = self._beginnings(block)
        for start, stop in spans:
            for literal in self._near:
                if block.find(literal, start, stop) >= 0:
                    found |= _places(block, literal, start, stop)
        return sorted(found, reverse=True)

    def _beginnings(self, block: bytes) -> list[tuple[int, int]]:
        """Return the spans of a block without the rests of long lines."""
        spans, begin, at = [], 0, 0
        while len(block) - at > LONG:
            end = block.rfind(b"\n", at, at + LONG)
            if end >= 0:
                at = end + 1
                continue
            spans.append((begin, at + self._reach))
            end = block.find(b"\n", at + LONG)
            begin = at = len(block) if end < 0 else end + 1
        return [*spans, (begin, len(block))]


def _places(block: bytes, literal: bytes, start: int, stop: int) -> set[int]:
    """Return the first position of a literal in each line of a span."""
    found = set()
    at = block.find(literal, start, stop)
    while at >= 0:
        found.add(at)
        end = block.find(b"\n", at, stop)  # only its first place in a line can count
        at = block.find(literal, end, stop) if end >= 0 else -1
    return found
