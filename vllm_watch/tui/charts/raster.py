"""Braille rasters: for each column of dots, which dots are set."""

from __future__ import annotations

from vllm_watch.tui.charts.frame import DOTS

Raster = list[int]
"""One integer per column of dots; bit ``n`` is the dot ``n`` below the top."""

DASH = 6
"""Columns of dots from one dash to the next; the last two stay empty."""

_LEFT, _RIGHT = (0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80)
_BRAILLE = 0x2800


def _patterns(dots: tuple[int, ...]) -> tuple[int, ...]:
    """Return the braille pattern of each choice from the four dots of one side."""
    return tuple(sum(dots[row] for row in range(4) if rows >> row & 1) for rows in range(16))


_GLYPHS = tuple(
    tuple(chr(_BRAILLE + left + right) for right in _patterns(_RIGHT)) for left in _patterns(_LEFT)
)
_DOTS_OF = {
    glyph: (left, right)
    for left, glyphs in enumerate(_GLYPHS)
    for right, glyph in enumerate(glyphs)
}
"""The dots of the left and of the right side that a glyph sets."""


def raster_from_lines(lines: list[str], columns: int) -> Raster:
    """Read a raster back from lines of braille; anything else counts as empty."""
    raster = [0] * (2 * columns)
    for row, line in enumerate(lines):
        shift = row * DOTS
        for column, glyph in enumerate(line[:columns]):
            if (dots := _DOTS_OF.get(glyph)) is not None:
                raster[2 * column] |= dots[0] << shift
                raster[2 * column + 1] |= dots[1] << shift
    return raster


def dashed(raster: Raster) -> Raster:
    """Return a dashed raster: a cell's gap after every two, except where the line is steep."""
    sparse = list(raster)
    for column in range(DASH - 2, len(raster) - 1, DASH):
        gap = raster[column : column + 2]
        if all(dots.bit_count() <= 1 for dots in gap):
            sparse[column : column + 2] = [0, 0]
    return sparse


def glyph_at(raster: Raster, row: int, column: int) -> str:
    """Return the braille glyph of a cell, empty where no dot is set."""
    shift = row * DOTS
    left, right = raster[2 * column] >> shift & 15, raster[2 * column + 1] >> shift & 15
    return _GLYPHS[left][right] if left or right else ""
