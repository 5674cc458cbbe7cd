"""Charts of lines: plotext draws the lines, everything around them is added here."""

from __future__ import annotations

from math import isfinite
from threading import Lock

from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.tui.charts.canvas import Canvas
from vllm_watch.tui.charts.frame import DOTS, GUTTER, Frame, frame_for
from vllm_watch.tui.charts.layers import (
    draw_axes,
    draw_band,
    draw_cursor,
    draw_limit,
    draw_lines,
)
from vllm_watch.tui.charts.raster import Raster, raster_from_lines
from vllm_watch.tui.charts.thin import Polyline, thin

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from vllm_watch.tui.charts.spec import ChartSpec

_FIGURE_LOCK = Lock()
"""plotext has one figure for the whole process; two threads would draw into the same one."""
LONE_DOTS = 1.0
"""Half the length, in dots, of the dash that stands for a single sample."""


def draw_curves(
    spec: ChartSpec, width: int, height: int, palette: Mapping[str, str], tz: tzinfo
) -> Canvas:
    """Return the curves of a chart as cells: labels, plot and, in the last row, the time axis.

    ``palette`` maps roles to ``#rrggbb``; a missing role takes the terminal's own colour. The
    layers are drawn from front to back: each uses the cells left free.
    """
    canvas = Canvas(width, height)
    columns = width - GUTTER
    polylines = [
        thin(line.times, line.values, spec.start, spec.end, columns, line.gap_s)
        for line in spec.lines
    ]
    frame = frame_for(spec, polylines, width, height)
    draw_lines(canvas, frame, spec, _rasters(frame, polylines), palette)
    draw_axes(canvas, frame, palette, tz)
    if spec.cursor is not None:
        draw_cursor(canvas, frame, spec.cursor, palette)
    for limit in spec.limits:
        draw_limit(canvas, frame, limit, palette)
    if spec.band is not None:
        draw_band(canvas, frame, spec.band, palette)
    return canvas


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
