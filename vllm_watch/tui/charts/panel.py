"""A chart in its frame: the title in the upper rule, the clock in the lower one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from rich.cells import cell_len

from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.ticks import LABEL_CELLS, axis_label, round_top
from vllm_watch.tui.charts.canvas import HOLD, Canvas
from vllm_watch.tui.charts.draw import draw_curves
from vllm_watch.tui.charts.fills import fill, stack
from vllm_watch.tui.charts.notes import has_notes, write_clock, write_notes
from vllm_watch.tui.charts.plot import (
    Plot,
    draw_band,
    draw_limits,
    draw_mark_lines,
    draw_peak,
    rim,
)
from vllm_watch.tui.charts.sampled import levels
from vllm_watch.tui.charts.shades import MONO, SMOOTH
from vllm_watch.tui.charts.thin import thin
from vllm_watch.tui.charts.title import SAMPLES, Piece, cells_of, title_pieces, write_pieces
from vllm_watch.tui.wording import evenly_wrapped

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from vllm_watch.tui.charts.spec import ChartSpec, Zone

GUTTER = LABEL_CELLS + 2
"""Cells left of the plot: the frame, the labels and a blank."""
MIN_WIDTH, MIN_HEIGHT = 24, 4
"""Below this height a panel has only its title."""
LIMIT_REACH = 4.0
"""A limit up to this many times the data's maximum extends the scale to be visible."""
NOTED_HEIGHT = 9
"""From this height on, there is a row below the plot for words."""


def draw_panel(
    spec: ChartSpec,
    width: int,
    height: int,
    palette: Mapping[str, str],
    tz: tzinfo,
    tops: tuple[float, ...] = (),
) -> Canvas:
    """Return a chart of exactly ``width`` × ``height`` cells in its frame.

    ``palette`` maps roles to ``#rrggbb`` and says with ``shading`` what the terminal can show.
    ``tops`` are the ends of its scales; by default round numbers above its data.
    """
    canvas = Canvas(max(0, width), max(0, height))
    if width < 1 or height < 1:
        return canvas
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        _title(canvas, spec, palette, tz, 0)
        return canvas
    draw_frame(canvas, palette)
    _title(canvas, spec, palette, tz, 2)
    noted = height >= NOTED_HEIGHT and has_notes(spec)
    plot = Plot(canvas, spec, palette, *plot_place(width), height - 2 - noted, noted)
    if not noted:
        _zones(plot)
    known = _has_samples(spec)
    if not known:
        _note(plot, spec.empty)
    elif spec.kind == "lines":
        canvas.paste(draw_curves(spec, width - 3, plot.rows, palette, tz))
    else:
        _KINDS[spec.kind](plot, tops)
        _cursor(plot)
    if known:
        draw_mark_lines(plot)
    if noted:
        write_notes(canvas, height - 2, plot.left, plot.columns, spec, palette)
    named = has_notes(spec) and not noted
    write_clock(canvas, plot.left, plot.columns, spec, palette, tz, marked=named)
    return canvas


def _has_samples(spec: ChartSpec) -> bool:
    """Tell whether a chart's window has a value."""
    return any(
        value is not None and spec.start <= time <= spec.end
        for line in spec.lines
        for time, value in zip(reversed(line.times), reversed(line.values), strict=True)
    )


def plot_place(width: int) -> tuple[int, int]:
    """Return in which column the plot of a panel begins, and its columns."""
    return GUTTER, width - GUTTER - 2


def draw_frame(canvas: Canvas, palette: Mapping[str, str]) -> None:
    """Draw rounded rules around a canvas."""
    ink = palette.get("rule", "")
    right, bottom = canvas.width - 1, canvas.height - 1
    for column in range(1, right):
        canvas.put(0, column, "─", ink)
        canvas.put(bottom, column, "─", ink)
    for row in range(1, bottom):
        canvas.put(row, 0, "│", ink)
        canvas.put(row, right, "│", ink)
    for row, column, glyph in (
        (0, 0, "╭"), (0, right, "╮"), (bottom, 0, "╰"), (bottom, right, "╯"),
    ):  # fmt: skip
        canvas.put(row, column, glyph, ink)


def scale_tops(spec: ChartSpec, columns: int) -> tuple[float, ...]:
    """Return the ends of the scales of a chart's fills: round numbers above its data."""
    found = [
        levels(line.times, line.values, (spec.start, spec.end), columns, line.gap_s, line.weights)
        for line in spec.lines
    ]
    peaks = [max((level.high for level in each if level), default=0.0) for each in found]
    if spec.kind == "mirror" and spec.even:
        return (min(round_top(max(peaks, default=0.0)), spec.y_max or math.inf),) * 2
    if spec.y_max:
        return (spec.y_max,)
    if spec.kind == "mirror":
        return tuple(round_top(peak) for peak in peaks)
    peak = max(peaks, default=0.0)
    if spec.kind == "stack":
        peak = max(
            (
                sum(level.high for level in pair if level)
                for pair in zip(*found, strict=True)
                if pair[0]
            ),
            default=0.0,
        )
    near = [limit.value for limit in spec.limits if 0 < limit.value <= LIMIT_REACH * peak]
    highest = max([peak, *near])
    return (highest if near and highest == max(near) else round_top(peak),)


def _title(
    canvas: Canvas, spec: ChartSpec, palette: Mapping[str, str], tz: tzinfo, column: int
) -> None:
    """Write the title on the upper rule, and the note at its right end."""
    polylines = [
        thin(line.times, line.values, spec.start, spec.end, canvas.width, line.gap_s)
        for line in spec.lines
    ]
    room = canvas.width - 2 * column - (1 if column else 0)
    pieces = title_pieces(spec, polylines, room, palette, tz)
    for note in _notes(spec, palette):
        cells = cells_of(note)
        if cells_of(pieces) + cells + 2 <= room:
            write_pieces(canvas, canvas.width - column - cells, note)
            break
    if column:
        pieces.append((" ", ""))
    write_pieces(canvas, column, pieces)


def _notes(spec: ChartSpec, palette: Mapping[str, str]) -> Iterator[list[Piece]]:
    """Yield texts for the right end of the title, the longest first."""
    muted = palette.get("muted", "")
    if palette.get("shading", SMOOTH) != MONO:
        for legend in spec.legends:
            pieces = [(" ", "")]
            for words, role in legend:
                pieces += [(words[0], palette.get(role, "")), (f"{words[1:]} ", muted)]
            yield pieces
    for words in spec.note.split("|") if spec.note else ():
        yield [(f" {words} ", muted)]


def _zones(plot: Plot) -> None:
    for zone in plot.spec.zones:
        begin, end = max(zone.begin, plot.spec.start), min(zone.end, plot.spec.end)
        first, last = plot.column(begin), plot.column(end)
        if first is None or last is None or end <= begin:
            continue
        tint = plot.palette.get(zone.role, "")
        for row in range(plot.rows):
            for column in range(first, last + 1):
                plot.canvas.shade(1 + row, plot.left + column, tint)
        _zone_label(plot, zone, first, last - first + 1)


def _zone_label(plot: Plot, zone: Zone, first: int, room: int) -> None:
    words = next((each for each in zone.label.split("|") if cell_len(each) + 2 <= room), "")
    column = plot.left + first + (room - cell_len(words)) // 2
    ink = plot.palette.get("note", "")
    plot.canvas.write(1 + plot.rows // 2, column, _held(words), ink)


def _held(words: str) -> str:
    """Return words that nothing is drawn into."""
    return words.replace(" ", HOLD)


def _mirror(plot: Plot, tops: tuple[float, ...]) -> None:
    """Draw the first line upwards from the middle, the second one downwards."""
    spec, palette = plot.spec, plot.palette
    upper = max(1, (plot.rows - 1) // 2 if spec.even else round((plot.rows - 1) * spec.upper))
    lower = upper if spec.even else plot.rows - 1 - upper
    ends = _ends(spec, plot.columns, tops)
    for column in range(plot.columns):
        plot.canvas.put(1 + upper, plot.left + column, "─", palette.get("rule", ""))
    up, down = spec.lines[0], spec.lines[1]
    standing, highest = plot.area(upper - 1, upper), rim(ends[0], upper)
    found = plot.levels(0), plot.levels(1)
    fill(standing, found[0], highest, lambda _: up.role)
    hanging, deepest = plot.area(upper + 1, lower, hangs=True), rim(ends[1], lower)
    fill(hanging, found[1], deepest, lambda _: down.role, weight=1)
    if not spec.even:  # their heights cannot be compared
        draw_peak(plot, found[0], standing, highest, plot.ink(0))
        draw_peak(plot, found[1], hanging, deepest, plot.ink(1))
    _label(plot, upper, "0")
    for row, line, end in (0, up, ends[0]), (upper + lower, down, ends[1]):
        ink = palette.get(line.role, "")
        _label(plot, row, axis_label(end), ink)
        if not spec.even:  # the sign of the line whose scale it is
            plot.canvas.put(1 + row, plot.left - 1, SAMPLES[line.marker], ink)


def _stack(plot: Plot, tops: tuple[float, ...]) -> None:
    top = _ends(plot.spec, plot.columns, tops)[0]
    area, edge = plot.area(plot.rows - 1, plot.rows), rim(top, plot.rows)
    lines = plot.spec.lines
    stack(area, [plot.levels(n) for n in range(len(lines))], edge, [line.role for line in lines])
    draw_limits(plot, edge)
    _scale(plot, top)


def _area(plot: Plot, tops: tuple[float, ...]) -> None:
    spec = plot.spec
    top = _ends(spec, plot.columns, tops)[0]
    area, edge = plot.area(plot.rows - 1, plot.rows), rim(top, plot.rows)
    fill(area, plot.levels(0), edge, lambda value: spec.role(spec.lines[0], value))
    draw_band(plot, edge)
    draw_limits(plot, edge)
    _scale(plot, top)


_KINDS: dict[str, Callable[[Plot, tuple[float, ...]], None]] = {
    "area": _area,
    "stack": _stack,
    "mirror": _mirror,
}


def _ends(spec: ChartSpec, columns: int, tops: tuple[float, ...]) -> tuple[float, ...]:
    return tops or scale_tops(spec, columns)


def _scale(plot: Plot, top: float) -> None:
    """Label the scale at equal distances: its end, its middle and zero.

    Zero has the last row, or the one below it if only that makes the distances equal.
    """
    middle = plot.rows // 2
    halved = plot.rows >= 5 and len(f"{top / 2:g}") <= LABEL_CELLS
    zero = 2 * middle if halved else plot.rows - 1
    if zero == plot.rows and not plot.noted:  # in the frame's lower rule
        _label(plot, zero, " 0 ", cells=LABEL_CELLS + 1)
    else:
        _label(plot, zero, "0")
    if plot.spec.band is not None and _banded(plot, top, zero):
        pass
    elif halved:
        _label(plot, middle, axis_label(top / 2))
    _label(plot, 0, axis_label(top))


def _banded(plot: Plot, top: float, zero: int) -> bool:
    """Label the ends of the band in place of the middle; return whether there are rows for them."""
    band = plot.spec.band
    assert band is not None
    rows = [round(zero * (1 - edge / top)) for edge in (band.low, band.high)]
    if len({0, zero, *rows}) < 4 or not 0 < band.low < band.high < top:
        return False
    for row, edge in zip(rows, (band.low, band.high), strict=True):
        _label(plot, row, axis_label(edge), plot.palette.get("good", ""))
    return True


def _label(plot: Plot, row: int, label: str, ink: str = "", cells: int = LABEL_CELLS) -> None:
    """Label a row of the scale; a scale of a single series has its colour."""
    column = 1 + cells - len(label)
    plot.canvas.write(1 + row, column, label, ink or plot.palette.get("muted", ""))


def _cursor(plot: Plot) -> None:
    if plot.spec.cursor is None:
        return
    column = plot.column(plot.spec.cursor)
    if column is None:
        return
    for row in range(plot.rows):
        plot.canvas.overlay(1 + row, plot.left + column, "│", plot.palette.get("cursor", ""))


def _note(plot: Plot, text: str) -> None:
    """Write in the middle of an empty plot why it is empty."""
    room = plot.columns
    lines = evenly_wrapped(text, room, min(2, plot.rows))
    first = 1 + (plot.rows - len(lines)) // 2
    for row, line in enumerate(lines, first):
        column = plot.left + (room - cell_len(line)) // 2
        plot.canvas.write(row, column, line, plot.palette.get("muted", ""))
