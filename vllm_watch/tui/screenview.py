"""Everything on the screen at a moment, as one frozen value."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, tzinfo

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.figures import day
from vllm_watch.tui.cardfacts import Facts
from vllm_watch.tui.drawings import Drawings
from vllm_watch.tui.eventlines import EventLine
from vllm_watch.tui.rows import Row, Rows
from vllm_watch.tui.serverfindings import ServerFinding, ServerFindings
from vllm_watch.tui.startupview import StartupView


@dataclass(frozen=True, slots=True)
class ScreenView:
    """The input of all panes."""

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
    findings: ServerFindings = field(default_factory=ServerFindings)
    """Findings of all servers, worst first."""
    events: tuple[EventLine, ...] = ()
    drawings: Drawings = field(default_factory=Drawings)
    """Charts of the selected server and ribbons of all, drawn on demand."""
    facts: Facts = ()
    """The selected server's card."""
    waiting: str = ""
    """What the screen waits for while there is no server."""
    notes: tuple[str, ...] = ()
    """Lines about problems with paths and logs."""
    filter: str = ""
    hidden: int = 0
    """Number of servers that the filter leaves out."""
    reading: str = ""
    """How much of the logs has been read, while that continues."""
    has_errors: bool = False
    """True if the selected server has errors to read."""
    startup: StartupView | None = None
    """The start-up of the selected server, if it has no stats line: its charts would be empty."""
    marked: Facts = ()
    """Figures of the marked stretch of time."""
    charts: tuple[str, ...] = ()
    """Charts of the selected server that have data, in the requested order."""
    replayed: float | None = None
    """How much of a replay has been shown, 0 to 1; None if live."""
    names_revision: int = 0
    """Grows when servers are added or renamed."""
    past_day: bool = False
    """Whether the moment is not of today: its date must be seen."""

    @property
    def day(self) -> date | None:
        """The date of the moment; times of other days have theirs."""
        return day(self.moment, self.tz)

    @property
    def worst(self) -> ServerFinding | None:
        """The worst finding, None if there is none."""
        return self.findings.worst

    @property
    def servers(self) -> tuple[Row, ...]:
        """The rows without those of engines."""
        return tuple(row for row in self.rows if row.engine is None)

    @property
    def fleet(self) -> Sequence[Row]:
        """The same as cached, not as of the moment: enough to count servers."""
        return [row for row in self.cached if row.engine is None]

    @property
    def cached(self) -> Sequence[Row]:
        """All rows as cached, not as of the moment."""
        return self.rows.cached if isinstance(self.rows, Rows) else self.rows

    @property
    def alone(self) -> bool:
        """True if there is only one row: figures replace the table."""
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
    "found": "in the order found",
}
"""Sort orders of the servers and their names."""


@dataclass(frozen=True, slots=True)
class Choices:
    """The user's choices."""

    source: str | None = None
    engine: int | None = None
    opened: Collection[str] = frozenset()
    filter: str = ""
    order: str = "name"
    """The sort order of the servers: a key of `ORDERS`."""
    charts: tuple[str, ...] = ()
    """Names of the charts to show, in their order; empty: all."""
    chosen: bool = False
    """True once the cursor was moved; until then it goes to the worst server."""
