"""A grid of coloured cells that becomes one ``Text``."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len
from rich.style import Style
from rich.text import Span, Text

HOLD = "\u00a0"
"""A blank that is not free: nothing is filled in there."""


class Canvas:
    """Cells to write on; what does not fit is cut."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._glyphs = [[" "] * width for _ in range(height)]
        self._inks = [[""] * width for _ in range(height)]
        self._grounds = [[""] * width for _ in range(height)]

    def put(self, row: int, column: int, glyph: str, ink: str = "") -> None:
        """Set one cell's glyph and its ink, e.g. ``bold #7aa2f7``; a wide glyph becomes ``•``."""
        if 0 <= row < self.height and 0 <= column < self.width:
            self._glyphs[row][column] = glyph if cell_len(glyph) == 1 else "•"
            self._inks[row][column] = ink

    def write(self, row: int, column: int, text: str, ink: str = "") -> None:
        """Write a text from ``column`` on."""
        for offset, glyph in enumerate(text):
            self.put(row, column + offset, glyph, ink)

    def fill(self, row: int, column: int, glyph: str, ink: str = "") -> None:
        """Set one cell if nothing stands there yet."""
        if self.free(row, column, 1):
            self.put(row, column, glyph, ink)

    def shade(self, row: int, column: int, colour: str) -> None:
        """Set one cell's background."""
        if colour and 0 <= row < self.height and 0 <= column < self.width:
            self._grounds[row][column] = colour

    def free(self, row: int, column: int, cells: int) -> bool:
        """Say whether that many cells are inside and still empty."""
        inside = 0 <= row < self.height and column >= 0 and column + cells <= self.width
        return inside and self._glyphs[row][column : column + cells] == [" "] * cells

    def text(self) -> Text:
        """Return the cells as lines joined by newlines, one span for each run of equal style."""
        spans: list[Span] = []
        offset = 0
        for inks, grounds in zip(self._inks, self._grounds, strict=True):
            begin, current = 0, ("", "")
            for column, pair in enumerate((*zip(inks, grounds, strict=True), ("end", ""))):
                if pair != current:
                    if column > begin and current != ("", ""):
                        spans.append(Span(offset + begin, offset + column, style_of(*current)))
                    begin, current = column, pair
            offset += self.width + 1
        plain = "\n".join("".join(line) for line in self._glyphs).replace(HOLD, " ")
        return Text(plain, spans=spans, no_wrap=True, overflow="crop")


@lru_cache(maxsize=512)
def style_of(ink: str, ground: str = "") -> Style:
    """Return the style of an ink on a background; both may be empty."""
    return Style.parse(f"{ink} on {ground}" if ground else ink)
