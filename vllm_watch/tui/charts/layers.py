"""The layers of a chart of lines from front to back: lines, axes, cursor, limits, band."""

from __future__ import annotations

from collections.abc import Iterable

from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.ticks import clock_ticks
from vllm_watch.tui.charts.canvas import HOLD, Canvas
from vllm_watch.tui.charts.frame import DOTS, EIGHTHS, GUTTER, Frame
from vllm_watch.tui.charts.raster import Raster, dashed, glyph_at
from vllm_watch.tui.charts.shades import Palette

if TYPE_CHECKING:
    from datetime import tzinfo

    from vllm_watch.tui.charts.spec import Band, ChartSpec, Limit

LONG_LABEL_COLUMNS = 45
"""From this width on, a limit has its full name."""

_DOT_ROWS = "⠁⠂⠄⡀"
"""One dot of a cell, from the highest to the lowest."""
_LOWER = " ▁▂▃▄▅▆▇"
"""Cells filled from below, by eighths."""


def draw_lines(
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


def draw_axes(canvas: Canvas, frame: Frame, palette: Palette, tz: tzinfo) -> None:
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


def draw_cursor(canvas: Canvas, frame: Frame, cursor: float, palette: Palette) -> None:
    """Draw the vertical cursor behind the lines."""
    if frame.inside(cursor):
        for row in range(frame.rows):
            column = GUTTER + frame.column(cursor)
            canvas.fill(row, column, "│", palette.get("cursor", ""))


def draw_limit(canvas: Canvas, frame: Frame, limit: Limit, palette: Palette) -> None:
    """Draw a limit within the scale, with its name and value on it or beside it."""
    if not 0 < limit.value <= frame.scale.top:
        return
    row, ink = frame.row(limit.value), palette.get(limit.role, "")
    if limit.label:
        name, _, short = limit.label.partition("|")
        name = short if short and frame.columns < LONG_LABEL_COLUMNS else name
        rows = (other for other in (row, row - 1, row + 1) if 0 <= other < frame.rows)
        _label(canvas, frame, f"{name} {_exact(limit.value)}", rows, ink)
    dot = _DOT_ROWS[DOTS - 1 - int(frame.dot_y(limit.value)) % DOTS]
    for column in range(frame.columns):
        canvas.fill(row, GUTTER + column, dot, ink)


def draw_band(canvas: Canvas, frame: Frame, band: Band, palette: Palette) -> None:
    """Tint the area between the band's edges, to an eighth of a row, and write its name there."""
    high, low = min(band.high, frame.scale.top), max(0.0, band.low)
    tint = palette.get("band", "")
    if not low < high:
        return
    edges = frame.eighths(low), frame.eighths(high)
    rows = {row: _filled(frame.rows - row, *edges) for row in range(frame.rows)}
    if band.label:
        whole = [row for row, (foot, head) in rows.items() if head - foot == EIGHTHS]
        middle = sorted(whole, key=lambda row: abs(row - (whole[0] + whole[-1]) / 2))
        words = f"{band.label} {_exact(band.low)}–{_exact(band.high)}"
        _label(canvas, frame, words, middle, palette.get("muted", ""))
    for row, (foot, head) in rows.items():
        for column in range(GUTTER, GUTTER + frame.columns if tint and foot < head else 0):
            _tint(canvas, row, column, (foot, head), tint)


def _tint(canvas: Canvas, row: int, column: int, part: tuple[int, int], tint: str) -> None:
    """Tint a part of a cell in eighths; a cell with a line is tinted as a whole or not at all."""
    foot, head = part
    if head - foot == EIGHTHS:
        canvas.shade(row, column, tint)
    elif canvas.free(row, column, 1):
        if foot == 0:
            canvas.put(row, column, _LOWER[head], tint)
        else:
            canvas.put(row, column, _LOWER[foot], f"reverse {tint}")
    elif head - foot > EIGHTHS // 2:
        canvas.shade(row, column, tint)


def _filled(above: int, low: int, high: int) -> tuple[int, int]:
    """Return the eighths of a row, counted from the axis, between two heights."""
    foot, head = (min(EIGHTHS, max(0, edge - EIGHTHS * above)) for edge in (low, high))
    return foot, head


def _label(canvas: Canvas, frame: Frame, words: str, rows: Iterable[int], ink: str) -> None:
    """Write words into the first of these rows that has room, at its end or its beginning."""
    cells = len(words) + 2
    ends = (frame.columns - cells, 0, (frame.columns - cells) // 2)
    for row in rows:
        for column in ends:
            if column >= 0 and canvas.free(row, GUTTER + column, cells):
                canvas.write(row, GUTTER + column, f" {words} ".replace(" ", HOLD), ink)
                return


def _exact(value: float) -> str:
    """Return a threshold as it was set."""
    return f"{value:,.0f}" if abs(value - round(value)) < 1e-6 else f"{value:.4g}"
