"""The layers of a chart from back to front: band, limits, area, lines, cursor, axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.cells import cell_len

from vllm_watch.tui.charts.canvas import Canvas, mixed
from vllm_watch.tui.charts.frame import GUTTER, Frame, y_labels
from vllm_watch.tui.charts.raster import Raster, area_under, dots_in, dotted, glyph_at
from vllm_watch.tui.charts.ticks import clock_ticks

if TYPE_CHECKING:
    from datetime import tzinfo

    from vllm_watch.tui.charts.spec import Band, ChartSpec, Limit, Mark

TOP = 1
"""Row of the plot's highest cells, below the title."""
AREA_TOP, AREA_LOW, AREA_FOOT = 0.30, 0.13, 0.07
"""How much of the line's colour tints the area below it: at the top of an area as high as the
plot, at the top of one a cell high, and at the foot of any."""
COVERED = 6
"""Braille dots of the area from which on a cell is tinted: the tint stays below the line."""
MARK_RANK = ("critical", "warning", "note", "good")
"""Which mark is seen where several share a column."""

Palette = Mapping[str, str]


def draw_band(
    canvas: Canvas, frame: Frame, band: Band, limits: tuple[Limit, ...], palette: Palette
) -> None:
    """Tint the cells between the band's edges and dot the edges themselves.

    A row that holds a limit is left alone: that line has to lie outside of what is healthy.
    """
    high, low = min(band.high, frame.top), max(0.0, band.low)
    if not low < high:
        return
    tint = palette.get("band", "")
    ink = palette.get("limit", palette.get("muted", ""))
    taken = {frame.row(limit.value) for limit in limits if 0 < limit.value <= frame.top}
    first = frame.edge_row(high)
    for row in range(first, max(first + 1, frame.edge_row(low))):
        for column in range(frame.columns if row not in taken else 0):
            canvas.shade(TOP + row, GUTTER + column, tint)
    for edge in (band.low, band.high):
        row = frame.edge_row(edge)
        if 0 < edge < frame.top and row < frame.rows and row not in taken:
            for column in range(0, frame.columns, 2):
                canvas.put(TOP + row, GUTTER + column, "·", ink)


def draw_limits(canvas: Canvas, frame: Frame, spec: ChartSpec, palette: Palette) -> None:
    """Draw the limits that lie on the scale."""
    for limit in spec.limits:
        if 0 < limit.value <= frame.top:
            ink = palette.get(limit.role, "")
            canvas.write(TOP + frame.row(limit.value), GUTTER, "┈" * frame.columns, ink)


def draw_lines(
    canvas: Canvas, frame: Frame, spec: ChartSpec, rasters: list[Raster], palette: Palette
) -> None:
    """Draw the series, the first one on top and with the area below it tinted."""
    shapes = [
        (dotted(raster) if line.marker == "dots" else raster, palette.get(line.role, ""))
        for line, raster in zip(spec.lines, rasters, strict=True)
    ]
    for shape, ink in reversed(shapes):
        for row in range(frame.rows):
            for column in range(frame.columns):
                if glyph := glyph_at(shape, row, column):
                    canvas.put(TOP + row, GUTTER + column, glyph, ink)


def draw_area(
    canvas: Canvas, frame: Frame, spec: ChartSpec, raster: Raster, palette: Palette
) -> None:
    """Tint the cells below the first series, more strongly the higher they are.

    A band keeps its own tint instead: two shades on top of each other say nothing.
    """
    ink = palette.get(spec.lines[0].role, "")
    ground = palette.get("background", palette.get("band", ""))
    if not (ink and ground) or spec.band is not None:
        return
    area = area_under(raster, frame.rows)
    cells = [
        (row, column)
        for row in range(frame.rows)
        for column in range(frame.columns)
        if dots_in(area, row, column) >= COVERED
    ]
    highest = min((row for row, _ in cells), default=0)
    height = frame.rows - highest
    top = AREA_LOW + (AREA_TOP - AREA_LOW) * (height - 1) / max(1, frame.rows - 1)
    for row, column in cells:
        depth = (row - highest) / height
        tint = mixed(ground, ink, round(top + (AREA_FOOT - top) * depth, 3))
        canvas.shade(TOP + row, GUTTER + column, tint)


def draw_cursor(canvas: Canvas, frame: Frame, cursor: float, palette: Palette) -> None:
    """Draw the vertical cursor over everything but the lines."""
    if not frame.inside(cursor):
        return
    column = GUTTER + frame.column(cursor)
    for row in range(frame.rows):
        canvas.put(TOP + row, column, "│", palette.get("cursor", ""))


def draw_axes(
    canvas: Canvas, frame: Frame, spec: ChartSpec, palette: Palette, tz: tzinfo, *, empty: bool
) -> None:
    """Draw the gutter with its labels, the time axis with its marks and the clock below it."""
    line_ink, label_ink = palette.get("axis", ""), palette.get("muted", "")
    labels = y_labels(frame, spec, empty=empty)
    for row in range(frame.rows):
        canvas.put(TOP + row, GUTTER - 1, "┤" if row in labels else "│", line_ink)
    bottom = TOP + frame.rows
    canvas.write(bottom, GUTTER - 1, "┼" + "─" * frame.columns, line_ink)
    for row, label in labels.items():
        canvas.write(TOP + row, 0, label.rjust(GUTTER - 1), label_ink)
    free = 0
    for tick in clock_ticks(frame.start, frame.end, frame.columns, tz):
        column = GUTTER + frame.column(tick.time)
        canvas.put(bottom, column, "┬", line_ink)
        begin = min(column - len(tick.label) // 2, canvas.width - len(tick.label))
        if begin >= free:
            canvas.write(bottom + 1, begin, tick.label, label_ink)
            free = begin + len(tick.label) + 1
    for mark in sorted(spec.marks, key=_rank, reverse=True):
        if frame.inside(mark.time):
            ink = palette.get(mark.role, "")
            canvas.put(bottom, GUTTER + frame.column(mark.time), mark.glyph, ink)


def draw_note(canvas: Canvas, frame: Frame, text: str, palette: Palette) -> None:
    """Say in the middle of an empty plot why it is empty."""
    cut = text if cell_len(text) <= frame.columns else text[: max(0, frame.columns - 1)] + "…"
    column = GUTTER + (frame.columns - cell_len(cut)) // 2
    canvas.write(TOP + (frame.rows - 1) // 2, column, cut, palette.get("muted", ""))


def draw_band_label(canvas: Canvas, frame: Frame, band: Band, palette: Palette) -> None:
    """Write the band's name where the data leaves room for it."""
    rows = range(frame.edge_row(band.high) + 1, frame.edge_row(band.low))
    word = f" {band.label} "
    middle = sorted(rows, key=lambda row: abs(row - (rows.start + rows.stop - 1) / 2))
    columns = [frame.columns // 2 - len(word) // 2, 1, frame.columns - len(word) - 1]
    for column in columns:
        for row in middle:
            if band.label and canvas.free(TOP + row, GUTTER + column, len(word)):
                canvas.write(TOP + row, GUTTER + column, word, palette.get("muted", ""))
                return


def _rank(mark: Mark) -> int:
    return MARK_RANK.index(mark.role) if mark.role in MARK_RANK else len(MARK_RANK)
