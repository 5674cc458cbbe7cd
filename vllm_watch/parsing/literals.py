"""Positions in a block of the literals of lines without an envelope."""

from __future__ import annotations

from collections.abc import Collection, Iterator


class Literals:
    """Literals searched in the blocks of a log."""

    def __init__(self, literals: Collection[bytes]) -> None:
        """Search for `literals`."""
        self._literals = tuple(sorted(literals))

    def __iter__(self) -> Iterator[bytes]:
        """Yield the literals."""
        return iter(self._literals)

    def positions(self, block: bytes) -> list[int]:
        """Return the first position of each literal in each line, the last first."""
        found: set[int] = set()
        for literal in self._literals:
            at = block.find(literal)
            while at >= 0:
                found.add(at)
                end = block.find(b"\n", at)  # only its first place in a line can count
                at = block.find(literal, end) if end >= 0 else -1
        return sorted(found, reverse=True)
