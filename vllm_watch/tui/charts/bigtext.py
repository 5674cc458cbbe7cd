"""Large figures and words: three rows high, of half blocks."""

from __future__ import annotations

from functools import cache

ROWS = 3
_PIXELS = {
    "0": "### # # # # # # ###",
    "1": "##   #   #   #  ###",
    "2": "###   # ### #   ###",
    "3": "###   # ###   # ###",
    "4": "# # # # ###   #   #",
    "5": "### #   ###   # ###",
    "6": "### #   ### # # ###",
    "7": "###   #   #   #   #",
    "8": "### # # ### # # ###",
    "9": "### # # ###   # ###",
    "–": "        ###        ",
    "A": "### # # ### # # # #",
    "D": "##  # # # # # # ## ",
    "E": "### #   ##  #   ###",
    "F": "### #   ##  #   #  ",
    "H": "# # # # ### # # # #",
    "I": "###  #   #   #  ###",
    "N": "### # # # # # # # #",
    "O": "### # # # # # # ###",
    "P": "### # # ### #   #  ",
    "S": "### #   ###   # ###",
    "T": "###  #   #   #   # ",
}
"""Five rows of three pixels, separated by a blank."""
_SMALL = {",": "  ▛", ".": "  ▀"}
"""Signs of one cell, a row each from the top: a point, and a comma with its tail below the line."""
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


@cache
def _glyph(sign: str) -> tuple[str, ...]:
    if sign in _SMALL:
        return tuple(_SMALL[sign])
    pixels = _PIXELS.get(sign)
    if pixels is None:
        return tuple(sign if row == ROWS - 1 else " " * len(sign) for row in range(ROWS))
    rows = [[pixels[4 * y + x] == "#" for x in range(3)] for y in range(5)] + [[False] * 3]
    return tuple(
        "".join(_HALVES[rows[2 * row][x], rows[2 * row + 1][x]] for x in range(3))
        for row in range(ROWS)
    )


def big_text(text: str) -> tuple[str, str, str]:
    """Return a text three rows high: digits, `,`, `.`, `–`, names of states that are over."""
    rows = ["", "", ""]
    for index, sign in enumerate(text):
        glyph = _glyph(sign)
        close = " " in (sign, text[index - 1])
        gap = " " if index and not close else ""
        for row in range(ROWS):
            rows[row] += gap + glyph[row]
    return rows[0], rows[1], rows[2]
