"""The cells inside a chart's frame, and what is drawn in them besides the series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.figures import rate
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.tui.charts.canvas import HOLD, Canvas
from vllm_watch.tui.charts.dots import WIDE
from vllm_watch.tui.charts.fills import Area
from vllm_watch.tui.charts.sampled import Level, held, levels
from vllm_watch.tui.charts.shades import SMOOTH, mixed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm_watch.tui.charts.spec import ChartSpec

PEAK_REACH = 9
"""How many cells a value may be away from the peak that it names."""
BAND, _HALVES = "▐", "▗▝"
"""The bar of a band, and its lower and upper half."""
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

    def ink(self, index: int) -> str:
        """Return the colour of one of the chart's lines."""
        return self.palette.get(self.spec.lines[index].role, "")

    def levels(self, index: int) -> list[Level | None]:
        """Return the levels of one of the chart's lines."""
        if index >= len(self.spec.lines):
            return [None] * self.steps
        line = self.spec.lines[index]
        known = levels(line.times, line.values, self.window, self.steps, line.gap_s, line.weights)
        return held(known, line.times, line.values, self.spec.end, self.spec.holds(line.gap_s))

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
    """Draw the band as a bar between the scale and the plot, exact to half a row."""
    band, ink = plot.spec.band, plot.palette.get("good", "")
    if band is None or not top > 0:
        return
    low, high = (round(edge / top * plot.rows * len(_HALVES)) for edge in (band.low, band.high))
    for above in range(plot.rows):
        halves = [low <= half < high for half in (2 * above, 2 * above + 1)]
        glyph = BAND if all(halves) else _HALVES[halves.index(True)] if any(halves) else ""
        if glyph:
            plot.canvas.put(plot.rows - above, plot.left - 1, glyph, ink)


def write_free(
    plot: Plot,
    rows: Iterable[int],
    texts: Sequence[str],
    ink: str = "",
    *,
    over: str = "",
) -> bool:
    """Write the first of `texts` that has free cells: at the left, at the right or between.

    Return whether there was room. Cells with the glyph `over` count as free.
    """
    ink = ink or plot.palette.get("muted", "")
    rows = list(rows)
    for text in texts:
        cells = cell_len(text)
        spare = plot.columns - cells - 2
        for row in rows if spare >= 0 else ():
            for place in (1, 1 + spare, 1 + spare // 2):
                column = plot.left + place
                if plot.canvas.free(row, column - 1, cells + 2, over):
                    plot.canvas.write(row, column - 1, f" {text} ", ink)
                    return True
    return False


def draw_limits(plot: Plot, top: float) -> None:
    """Draw limits on the scale as faint dashes from edge to edge, each with its name."""
    for limit in plot.spec.limits:
        ink = plot.palette.get(limit.role, "")
        if limit.value > top:  # too far above what there is
            continue
        row = 1 + row_of(plot, limit.value, top)
        for column in range(plot.columns):
            plot.canvas.line(row, plot.left + column, "╌", ink)
        write_free(plot, (row,), limit.texts(), ink, over="╌")


def draw_peak(plot: Plot, known: Sequence[Level | None], area: Area, top: float, ink: str) -> None:
    """Write the highest value of a line beside its peak, where nothing is filled."""
    found = [level.high if level else 0.0 for level in known]
    peak = max(found, default=0.0)
    if not (peak > 0 and top > 0):
        return
    column = found.index(peak) * plot.columns // len(found)
    crest = min(area.rows - 1, int(peak / top * area.rows - 1e-9))
    for text in (f"peak {rate(peak)}", rate(peak)):
        cells = len(text)
        for apart in range(1, PEAK_REACH):
            for begin in (column + 1 + apart, column - apart - cells):
                place, row = plot.left + begin, area.row(crest)
                inside = begin >= 0 and begin + cells <= plot.columns
                if inside and plot.canvas.free(row, place - 1, cells + 2):
                    plot.canvas.write(row, place, text.replace(" ", HOLD), ink)
                    return


def draw_mark_lines(plot: Plot) -> None:
    """Draw a faint line from top to bottom at each of the worst marks, over all but edges of fills.

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
