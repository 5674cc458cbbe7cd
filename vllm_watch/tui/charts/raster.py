"""Braille rasters: for each column of dots, which dots are set."""

from __future__ import annotations

from vllm_watch.tui.charts.frame import DOTS

Raster = list[int]
"""One integer per column of dots; bit ``n`` is the dot ``n`` below the top."""

_LEFT = (0x01, 0x02, 0x04, 0x40)
_RIGHT = (0x08, 0x10, 0x20, 0x80)
_BRAILLE = 0x2800


def _nibbles(dots: tuple[int, ...]) -> tuple[int, ...]:
    """Return for each braille pattern which of the four dots of one side are set."""
    return tuple(
        sum(1 << row for row, dot in enumerate(dots) if pattern & dot) for pattern in range(256)
    )


_LEFT_OF, _RIGHT_OF = _nibbles(_LEFT), _nibbles(_RIGHT)
_GLYPHS = tuple(
    tuple(
        chr(
            _BRAILLE
            + sum(dot for row, dot in enumerate(_LEFT) if left >> row & 1)
            + sum(dot for row, dot in enumerate(_RIGHT) if right >> row & 1)
        )
        for right in range(16)
    )
    for left in range(16)
)


def raster_from_lines(lines: list[str], columns: int) -> Raster:
    """Read a raster back from lines of braille; anything else counts as empty."""
    raster = [0] * (2 * columns)
    for row, line in enumerate(lines):
        shift = row * DOTS
        for column, glyph in enumerate(line[:columns]):
            pattern = ord(glyph) - _BRAILLE
            if 0 < pattern < 256:
                raster[2 * column] |= _LEFT_OF[pattern] << shift
                raster[2 * column + 1] |= _RIGHT_OF[pattern] << shift
    return raster


def dotted(raster: Raster) -> Raster:
    """Return a sparser raster: every other dot along flat parts and along steep ones."""
    every_other = int("01" * 512, 2)
    sparse: Raster = []
    for column, dots in enumerate(raster):
        if dots.bit_count() > 2:
            sparse.append(dots & every_other)
        else:
            sparse.append(dots if column % 2 == 0 else 0)
    return sparse


def area_under(raster: Raster, rows: int) -> Raster:
    """Return all dots from each column's highest one down to the axis."""
    everything = (1 << rows * DOTS) - 1
    return [everything & -(dots & -dots) if dots else 0 for dots in raster]


def glyph_at(raster: Raster, row: int, column: int) -> str:
    """Return the braille glyph of a cell, empty where no dot is set."""
    shift = row * DOTS
    left, right = raster[2 * column] >> shift & 15, raster[2 * column + 1] >> shift & 15
    return _GLYPHS[left][right] if left or right else ""


def dots_in(raster: Raster, row: int, column: int) -> int:
    """Return how many of a cell's eight dots are set."""
    shift = row * DOTS
    left, right = raster[2 * column] >> shift & 15, raster[2 * column + 1] >> shift & 15
    return left.bit_count() + right.bit_count()
