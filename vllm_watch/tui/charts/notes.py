"""Below the plot of a chart: events in words, and the clock with ticks at exact times."""

from __future__ import annotations

from rich.cells import cell_len

from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.ticks import clock_ticks, span_ticks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from vllm_watch.tui.charts.canvas import Canvas
    from vllm_watch.tui.charts.spec import ChartSpec, Mark, Zone

MARK_RANK = ("critical", "warning", "note", "good")
"""Which mark is drawn if several share a column."""
TICK = "┴"
"""The sign in the lower rule at the column of a time, next to its clock time."""

BEFORE = 2
"""Extra blanks before a time that is left of its tick: it must not seem to belong to the tick
before."""


def has_notes(spec: ChartSpec) -> bool:
    """Return whether the window of a chart has marks or zones with words."""
    marked = any(mark.word and spec.start <= mark.time <= spec.end for mark in spec.marks)
    zones = (zone for zone in spec.zones if zone.begin < spec.end and spec.start < zone.end)
    return marked or any(zone.label for zone in zones)


def write_notes(
    canvas: Canvas,
    row: int,
    left: int,
    columns: int,
    spec: ChartSpec,
    palette: Mapping[str, str],
) -> None:
    """Write the marks with their words, and the zones as brackets, into a separate row.

    A word stands directly after its mark; one without room is left out. A space separates it from
    other marks and words. The worst marks get their words first.
    """
    free = [True] * columns
    for place, mark in _placed(spec, columns):
        for text in (mark.glyph + mark.word, mark.glyph):
            last = place + cell_len(text)
            if place == 0 and not canvas.free(row, 1, left - 1):  # zero of the scale is there
                continue
            if last <= columns and all(free[max(0, place - 1) : last + 1]):
                canvas.write(row, left + place, text, palette.get(mark.role, ""))
                free[place:last] = [False] * (last - place)
                break
    for zone in spec.zones:
        _bracket(canvas, row, left, zone, spec, palette, free)


def write_clock(
    canvas: Canvas,
    left: int,
    columns: int,
    spec: ChartSpec,
    palette: Mapping[str, str],
    tz: tzinfo,
    *,
    marked: bool,
) -> None:
    """Write round times into the lower rule, each beside its tick; `marked`: the marks as well.

    A time without room is left out: a tick alone says nothing.
    """
    bottom, ink = canvas.height - 1, palette.get("muted", "")
    free = [True] * (columns + 1)  # a time may go up to the corner
    for place, mark in _placed(spec, columns) if marked else ():
        canvas.put(bottom, left + place, mark.glyph, palette.get(mark.role, ""))
        free[place] = False
    ticks = span_ticks(spec.end, columns) if spec.relative else None
    for tick in ticks or clock_ticks(spec.start, spec.end, columns, tz):
        at = spec.column(tick.time, columns)
        if at is None:
            continue
        cells = len(tick.label)
        for begin, apart in (at + 1, 0), (at - cells, BEFORE):
            if _is_free(free, begin - apart, cells + apart, at):
                if free[at]:  # otherwise a mark is there, which serves as the tick
                    canvas.put(bottom, left + at, TICK, ink)
                    free[at] = False
                if begin > at:  # a blank parts it from the rule on the side away from its tick
                    blank = " " if begin + cells < len(free) else ""
                    canvas.write(bottom, left + begin, tick.label + blank, ink)
                else:
                    canvas.write(bottom, left + begin - 1, f" {tick.label}", ink)
                free[begin : begin + cells] = [False] * cells
                break


def _is_free(free: list[bool], begin: int, cells: int, own: int) -> bool:
    """Return whether so many cells are free, with a blank around them except at `own`."""
    end = begin + cells
    if begin < 0 or end > len(free):
        return False
    around = [place for place in range(max(0, begin - 1), min(len(free), end + 1)) if place != own]
    return all(free[place] for place in around)


def _placed(spec: ChartSpec, columns: int) -> list[tuple[int, Mark]]:
    """Return the marks and their columns, the worst first; neighbours are a cell apart."""
    found: dict[int, Mark] = {}
    for mark in sorted(spec.marks, key=_rank):
        place = spec.column(mark.time, columns)
        if place is not None and not found.keys() & {place - 1, place, place + 1}:
            found[place] = mark
    return list(found.items())


def _bracket(
    canvas: Canvas,
    row: int,
    left: int,
    zone: Zone,
    spec: ChartSpec,
    palette: Mapping[str, str],
    free: list[bool],
) -> None:
    """Draw a stretch of time as a bracket with its words inside."""
    first = spec.column(max(zone.begin, spec.start), len(free))
    last = spec.column(min(zone.end, spec.end), len(free))
    if first is None or last is None or not zone.label or not all(free[first : last + 1]):
        return
    room = last - first - 1
    words = next((each for each in zone.label.split("|") if cell_len(each) <= room), None)
    if words is None:
        return
    padded = f" {words} " if cell_len(words) + 2 <= room else words
    ink = palette.get("note", "")
    canvas.write(row, left + first, f"├{padded.center(room, '─')}┤", ink)
    free[first : last + 1] = [False] * (last + 1 - first)


def _rank(mark: Mark) -> int:
    return MARK_RANK.index(mark.role) if mark.role in MARK_RANK else len(MARK_RANK)
