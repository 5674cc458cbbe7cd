"""The cells inside a chart's frame, and what is drawn in them besides the series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from rich.cells import cell_len

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.tui.charts.canvas import Canvas
from vllm_watch.tui.charts.dots import WIDE
from vllm_watch.tui.charts.fills import EIGHTHS, Area, eighths_of
from vllm_watch.tui.charts.sampled import Level, levels
from vllm_watch.tui.charts.shades import SMOOTH, mixed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm_watch.tui.charts.spec import ChartSpec

EDGE = 0.6
"""How much of their colour the edges of a band have."""
LEAST_DASHES = 6
"""Fewest cells of a dashed line."""
MOST_LINES, FAINT = 6, 0.7
"""Most lines of marks in a plot, and the strength of their colour."""


@dataclass(frozen=True, slots=True)
class Plot:
    """The cells inside of the frame and its labels."""

    canvas: Canvas
    spec: ChartSpec
    palette: Mapping[str, str]
    left: int
    columns: int
    rows: int
    noted: bool = False
    """Whether a row below the plot names the marks and the zones."""

    @property
    def window(self) -> tuple[float, float]:
        """Beginning and end in epoch seconds."""
        return self.spec.start, self.spec.end

    def column(self, time: float) -> int | None:
        """Return the column of a time, None for one outside of the window."""
        return self.spec.column(time, self.columns)

    @property
    def steps(self) -> int:
        """Number of levels of a series in a row: two per cell if fills are dots, else one."""
        dotted = self.palette.get("shading", SMOOTH) == SMOOTH
        return self.columns * (WIDE if dotted else 1)

    def levels(self, index: int) -> list[Level | None]:
        """Return the levels of one of the chart's lines."""
        if index >= len(self.spec.lines):
            return [None] * self.steps
        line = self.spec.lines[index]
        return levels(line.times, line.values, self.window, self.steps, line.gap_s, line.weights)

    def area(self, base: int, rows: int, *, hangs: bool = False) -> Area:
        """Return the area whose base is a row of the plot, counted from its top."""
        return Area(self.canvas, self.palette, self.left, 1 + base, rows, hangs)


def rim(top: float, rows: int) -> float:
    """Return the value at the outer edge of a scale of so many rows.

    The end of the scale is in the middle of its outermost row, beside its label.
    """
    return top * rows / max(0.5, rows - 0.5)


def row_of(plot: Plot, value: float, top: float) -> int:
    """Return the row of the plot, counted from its top, in which a value lies."""
    return plot.rows - 1 - min(plot.rows - 1, int(value / top * plot.rows - 1e-9))


def draw_band(plot: Plot, top: float) -> None:
    """Draw the band's edges over the judged columns as faint dashes, where nothing is filled."""
    band, ground = plot.spec.band, plot.palette.get("background", "")
    if band is None or plot.palette.get("shading", SMOOTH) != SMOOTH:
        return
    ink = mixed(plot.palette.get("good", ""), ground, EDGE)
    for edge in (band.low, band.high):
        _dashes(plot, 1 + row_of(plot, edge, top), judged_columns(plot), ink)


def _dashes(plot: Plot, row: int, columns: int, ink: str) -> None:
    """Draw a dashed line where nothing is filled; shorter pieces of it would say nothing."""
    free = (plot.canvas.free(row, plot.left + column, 1) for column in range(columns))
    for is_free, group in groupby(enumerate(free), key=itemgetter(1)):
        places = [plot.left + column for column, _ in group]
        if is_free and len(places) >= LEAST_DASHES:
            plot.canvas.write(row, places[0], "╌" * len(places), ink)


def draw_band_label(plot: Plot, top: float) -> None:
    """Write the name of the band into it, where nothing is filled: left, right or middle.

    If there is no room for it, it stands on the upper edge.
    """
    band, tint = plot.spec.band, plot.palette.get("band", "")
    if band is None or not band.label or not tint or plot.palette.get("shading", SMOOTH) != SMOOTH:
        return
    low, high = (eighths_of(edge, top, plot.rows) for edge in (band.low, band.high))
    rows = (plot.rows - above for above in range(high // EIGHTHS - 1, -(-low // EIGHTHS) - 1, -1))
    columns = judged_columns(plot)
    if not write_free(plot, rows, (band.label,), columns=columns):
        edge, texts = 1 + row_of(plot, band.high, top), (f"{band.label} up to {band.high:.0f}",)
        write_free(plot, (edge,), texts, columns=columns, over="╌")


def judged_columns(plot: Plot) -> int:
    """Return how many columns a server that has ended was judged for, all if it has not."""
    if not plot.spec.over:
        return plot.columns
    line = plot.spec.lines[0]
    known = (time for time, value in zip(line.times, line.values, strict=True) if value is not None)
    column = plot.column(min(max(known, default=plot.spec.end), plot.spec.end))
    return plot.columns if column is None else column  # the last one is filled in part


def write_free(
    plot: Plot,
    rows: Iterable[int],
    texts: Sequence[str],
    ink: str = "",
    *,
    columns: int | None = None,
    over: str = "",
) -> bool:
    """Write the first of `texts` that has free cells: at the left, at the right or between.

    Return whether there was room. Cells with the glyph `over` count as free.
    """
    room = plot.columns if columns is None else columns
    ink = ink or plot.palette.get("muted", "")
    rows = list(rows)
    for text in texts:
        cells = cell_len(text)
        spare = room - cells - 2
        for row in rows if spare >= 0 else ():
            for place in (1, 1 + spare, 1 + spare // 2):
                column = plot.left + place
                if plot.canvas.free(row, column - 1, cells + 2, over):
                    plot.canvas.write(row, column - 1, f" {text} ", ink)
                    return True
    return False


def draw_limits(plot: Plot, top: float) -> None:
    """Draw limits on the scale as faint dashes where nothing is filled, each with its name."""
    for limit in plot.spec.limits:
        ink = plot.palette.get(limit.role, "")
        texts = limit.texts()
        if limit.value > top:  # too far above what there is
            continue
        row = 1 + row_of(plot, limit.value, top)
        _dashes(plot, row, plot.columns, ink)
        write_free(plot, (row,), texts, ink, over="╌")


def draw_mark_lines(plot: Plot) -> None:
    """Draw a faint line from top to bottom at each of the worst marks, where nothing is filled.

    The line of a mark without a word, which is nowhere else in the chart, ends in its sign.
    """
    ground = plot.palette.get("background", "")
    worst = [mark for mark in plot.spec.marks if mark.role == "critical"]
    drawn: set[int] = set()
    for mark in worst[-MOST_LINES:]:
        column = plot.column(mark.time)
        ink = mixed(plot.palette.get(mark.role, ""), ground, FAINT)
        if column is None or drawn & {column - 1, column, column + 1}:
            continue
        drawn.add(column)
        for row in range(plot.rows):
            if not row and not mark.word:
                plot.canvas.line(1, plot.left + column, mark.glyph, plot.palette.get(mark.role, ""))
            else:
                plot.canvas.line(1 + row, plot.left + column, "┊", ink)
