"""Charts of lines: plotext draws the lines, everything around them is added here."""

from __future__ import annotations

from math import isfinite
from threading import Lock

from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.ticks import clock_ticks
from vllm_watch.tui.charts.canvas import Canvas
from vllm_watch.tui.charts.frame import DOTS, GUTTER, Frame, frame_for
from vllm_watch.tui.charts.raster import Raster, dashed, glyph_at, raster_from_lines
from vllm_watch.tui.charts.shades import Palette
from vllm_watch.tui.charts.thin import Polyline, thin

if TYPE_CHECKING:
    from datetime import tzinfo

    from vllm_watch.tui.charts.spec import ChartSpec

_FIGURE_LOCK = Lock()
"""plotext has one figure for the whole process; two threads would draw into the same one."""
LONE_DOTS = 1.0
"""Half the length, in dots, of the dash that stands for a single sample."""


def draw_curves(spec: ChartSpec, width: int, height: int, palette: Palette, tz: tzinfo) -> Canvas:
    """Return the curves of a chart as cells: labels, plot and, in the last row, the time axis.

    ``palette`` maps roles to ``#rrggbb``; a missing role takes the terminal's own colour. Lines,
    axes and cursor are drawn in this order: each uses the cells left free.
    """
    canvas = Canvas(width, height)
    columns = width - GUTTER
    polylines = [
        thin(
            line.times,
            line.values,
            spec.start,
            spec.end,
            columns,
            line.gap_s,
            hold_s=spec.holds(line.gap_s),
        )
        for line in spec.lines
    ]
    frame = frame_for(spec, polylines, width, height)
    _lines(canvas, frame, spec, _rasters(frame, polylines), palette)
    _axes(canvas, frame, palette, tz)
    if spec.cursor is not None:
        _cursor(canvas, frame, spec.cursor, palette)
    return canvas


def _lines(
    canvas: Canvas, frame: Frame, spec: ChartSpec, rasters: list[Raster], palette: Palette
) -> None:
    """Draw the series, the first one on top."""
    shapes = [
        (dashed(raster) if line.marker == "dots" else raster, palette.get(line.role, ""))
        for line, raster in zip(spec.lines, rasters, strict=True)
    ]
    for shape, ink in reversed(shapes):
        for row in range(frame.rows + 1):
            for column in range(frame.columns):
                if glyph := glyph_at(shape, row, column):
                    canvas.put(row, GUTTER + column, glyph, ink)


def _axes(canvas: Canvas, frame: Frame, palette: Palette, tz: tzinfo) -> None:
    """Draw the labels, and the time axis with its ticks."""
    line_ink, labels = palette.get("axis", ""), frame.labels()
    for row in range(frame.rows):
        canvas.put(row, GUTTER - 1, "┤" if row in labels else "│", line_ink)
    canvas.put(frame.rows, GUTTER - 1, "┼", line_ink)
    for row, label in labels.items():
        canvas.write(row, 0, label.rjust(GUTTER - 1), palette.get("muted", ""))
    for tick in clock_ticks(frame.start, frame.end, frame.columns, tz):
        canvas.fill(frame.rows, GUTTER + frame.column(tick.time), "┬", line_ink)
    for column in range(frame.columns):
        canvas.fill(frame.rows, GUTTER + column, "─", line_ink)


def _cursor(canvas: Canvas, frame: Frame, cursor: float, palette: Palette) -> None:
    """Draw the vertical cursor behind the lines."""
    if frame.inside(cursor):
        for row in range(frame.rows):
            column = GUTTER + frame.column(cursor)
            canvas.fill(row, column, "│", palette.get("cursor", ""))


def _rasters(frame: Frame, polylines: list[list[Polyline]]) -> list[Raster]:
    """Return one raster per series, ending with the axis' row; all are drawn together, stacked."""
    layers, height = len(polylines), frame.rows + 1
    xs: list[float] = []
    ys: list[float] = []
    breaks: list[int] = []
    for index, line in enumerate(polylines):
        offset = (layers - 1 - index) * DOTS * height
        for polyline in line:
            points = _dots(frame, polyline)
            breaks.append(len(xs))
            xs += [x for x, _ in points]
            ys += [y + offset for _, y in points]
    picture = _plot(xs, ys, breaks, frame.columns, height * layers)
    return [
        raster_from_lines(picture[index * height : (index + 1) * height], frame.columns)
        for index in range(layers)
    ]


def _dots(frame: Frame, polyline: Polyline) -> list[tuple[float, float]]:
    """Return a run's points in dots; a single sample becomes a short dash."""
    right = 2 * frame.columns - 0.01
    points = [(min(right, max(0.0, frame.dot_x(t))), frame.dot_y(v)) for t, v in polyline]
    if len(points) == 1:
        x, y = points[0]
        return [(max(0.0, x - LONE_DOTS), y), (min(right, x + LONE_DOTS), y)]
    return points


def _plot(
    xs: list[float], ys: list[float], breaks: list[int], columns: int, rows: int
) -> list[str]:
    """Return ``rows`` lines of braille; ``breaks`` are the points not joined to the one before.

    Everything that reaches plotext 6 must be finite: a NaN aborts the process in its kernel.
    """
    if not xs or not all(map(isfinite, xs)) or not all(map(isfinite, ys)):
        return [""] * rows
    import plotext  # here because it takes 0.3 s

    with _FIGURE_LOCK:
        figure = plotext.figure
        figure.clear()
        plotext.terminal.limit(False, False)
        figure.plot_size(columns, rows)
        figure.axes(False)
        figure.legend(False)
        figure.ruler("x").ticks([]).lim(0, 2 * columns).alignment(lim="edge")
        figure.ruler("y").ticks([]).lim(0, DOTS * rows).alignment(lim="edge")
        signal = figure.signal(xs, ys, marker="braille").lines(True).density("simple")
        for index in breaks:
            signal.line(index, False)
        figure.draw(signal)
        picture: str = figure.build().string(colorless=True)
        figure.clear()
    return picture.split("\n")
