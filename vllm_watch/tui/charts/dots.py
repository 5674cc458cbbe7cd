"""Filled areas of braille dots: two dots a cell in time, four in height, brighter with height."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from math import ceil

from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.tui.charts.sampled import Level
from vllm_watch.tui.charts.shades import mixed

if TYPE_CHECKING:
    from vllm_watch.tui.charts.fills import Area

HIGH = 4
"""Dots of a cell above each other."""
WIDE = 2
"""Dots of a cell beside each other."""
_BLANK = 0x2800
WHOLE = "⣿"
"""A cell with all its dots."""
_NONE = Level(0.0, 0.0)
_STANDING = ((0x00, 0x40, 0x44, 0x46, 0x47), (0x00, 0x80, 0xA0, 0xB0, 0xB8))
"""Bits of the lowest dots of a cell, by their number: in the left column, in the right one."""
_HANGING = ((0x00, 0x01, 0x03, 0x07, 0x47), (0x00, 0x08, 0x18, 0x38, 0xB8))
"""The same from the upper edge."""
LOW, CREST = 0.42, 0.78
"""Strength of the dots' colour at the base, and just below the edge; the edge has full colour."""
BODY = 0.09
"""Strength of the colour behind the dots of filled cells."""
UNDER = 0.2
"""Strength of a series' colour behind the dots of the one below it, if it has no cells of its own.
"""
HAZE = 0.45
"""Strength of the colour between a mean and its highest sample."""


def _dots(value: float, unit: float, most: int) -> int:
    """Return a height in dots: at least one for anything above zero."""
    if not (unit > 0 and value > 0):
        return 0
    return max(1, round(min(float(most), value * unit)))  # a tiny scale makes the product infinite


def fill_dots(
    area: Area, heights: Sequence[Level | None], top: float, role_of: Callable[[float], str]
) -> None:
    """Fill up to two levels a cell on a scale that ends at `top`."""
    unit = 0.0 if top <= 0 else HIGH * area.rows / top
    most = HIGH * area.rows
    ground = area.palette.get("background", "")
    for column, (one, other) in enumerate(zip(heights[::WIDE], heights[1::WIDE], strict=True)):
        if one is None and other is None:
            continue
        left, right = one or _NONE, other or _NONE
        spike = max(left.high, right.high)
        colour = area.palette.get(role_of(spike), "")
        heads = _dots(left.mean, unit, most), _dots(right.mean, unit, most)
        if one and other and any(heads):  # a known zero is not a gap
            heads = max(1, heads[0]), max(1, heads[1])
        if spike * unit > max(heads) + HIGH:
            highs = _dots(left.high, unit, most), _dots(right.high, unit, most)
            for above in range(max(heads) // HIGH, -(-max(highs) // HIGH)):
                _cell(area, column, above, highs, mixed(colour, ground, HAZE))
        if heads == (0, 0):
            _zero(area, column, mixed(colour, ground, LOW))
        else:
            _draw(area, column, heads, colour)


def stack_dots(
    area: Area, series: Sequence[Sequence[Level | None]], top: float, roles: Sequence[str]
) -> None:
    """Fill the series stacked, the first one lowest; two levels a cell."""
    inks = [area.palette.get(role, "") for role in roles]
    sums = [sums_of(levels) for levels in zip(*series, strict=True)]
    unit, most = 0.0 if top <= 0 else HIGH * area.rows / top, HIGH * area.rows
    for column, (left, right) in enumerate(zip(sums[::WIDE], sums[1::WIDE], strict=True)):
        if not (left or right):
            continue
        heads = [
            (
                _dots(left[index], unit, most) if left else 0,
                _dots(right[index], unit, most) if right else 0,
            )
            for index in range(len(inks))
        ]
        if not max(heads[-1]):
            _zero(area, column, area.palette.get("zero", ""))
        for index in range(len(inks) - 1):  # two series meet between cells: no gap, no mixture
            whole = HIGH * max(1, ceil(max(heads[index]) / HIGH - 0.5))  # half a cell: down
            if heads[index] not in ((0, 0), heads[-1]) and max(heads[-1]) > whole:
                one, other = (
                    whole if total >= whole else head
                    for head, total in zip(heads[index], heads[-1], strict=True)
                )
                heads[index] = one, other
        for index in range(len(inks) - 1, -1, -1):
            foot = max(heads[index - 1]) // HIGH if index else 0
            over = inks[index + 1] if index + 1 < len(inks) else ""
            if index and heads[index] == heads[index - 1]:
                continue
            # A cell that the series above fills only in part is not on its ground.
            over = over if min(heads[-1]) // HIGH * HIGH >= max(heads[index]) else ""
            _draw(area, column, heads[index], inks[index], foot=foot, over=over)


def sums_of(levels: Sequence[Level | None]) -> list[float]:
    """Return the upper level of each series; nothing if the first is unknown."""
    if levels[0] is None:
        return []
    return list(accumulate(level.mean if level else 0.0 for level in levels))


def _draw(
    area: Area, column: int, heads: tuple[int, int], colour: str, foot: int = 0, over: str = ""
) -> None:
    """Draw one cell after the other up to two heads; `over` is the colour stacked on it."""
    ground = area.palette.get("background", "")
    canvas, place = area.canvas, area.left + column
    left, right = heads
    full, high = min(heads) // HIGH, -(-max(heads) // HIGH)
    low = min(min(left or right, right or left) // HIGH, high - 1)  # the edge begins there
    body = mixed(colour, ground, BODY)
    inks = _inks(colour, ground, area.rows)
    for above in range(foot, high):
        ink = inks[above] if above < low else colour
        if above < full:
            canvas.dots(area.row(above), place, WHOLE, ink, body)
        else:
            _cell(area, column, above, heads, ink, mixed(over, ground, UNDER) if over else "")


@lru_cache(maxsize=256)
def _inks(colour: str, ground: str, rows: int) -> tuple[str, ...]:
    """Return the ink of each row of a fill below its edge, from the base up."""
    shares = (LOW + (CREST - LOW) * above / max(1, rows - 1) for above in range(rows))
    return tuple(mixed(colour, ground, share) for share in shares)


def _cell(
    area: Area, column: int, above: int, heads: tuple[int, int], ink: str, ground: str = ""
) -> None:
    """Draw the dots that two heads have in a row."""
    bits = _HANGING if area.hangs else _STANDING
    foot = above * HIGH
    left = bits[0][max(0, min(HIGH, heads[0] - foot))]
    right = bits[1][max(0, min(HIGH, heads[1] - foot))]
    place = area.left + column
    area.canvas.dots(area.row(above), place, chr(_BLANK | left | right), ink, ground)


def _zero(area: Area, column: int, ink: str) -> None:
    """Draw a known zero, which is not a gap."""
    row, place = area.row(0), area.left + column
    if area.canvas.free(row, place, 1):
        area.canvas.put(row, place, "▔" if area.hangs else "▁", ink)
