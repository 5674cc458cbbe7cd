"""Filled areas in cells: braille dots; blocks where colours are few or signs are ASCII."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.tui.charts.dots import fill_dots, stack_dots, sums_of
from vllm_watch.tui.charts.shades import ASCII, MONO, SMOOTH, Palette

if TYPE_CHECKING:
    from vllm_watch.tui.charts.canvas import Canvas
    from vllm_watch.tui.charts.sampled import Level

EIGHTHS = 8
LOWER = " ▁▂▃▄▅▆▇█"
"""A cell filled from below, by eighths."""
_MONO_FILLS = "█▒░"
"""Fills without colour: the first series, the second, a haze."""


@dataclass(frozen=True, slots=True)
class Area:
    """The place of a fill: `rows` rows of cells whose base is the lower edge of row `base`.

    A hanging fill has its base at the upper edge of that row and grows downwards.
    """

    canvas: Canvas
    palette: Palette
    left: int
    base: int
    rows: int
    hangs: bool = False

    @property
    def shading(self) -> str:
        """The colours that the terminal can show."""
        return self.palette.get("shading", SMOOTH)

    def row(self, above: int) -> int:
        """Return the canvas row so many rows from the base."""
        return self.base + above if self.hangs else self.base - above


def fill(
    area: Area,
    heights: Sequence[Level | None],
    top: float,
    role_of: Callable[[float], str],
    *,
    weight: int = 0,
) -> None:
    """Fill each column up to its level on a scale that ends at `top`.

    `role_of` gives the palette role of a value's colour; `weight` distinguishes series without
    colours.
    """
    if area.shading == SMOOTH:
        fill_dots(area, heights, top, role_of)
        return
    for column, level in enumerate(heights):
        if level is None:
            continue
        colour = area.palette.get(role_of(level.high), "")
        mean = eighths_of(level.mean, top, area.rows)
        high = eighths_of(level.high, top, area.rows)
        if high - mean > EIGHTHS:
            _haze(area, column, (mean, high), colour)
        _column(area, column, mean, colour, weight)


def stack(
    area: Area, series: Sequence[Sequence[Level | None]], top: float, roles: Sequence[str]
) -> None:
    """Fill each column with the series stacked, the first one lowest."""
    if area.shading == SMOOTH:
        stack_dots(area, series, top, roles)
        return
    inks = [area.palette.get(role, "") for role in roles]
    for column, levels in enumerate(zip(*series, strict=True)):
        heads = [eighths_of(value, top, area.rows) for value in sums_of(levels)]
        for index in range(len(heads) - 1, -1, -1):
            foot = heads[index - 1] if index else 0
            if index and heads[index] <= foot:
                continue
            above = next((n for n in range(index + 1, len(heads)) if heads[n] > heads[index]), None)
            over = inks[above] if above is not None else ""
            _column(area, column, heads[index], inks[index], min(index, 1), foot=foot, over=over)


def eighths_of(value: float, top: float, rows: int) -> int:
    """Return a height in eighths of a cell: at least one for values above zero."""
    if not (top > 0 and value > 0):
        return 0
    return max(1, min(EIGHTHS * rows, round(value / top * rows * EIGHTHS)))


def _column(
    area: Area,
    column: int,
    head: int,
    colour: str,
    weight: int,
    foot: int = 0,
    over: str = "",
) -> None:
    """Fill one column from `foot` to `head` eighths; `over` is the colour of the next series."""
    canvas, place = area.canvas, area.left + column
    if head <= 0:  # a known zero is not a gap
        if not foot and canvas.free(area.row(0), place, 1):
            canvas.put(area.row(0), place, "▔" if area.hangs else "▁", area.palette.get("zero", ""))
        return
    for above in range(foot // EIGHTHS, (head + EIGHTHS - 1) // EIGHTHS):
        part, row = head - above * EIGHTHS, area.row(above)
        if part < EIGHTHS:
            _edge(area, row, place, part, colour, over)
        else:
            glyph = _MONO_FILLS[weight] if area.shading == MONO else LOWER[EIGHTHS]
            canvas.put(row, place, glyph, colour)


def _edge(area: Area, row: int, place: int, part: int, colour: str, over: str) -> None:
    """Draw the cell in which a column ends, `part` eighths of it filled."""
    canvas = area.canvas
    if area.palette.get("glyphs") == ASCII:  # the substitutes of blocks do not fill their cell
        canvas.put(row, place, LOWER[part], colour)
        return
    if over:
        canvas.shade(row, place, over)
    if area.hangs:  # swap the cell's colours: blocks are filled from below
        canvas.put(row, place, LOWER[EIGHTHS - part], f"reverse {colour}".strip())
    else:
        canvas.put(row, place, LOWER[part], colour)


def _haze(area: Area, column: int, part: tuple[int, int], colour: str) -> None:
    """Show faintly how far the samples of a column reached above their mean."""
    low, high = part
    for above in range(low // EIGHTHS, (high + EIGHTHS - 1) // EIGHTHS):
        area.canvas.put(area.row(above), area.left + column, _MONO_FILLS[2], colour)
