"""Where the literals of lines without an envelope stand in a block.

The bytes are searched once for each literal, or once for all of them where the extra `fast` is
installed (hyperscan: eleven times as quick for 13 literals). What is found is the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import cache

WORTH_IT = 256 * 1024
"""Bytes of a block from which on loading the searcher pays: that takes 25 ms once."""

Finder = Callable[[bytes], list[int]]


class Literals:
    """Literals looked for in the blocks of a log."""

    def __init__(self, literals: Collection[bytes]) -> None:
        """Look for `literals`."""
        self._literals = tuple(sorted(literals))

    def positions(self, block: bytes) -> list[int]:
        """Return where each literal first stands in each line, the last first."""
        found = self._fast(block) if len(block) >= WORTH_IT else None
        return sorted(set(self._plain(block)) if found is None else found, reverse=True)

    def _plain(self, block: bytes) -> list[int]:
        found: list[int] = []
        for literal in self._literals:
            at = block.find(literal)
            while at >= 0:
                found.append(at)
                end = block.find(b"\n", at)  # only its first place in a line can count
                at = block.find(literal, end) if end >= 0 else -1
        return found

    def _fast(self, block: bytes) -> set[int] | None:
        """Return the same in one search, None without the searcher."""
        searcher = _searcher(self._literals)
        if searcher is None:
            return None
        last: dict[int, int] = {}
        found: set[int] = set()

        def matched(number: int, _: int, end: int, flags: int, context: object) -> None:
            at = end - len(self._literals[number])
            before = last.get(number)
            last[number] = at
            if before is None or block.find(b"\n", before, at) >= 0:
                found.add(at)

        searcher.scan(block, match_event_handler=matched)  # type: ignore[attr-defined]
        return found


@cache
def _searcher(literals: tuple[bytes, ...]) -> object | None:
    """Return a hyperscan database of literals, None where it is not installed."""
    try:
        import hyperscan
    except ImportError:
        return None
    try:
        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        expressions = [re.escape(literal) for literal in literals]
        count = len(literals)
        database.compile(
            expressions=expressions, ids=list(range(count)), elements=count, flags=[0] * count
        )
    except hyperscan.error:  # this processor lacks what it needs: search as without it
        return None
    return database
