"""The findings of all servers in order; their texts are made only if shown."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from types import MappingProxyType

from vllm_watch.actions.silences import SilenceKey
from vllm_watch.core.dataclass import dataclass
from vllm_watch.health.finding import Finding, RankedFinding
from vllm_watch.health.rules import SEVERITIES
from vllm_watch.tui.lazysequence import LazySequence
from vllm_watch.tui.rows import Row


@dataclass(frozen=True, slots=True)
class ServerFinding:
    """A finding and its server."""

    row: Row
    ranked: RankedFinding
    left: float | None = None
    """Seconds until its silence ends, None: it ends with the finding, or there is none."""

    @property
    def finding(self) -> Finding:
        """The finding with its words."""
        return self.ranked.finding

    @property
    def silenced(self) -> bool:
        """True while the finding is silenced."""
        return self.ranked.id in self.row.silenced

    @property
    def loud(self) -> bool:
        """True if it should be visible at first glance."""
        return self.ranked.severity != "note" and not self.silenced

    @property
    def key(self) -> SilenceKey:
        """Its identity while it lasts: its log and its id."""
        return self.row.source, self.ranked.id


Order = tuple[bool, int, float]
"""The sort key of findings: unsilenced first, then the worst, then those of the newest trouble."""
Entry = tuple[Order, Row, RankedFinding]
_QUIET: Order = (False, -SEVERITIES.index("note"), -math.inf)
"""Sorts before all notes and silenced findings."""


def entries_of(row: Row) -> tuple[Entry, ...]:
    """Return the findings of a row with their sort keys."""
    return tuple(zip(_orders(row, row.ranked), repeat(row), row.ranked, strict=False))


def _orders(row: Row, ranked: Sequence[RankedFinding]) -> list[Order]:
    """Return the sort keys of a server's findings, which are in the order of `health`.

    Servers are compared by their newest findings. Equally bad ones of one server keep their order,
    so that a cause stays before the rest: none has a larger key than a later one.
    """
    orders: list[Order] = []
    newest: dict[tuple[bool, int], float] = {}
    for one in reversed(ranked):
        group = one.id in row.silenced, -SEVERITIES.index(one.severity)
        newest[group] = min(newest.get(group, math.inf), -(one.since or 0.0))
        orders.append((*group, newest[group]))
    return orders[::-1]


class ServerFindings(LazySequence[ServerFinding]):
    """The findings of all servers: loud ones first, sorted by severity."""

    def __init__(
        self,
        entries: Iterable[Entry] = (),
        moment: float | None = None,
        silences: Mapping[SilenceKey, float | None] = MappingProxyType({}),
    ) -> None:
        """Sort findings as of `moment` (None: their rows'); `silences` has the seconds left."""
        super().__init__()
        self._entries = sorted(entries, key=itemgetter(0))
        self._moment = moment
        self._silences = silences
        self.loud = bisect_left(self._entries, _QUIET, key=itemgetter(0))
        """How many are loud: they come first."""

    @classmethod
    def of(cls, findings: Iterable[ServerFinding]) -> ServerFindings:
        """Sort findings that are complete."""
        known = list(findings)
        rows = {one.row.source: one.row for one in known}
        entries: list[Entry] = []
        for source, row in rows.items():
            ranked = [one.ranked for one in known if one.row.source == source]
            entries += zip(_orders(row, ranked), repeat(row), ranked, strict=False)
        return cls(entries, silences={p.key: p.left for p in known})

    def __len__(self) -> int:
        """Return the number of findings."""
        return len(self._entries)

    @property
    def worst(self) -> ServerFinding | None:
        """The worst finding, None if there is none."""
        return self[0] if self.loud else None

    @property
    def troubled(self) -> int:
        """How many servers have a loud finding."""
        return len({row.source for _, row, _ in self._entries[: self.loud]})

    def reach(self, room: int) -> Iterator[tuple[int, ServerFinding]]:
        """Yield findings with their places: those that may be among the first `room`, and one more.

        Each takes at least a line, and loud ones come first, so no others can be on the screen.
        """
        loud = min(self.loud, room + 1)
        others = range(self.loud, min(len(self), self.loud + room + 1 - loud))
        for place in (*range(loud), *others):
            yield place, self[place]

    def places_of(self, states: Collection[str]) -> list[int]:
        """Return the indexes of findings of servers in certain states."""
        return [n for n, (_, row, _) in enumerate(self._entries) if row.state.name in states]

    def make(self, place: int) -> ServerFinding:
        """Return a finding with its server."""
        _, row, ranked = self._entries[place]
        left = self._silences.get((row.source, ranked.id)) if self._silences else None
        return ServerFinding(row if self._moment is None else row.at(self._moment), ranked, left)
