"""Everything that the screen shows at a moment, as one frozen value."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import tzinfo

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.tui.eventlines import EventLine
from vllm_watch.tui.facts import Facts
from vllm_watch.tui.pictures import Pictures
from vllm_watch.tui.problems import Problem, Problems
from vllm_watch.tui.rows import Row, Rows
from vllm_watch.tui.story import Story


@dataclass(frozen=True, slots=True)
class ScreenView:
    """What all panes show."""

    moment: float
    tz: tzinfo
    mode: str
    """LIVE, PAUSED, REPLAY ×20 …"""
    rows: Sequence[Row] = ()
    """Servers by model and port; an opened one is followed by its engines."""
    selected: int = 0
    counts: tuple[tuple[str, str, int], ...] = ()
    """Shape, word and number of servers."""
    total_tps: float | None = None
    newest: float | None = None
    """Age in seconds of the newest sample of all."""
    problems: Problems = field(default_factory=Problems)
    """Findings of all servers, worst first."""
    events: tuple[EventLine, ...] = ()
    pictures: Pictures = field(default_factory=Pictures)
    """Charts of the selected server and ribbons of all, made when they are asked for."""
    facts: Facts = ()
    """The selected server's card."""
    window: tuple[float, float] = (0.0, 1.0)
    """What the ribbons show, in our clock."""
    waiting: str = ""
    """What is waited for while there is no server."""
    notes: tuple[str, ...] = ()
    """Lines about paths and logs that need a hand."""
    filter: str = ""
    hidden: int = 0
    """Servers that the filter leaves out."""
    reading: str = ""
    """How much of what there is has been read, while that continues."""
    failed: bool = False
    """True where the selected server has errors to be read."""
    story: Story | None = None
    """The start-up of the selected server, where it has no stats line: charts would be empty."""
    marked: Facts = ()
    """Figures of the stretch of time that was marked."""
    charts: tuple[str, ...] = ()
    """Charts that have something to show of the selected server, as they were asked for."""
    film: float | None = None
    """How far a replay is, 0 to 1; None live."""
    named: int = 0
    """Grows when names of servers change, or which there are."""

    @property
    def worst(self) -> Problem | None:
        """The one worst thing, None if nothing is wrong."""
        return self.problems.worst

    @property
    def servers(self) -> tuple[Row, ...]:
        """The rows without those of engines."""
        return tuple(row for row in self.rows if row.engine is None)

    @property
    def fleet(self) -> Sequence[Row]:
        """The same as they were made: what is counted of them needs no moment."""
        return [row for row in self.made if row.engine is None]

    @property
    def made(self) -> Sequence[Row]:
        """All rows as they were made, not as of the moment."""
        return self.rows.made if isinstance(self.rows, Rows) else self.rows

    @property
    def alone(self) -> bool:
        """True where there is but one row: figures are in place of a table."""
        return len(self.rows) == 1 and not self.hidden and not self.filter

    @property
    def selected_row(self) -> Row | None:
        """The row under the cursor."""
        return self.rows[self.selected] if 0 <= self.selected < len(self.rows) else None


ORDERS = {
    "name": "by model and port",
    "worst": "the worst first",
    "rate": "the highest throughput first",
    "waiting": "the longest queue first",
    "kv": "the fullest KV cache first",
    "found": "as they were found",
}
"""Orders of the servers and what they are called."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the person has chosen."""

    source: str | None = None
    engine: int | None = None
    opened: Collection[str] = frozenset()
    filter: str = ""
    order: str = "name"
    """In which order the servers stand: a key of `ORDERS`."""
    charts: tuple[str, ...] = ()
    """Names of the charts that are wanted, in their order; empty: all that there are."""
    chosen: bool = False
    """True once the cursor was moved; until then it goes to the worst server."""
