"""The title row: what is shown, and its newest values or those at the cursor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from vllm_watch.tui.charts.thin import Run, nearest, newest
from vllm_watch.tui.charts.ticks import clock_text, decimals_for, value_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from vllm_watch.tui.charts.canvas import Canvas
    from vllm_watch.tui.charts.spec import ChartSpec, Line

UNKNOWN = "–"
SAMPLES = {"line": "─", "dots": "┄"}
"""How a marker looks in the title."""
LAST = "last"
"""Said before values that are all older than their gaps: nothing newer was written."""
FULL, SHORT, SHORTEST = 99, 4, 3
"""Names are cut to these lengths, one after the other, until the title fits."""

Piece = tuple[str, str]
"""A text and its ink."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One series as the title says it."""

    name: str
    short: str
    marker: str
    value: str
    slot: int
    """Cells the widest value of the window needs, so that the title holds still."""
    ink: str
    stale: bool
    """The value is older than the series' gap."""


def draw_title(
    canvas: Canvas, spec: ChartSpec, runs: list[list[Run]], palette: Mapping[str, str], tz: tzinfo
) -> None:
    """Write the fullest form of the title that fits into row 0."""
    readings = [
        _reading(spec, line, line_runs, palette.get(line.role, ""))
        for line, line_runs in zip(spec.lines, runs, strict=True)
    ]
    clock = "" if spec.cursor is None else clock_text(spec.cursor, tz)
    if spec.cursor is None and readings and all(reading.stale for reading in readings):
        clock = LAST
    pieces: list[Piece] = []
    for pieces in _forms(spec, readings, clock, palette):
        if sum(cell_len(text) for text, _ in pieces) <= canvas.width:
            break
    column = 0
    for text, ink in pieces:
        cells = min(cell_len(text), canvas.width - column)
        canvas.write(0, column, set_cell_size(text, cells), ink)
        column += cells


def _forms(
    spec: ChartSpec, readings: list[Reading], clock: str, palette: Mapping[str, str]
) -> list[list[Piece]]:
    """Return the title in ever shorter forms: names shorten, then the unit goes, then series."""
    heading = (f" {spec.title}", f"bold {palette.get('text', '')}".strip())
    muted = palette.get("muted", "")
    unit = [(f" {spec.unit}", muted)] if spec.unit else []
    time = [(f"  {clock}", muted if clock == LAST else palette.get("cursor", muted))]
    time = time if clock else []
    limits, short = _limits(spec, palette, short=False), _limits(spec, palette, short=True)
    only = len(readings) == 1
    forms = [
        [heading, *unit, *time, *_series(readings, FULL, only, muted, pad=True), *limits],
        [heading, *unit, *time, *_series(readings, FULL, only, muted), *short],
    ]
    if limits:  # a line that nobody names puzzles more than a short name does
        forms.append([heading, *time, *_series(readings, SHORT, only, muted), *short])
    forms.append([heading, *unit, *time, *_series(readings, FULL, only, muted, pad=True)])
    forms += [
        [heading, *unit, *time, *_series(readings, cells, only, muted)]
        for cells in (FULL, SHORT, SHORTEST)
    ]
    forms += [
        [heading, *time, *_series(readings[:count], SHORTEST, only, muted)]
        for count in range(len(readings), 0, -1)
    ]
    alone = _series(readings[:1], 0, True, muted)
    return [*forms, [heading, *time, *alone], [heading, *alone], [heading]]


def _limits(spec: ChartSpec, palette: Mapping[str, str], *, short: bool) -> list[Piece]:
    """Return the names of the limits, in their short form if asked for."""
    names = [(*limit.label.partition("|"), limit.role) for limit in spec.limits if limit.label]
    return [
        (f"  ┈ {brief if short and brief else name}", palette.get(role, palette.get("muted", "")))
        for name, _, brief, role in names
    ]


def _series(
    readings: list[Reading], cells: int, only: bool, muted: str, pad: bool = False
) -> list[Piece]:
    """Return the pieces of the series, with their names cut to ``cells``."""
    pieces: list[Piece] = []
    for reading in readings:
        name = reading.name if cells == FULL else reading.short[:cells]
        sample = "" if only and not name else f"{reading.marker} "
        value = reading.value.ljust(reading.slot) if pad else reading.value
        pieces.append((f"  {sample}", reading.ink))
        if name:
            pieces.append((f"{name} ", muted))
        pieces.append((value, muted if reading.stale else f"bold {reading.ink}".strip()))
    return pieces


def _reading(spec: ChartSpec, line: Line, runs: list[Run], ink: str) -> Reading:
    """Return a series' newest value, or the one at the cursor."""
    drawn = [value for run in runs for _, value in run]
    decimals = decimals_for(drawn)
    if spec.cursor is None:
        point = newest(line.times, line.values, spec.start, spec.end)
        stale = point is not None and spec.end - point[0] > line.gap_s
    else:
        point = nearest(line.times, line.values, spec.cursor, line.gap_s)
        stale = False
    value = UNKNOWN if point is None else value_text(point[1], decimals)
    slot = max((len(value_text(number, decimals)) for number in drawn), default=1)
    marker = SAMPLES.get(line.marker, SAMPLES["line"])
    name, _, short = line.name.partition("|")
    return Reading(name, short or name, marker, value, slot, ink, stale)
