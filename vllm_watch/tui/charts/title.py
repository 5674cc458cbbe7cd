"""The title of a chart, and its newest values or those at the cursor."""

from __future__ import annotations

import math

from rich.cells import cell_len, set_cell_size

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.figures import UNKNOWN, clock
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.ticks import LABEL_CELLS, axis_label, decimals_for, value_text
from vllm_watch.tui.charts.thin import Polyline, nearest, newest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import tzinfo

    from vllm_watch.tui.charts.canvas import Canvas
    from vllm_watch.tui.charts.spec import ChartSpec, Line

SAMPLES = {"line": "─", "dots": "╌", "fill": "", "up": "↑", "down": "↓"}
"""How a marker looks in the title."""
LAST, AT = "last", "at"
"""Word before values that are all old: nothing newer was written, or can be."""
FULL, SHORT = 99, 98
"""Names in full, and in their short form; further forms are lengths to which they are cut."""
TIMED = 48
"""Cells of a title with room for the time of old values, whatever the chart."""
ABOUT = "about "
"""Stands before estimated values."""

Piece = tuple[str, str]


@dataclass(frozen=True, slots=True)
class TitleValue:
    """One series in the title."""

    name: str
    short: str
    marker: str
    value: str
    brief: str
    """The value in at most four cells."""
    slot: int
    """Width of the widest value in the window, so that the title does not move."""
    ink: str
    stale: bool
    """True if the value is older than the longest usual distance, or nothing newer can come."""
    time: float
    """Time of the value; −∞ if there is none."""

    @property
    def value_ink(self) -> str:
        """The ink of the value."""
        return f"bold {self.ink}".strip()

    def text(self, form: str) -> str:
        """Return the value in one of the forms of `Form.values`."""
        if form == "padded":
            return self.value.ljust(self.slot)
        return {"plain": self.value, "brief": self.brief}.get(form, "")


@dataclass(frozen=True, slots=True)
class Form:
    """How much a title contains; less in a narrow one."""

    unit: bool = True
    names: int = FULL
    values: str = "padded"
    """``padded`` to a fixed width, ``plain``, ``brief`` in four cells, or empty: none."""
    clock: int = 0
    """Index of the clock's form; beyond the last one there is none."""
    gap: str = "  "


FORMS = (
    Form(),
    Form(values="plain"),
    Form(names=SHORT, values="plain"),
    Form(unit=False, names=SHORT, values="plain"),
    Form(unit=False, names=SHORT, values="plain", gap=" "),
    Form(unit=False, names=SHORT, values="brief", gap=" "),
    Form(unit=False, names=SHORT, values="plain", clock=1),
    Form(unit=False, names=SHORT, values="plain", clock=1, gap=" "),
    Form(unit=False, names=SHORT, values="brief", clock=1),
    Form(unit=False, names=SHORT, values="brief", clock=1, gap=" "),
    Form(unit=False, names=0, values="plain", clock=1),
    Form(unit=False, names=0, values="plain", clock=2, gap=" "),
    Form(unit=False, names=0, values="brief", clock=2, gap=" "),
    Form(unit=False, names=4, values="brief", clock=1, gap=" "),
    Form(unit=False, names=3, values="brief", clock=1, gap=" "),
    Form(unit=False, names=SHORT, values="", clock=1, gap=" "),
    Form(unit=False, names=3, values="", clock=1, gap=" "),
    Form(unit=False, names=3, values="", clock=2, gap=" "),
)
"""Titles from the longest to one that only identifies the lines."""
NAMED_FORMS = (
    *(form for form in FORMS if form.names >= SHORT and form.values),
    Form(unit=False, names=SHORT, values="plain", clock=2, gap=" "),
)
"""The forms with the name of every line: a shorter title is better than a value without a name."""
SIGNED_FORMS = tuple(
    Form(unit=False, names=0, values=values, gap=" ") for values in ("plain", "brief")
)
"""Forms in which each line has only its sign: for old values, whose time must have room."""
VALUELESS = Form(unit=False, names=SHORT, values="", clock=1, gap=" ")
"""The form of a title whose values are old: they must not look like new ones."""
FORMS_ALONE = tuple(form for form in FORMS if form.values)
"""Forms for a single line: each keeps the value, since the line needs no name."""


def title_pieces(
    spec: ChartSpec,
    polylines: list[list[Polyline]],
    room: int,
    palette: Mapping[str, str],
    tz: tzinfo,
) -> list[Piece]:
    """Return the longest form of the title that fits into so many cells."""
    entries = [
        _title_value(spec, line, of_line, palette)
        for line, of_line in zip(spec.lines, polylines, strict=True)
    ]
    clocks = _clocks(spec, entries, palette, tz)
    if room < TIMED and spec.cursor is None:  # charts beside each other say it in the same way
        clocks = clocks[1:] * 2
    pieces: list[Piece] = []
    titles = spec.title.split("|")
    old = len(clocks) == 2 and spec.cursor is None
    by_sign = all(entry.marker in "↑↓" for entry in entries)  # by their signs alone
    forms = _named(titles, spec.unit, SIGNED_FORMS if old and by_sign else (), old=old)
    for title, form in forms if len(entries) > 1 else ():
        pieces = _title(form, title, spec, entries, clocks, palette)
        if cells_of(pieces) <= room:
            return pieces
    title = next((each for each in titles if cell_len(each) + 12 <= room), titles[-1])
    for form in FORMS if len(entries) != 1 else FORMS_ALONE:
        if not form.names and not by_sign:
            continue
        pieces = _title(form, title, spec, entries, clocks, palette)
        if cells_of(pieces) <= room:
            return pieces
    pieces = pieces[:1]
    value = [("  ", ""), *((each.value, each.value_ink) for each in entries)]
    if len(entries) == 1 and cells_of(pieces + value) <= room:
        pieces += value
    return pieces


def _named(
    titles: Sequence[str], unit: str, signed: Sequence[Form], *, old: bool
) -> Iterator[tuple[str, Form]]:
    """Yield titles and forms that name every line: first those that tell the unit and the time.

    `old`: all values are. Then first the names are left out where `signed` forms tell the lines
    apart, then the server's name, which is shown elsewhere, then the values, and only then the
    time.
    """
    timeless = NAMED_FORMS[-1]
    timed = [form for form in NAMED_FORMS if form is not timeless]
    pairs = [(title, form) for title in titles for form in (*timed, *signed)]
    pairs += [(title, VALUELESS) for title in titles if old]
    pairs += [(title, timeless) for title in titles]
    untold = [
        (title, form) for title, form in pairs if unit and not form.unit and unit not in title
    ]
    yield from (pair for pair in pairs if pair not in untold)
    yield from untold


def write_pieces(canvas: Canvas, column: int, pieces: list[Piece]) -> None:
    """Write pieces into the first row; the rest is cut."""
    for text, ink in pieces:
        cells = min(cell_len(text), canvas.width - column)
        canvas.write(0, column, set_cell_size(text, cells), ink)
        column += cells


def cells_of(pieces: list[Piece]) -> int:
    """Return the width of pieces."""
    return sum(cell_len(text) for text, _ in pieces)


def _clocks(
    spec: ChartSpec, entries: list[TitleValue], palette: Mapping[str, str], tz: tzinfo
) -> list[Piece]:
    """Return the time of the values, the longest form first; empty for the present."""
    muted = palette.get("muted", "")
    if spec.cursor is not None:
        return [(clock(spec.cursor, tz), palette.get("cursor", muted))] * 2
    known = [entry for entry in entries if entry.time > -math.inf]
    if not known or not all(entry.stale for entry in known):
        return []
    at = max(each.time for each in known)
    return [(LAST if spec.relative else f"{AT} {clock(at, tz)}", muted), (LAST, muted)]


def _title(
    form: Form,
    title: str,
    spec: ChartSpec,
    entries: list[TitleValue],
    clocks: list[Piece],
    palette: Mapping[str, str],
) -> list[Piece]:
    """Return the title's pieces, the heading first."""
    muted = palette.get("muted", "")
    pieces = [(f" {title}", f"bold {palette.get('text', '')}".strip())]
    at_end = spec.kind != "lines"  # the unit
    if form.unit and spec.unit and not at_end:
        pieces.append((f" {spec.unit}", muted))
    pieces += [(form.gap + text, ink) for text, ink in clocks[form.clock : form.clock + 1]]
    for index, entry in enumerate(entries):
        marker = "+" if index and spec.kind == "stack" else entry.marker
        name = entry.name if form.names == FULL else entry.short[: form.names]
        if len(entries) == 1 and form.names < SHORT:
            name = ""  # a single line needs none
        if name or len(entries) > 1:
            pieces.append((form.gap + marker, entry.ink if marker == entry.marker else muted))
        beside = marker in ("↑", "↓") and len(form.gap) == 1
        if name:
            pieces.append((f" {name}" if marker and not beside else name, muted))
        last = at_end and index == len(entries) - 1  # only the unit follows it
        if value := entry.text("plain" if last and form.values == "padded" else form.values):
            close = name or (entry.marker and not form.names)
            pieces.append(("" if beside and not name else " " if close else form.gap, muted))
            pieces.append((f"{ABOUT}{value}" if spec.estimated else value, entry.value_ink))
    in_title = spec.unit in title.split()
    if spec.unit and at_end and form.values and not in_title and (form.unit or len(spec.unit) == 1):
        pieces.append((f" {spec.unit}", muted))
    if at_end and len(entries) > 1 and form.values == "padded":  # the same form for all its values
        pieces.append((" " * (entries[-1].slot - len(entries[-1].value)), ""))
    return pieces


def _title_value(
    spec: ChartSpec, line: Line, polylines: list[Polyline], palette: Mapping[str, str]
) -> TitleValue:
    """Return a series' newest value, or the one at the cursor."""
    drawn = [value for polyline in polylines for _, value in polyline]
    decimals = decimals_for(drawn)
    if spec.cursor is None:
        point = newest(line.times, line.values, spec.start, spec.end)
        stale = point is not None and spec.is_old(point[0], line.gap_s)
    else:
        point = nearest(line.times, line.values, spec.cursor, line.gap_s)
        stale = False
    value = brief = UNKNOWN
    if point is not None:
        value = value_text(point[1], decimals)
        brief = axis_label(float(f"{point[1]:.2g}")) if len(value) > LABEL_CELLS else value
    if line.told and spec.cursor is None:
        value = brief = line.told
    name, _, short = line.name.partition("|")
    return TitleValue(
        name,
        short or name,
        SAMPLES.get(line.marker, SAMPLES["line"]),
        value,
        brief,
        max((len(value_text(number, decimals)) for number in drawn), default=1),
        palette.get(line.role if point is None else spec.role(line, point[1]), ""),
        stale,
        -math.inf if point is None else point[0],
    )
