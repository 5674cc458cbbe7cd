"""The content of a chart: plain values, without terminal, colour or library."""

from __future__ import annotations

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LATE = 1 / 60
"""Share of its width that a window may reach beyond the moment, because it moves in steps."""


@dataclass(frozen=True, slots=True)
class Line:
    """One series of samples."""

    name: str
    """Word in the title, e.g. ``generation``; empty if the chart's title is enough.

    ``generation|gen`` also gives the short form for a narrow title.
    """
    times: Sequence[float]
    """Epoch seconds, ascending."""
    values: Sequence[float | None]
    """One value per time; ``None`` and non-finite values are unknown and break the line."""
    role: str
    """Palette key of the colour."""
    marker: str
    """``line`` is drawn solid, ``dots`` in dashes, so that two series differ without colour; areas
    are ``fill``, the two halves of a mirror ``up`` and ``down``."""
    gap_s: float
    """Two samples further apart than this are not connected: a gap is drawn as nothing."""
    weights: Sequence[float] | None = None
    """Number of samples behind each value, if it is not one each."""
    told: str = ""
    """What the title says in place of the newest value, e.g. a number in all; empty: that value."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A faint horizontal line behind the data, e.g. ``max_num_seqs``."""

    value: float
    label: str
    """Its name, written on it with its value; ``max_num_seqs|limit`` also gives a short form."""
    role: str = "limit"
    meaning: str = ""
    """Said after name and value where there is room."""

    def texts(self) -> list[str]:
        """Return its name with its value, the longest form first; nothing without a name."""
        named = [f"{name} {self.value:,.0f}" for name in self.label.split("|") if name]
        return [f"{named[0]}: {self.meaning}", *named] if named and self.meaning else named


@dataclass(frozen=True, slots=True)
class Band:
    """The healthy range of a value, marked on its scale."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Mark:
    """An event, as a tick on the time axis."""

    time: float
    role: str
    glyph: str
    word: str = ""
    """Its meaning, written beside it below the plot, e.g. ``restart``."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A marked stretch of time, e.g. the start-up."""

    begin: float
    end: float
    label: str
    """Words from the longest to the shortest, separated by ``|``."""
    role: str


@dataclass(frozen=True, slots=True)
class ChartSpec:
    """The content of one chart; equal specs of one size draw the same picture."""

    title: str
    """Its title; ``|`` separates shorter forms."""
    unit: str
    start: float
    """Left edge of the window, epoch seconds."""
    end: float
    """Right edge of the window, epoch seconds."""
    lines: tuple[Line, ...]
    """The first line is the chart's subject: it lies on top."""
    band: Band | None = None
    limits: tuple[Limit, ...] = ()
    marks: tuple[Mark, ...] = ()
    y_max: float | None = None
    """Fixed top of the scale; ``None`` takes a round number above the data."""
    cursor: float | None = None
    """Time of the vertical cursor; the title then shows the values there."""
    over: bool = False
    """The server has ended: its newest values are labelled as its last ones."""
    empty: str = "no samples in this window"
    """Shown in the middle of a chart without samples."""
    missing: str = "the samples of this window do not have it"
    """Shown instead if there are samples, but none has the chart's values."""
    kind: str = "lines"
    """``lines``; ``area``: the first line filled; ``mirror``: the first is above, the second below,
    each on a scale of its own; ``stack``: each is stacked on the one before."""
    heat: tuple[tuple[float, str], ...] = ()
    """From which value on an area has the colour of which role, ascending."""
    note: str = ""
    """Words at the right end of the title, if there is room; ``|`` separates shorter forms. A
    mirror has none."""
    legends: tuple[tuple[tuple[str, str], ...], ...] = ()
    """What the colours of an area mean, in place of the note: signs with words and their roles, the
    most first."""
    estimated: bool = False
    """Whether values are estimates: the title says so before them."""
    zones: tuple[Zone, ...] = ()
    relative: bool = False
    """Whether times are seconds since a beginning: its clock shows durations."""
    upper: float = 0.62
    """Share of a mirror's rows that are above its middle."""
    even: bool = False
    """Whether both halves of a mirror have the same height and scale, to be compared."""

    def holds(self, gap_s: float) -> float:
        """Return for how many seconds the newest value of a line holds: until the next one is due.

        Of a server that has ended, and of a run beside another one, no value does.
        """
        return 0.0 if self.over or self.relative else self._overdue_after(gap_s)

    def is_old(self, time: float, gap_s: float) -> bool:
        """Return whether a newest value of this time is old: the next one is overdue."""
        return self.over or self.end - time > self._overdue_after(gap_s)

    def _overdue_after(self, gap_s: float) -> float:
        """Return the seconds after a value in which the next one is due."""
        return gap_s + LATE * (self.end - self.start)

    def role(self, line: Line, value: float) -> str:
        """Return the palette role of a value's colour: by its height if the chart has heat."""
        found = line.role
        for level, name in self.heat:
            if value >= level:
                found = name
        return found

    def column(self, time: float, columns: int) -> int | None:
        """Return the column of a time in a plot of so many, None outside of the window."""
        if not self.start <= time <= self.end or self.end <= self.start:
            return None
        return min(columns - 1, int((time - self.start) / (self.end - self.start) * columns))
