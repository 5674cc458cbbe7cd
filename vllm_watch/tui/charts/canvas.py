"""A grid of coloured cells that becomes strips or one ``Text``."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Span, Text
from textual.strip import Strip

BLOCKS = "▁▂▃▄▅▆▇█▔"
HOLD = "\u00a0"
"""A blank that counts as used: nothing is drawn into it."""


class Canvas:
    """Cells to draw on; text that does not fit is cut."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._glyphs = [[" "] * width for _ in range(height)]
        self._inks = [[""] * width for _ in range(height)]
        self._grounds = [[""] * width for _ in range(height)]

    def put(self, row: int, column: int, glyph: str, ink: str = "") -> None:
        """Set one cell's glyph and its ink, e.g. ``bold #7aa2f7``; a wide glyph becomes ``•``."""
        if 0 <= row < self.height and 0 <= column < self.width:
            self._glyphs[row][column] = glyph if _narrow(glyph) else "•"
            self._inks[row][column] = ink

    def dots(self, row: int, column: int, glyph: str, ink: str, ground: str = "") -> None:
        """Set one cell inside of the canvas to a glyph known to be narrow, and perhaps its ground.

        The same as `put` and `shade` for the thousands of cells that fills have.
        """
        self._glyphs[row][column] = glyph
        self._inks[row][column] = ink
        if ground:
            self._grounds[row][column] = ground

    def write(self, row: int, column: int, text: str, ink: str = "") -> None:
        """Write a text from ``column`` on."""
        for offset, glyph in enumerate(text):
            self.put(row, column + offset, glyph, ink)

    def fill(self, row: int, column: int, glyph: str, ink: str = "") -> None:
        """Set one cell if it is still empty."""
        if self.free(row, column, 1):
            self.put(row, column, glyph, ink)

    def overlay(self, row: int, column: int, glyph: str, ink: str) -> None:
        """Set one cell's glyph where a fill or nothing is; a block becomes its ground."""
        if not (0 <= row < self.height and 0 <= column < self.width):
            return
        under = self._glyphs[row][column]
        if under in BLOCKS:
            colour = self._inks[row][column]
            if under in "▅▆▇█" and not colour.startswith("reverse"):
                self._grounds[row][column] = colour
        elif under != " " and not "\u2800" <= under <= "\u28ff":
            return
        self._glyphs[row][column], self._inks[row][column] = glyph, ink

    def line(self, row: int, column: int, glyph: str, ink: str) -> None:
        """Set one cell's glyph where a rule, nothing or the inside of a fill is: not on an edge."""
        if self._glyphs[row][column] in " ─╌⣿█":
            self._glyphs[row][column], self._inks[row][column] = glyph, ink

    def shade(self, row: int, column: int, colour: str) -> None:
        """Set one cell's background."""
        if colour and 0 <= row < self.height and 0 <= column < self.width:
            self._grounds[row][column] = colour

    def paste(self, other: Canvas) -> None:
        """Copy a smaller canvas inside of the outermost cells."""
        for cells, copied in (
            (self._glyphs, other._glyphs),
            (self._inks, other._inks),
            (self._grounds, other._grounds),
        ):
            for row, source in enumerate(copied, 1):
                cells[row][1 : 1 + other.width] = source

    def free(self, row: int, column: int, cells: int, over: str = "") -> bool:
        """Say whether that many cells are inside and still empty, or have the glyph `over`."""
        if not (0 <= row < self.height and column >= 0 and column + cells <= self.width):
            return False
        found = self._glyphs[row][column : column + cells]
        return found == [" "] * cells or (bool(over) and found == [over] * cells)

    def strips(self) -> list[Strip]:
        """Return the cells as one strip a row."""
        strips = []
        for glyphs, inks, grounds in zip(self._glyphs, self._inks, self._grounds, strict=True):
            segments: list[Segment] = []
            begin = 0
            for column in range(1, self.width + 1):
                if column < self.width and (
                    inks[column] == inks[begin] and grounds[column] == grounds[begin]
                ):
                    continue
                text = "".join(glyphs[begin:column]).replace(HOLD, " ")
                segments.append(Segment(text, style_of(inks[begin], grounds[begin])))
                begin = column
            strips.append(Strip(segments, self.width))
        return strips

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


@lru_cache(maxsize=2048)
def _narrow(glyph: str) -> bool:
    return cell_len(glyph) == 1


@lru_cache(maxsize=8192)
def style_of(ink: str, ground: str = "") -> Style:
    """Return the style of an ink on a background; both may be empty."""
    return Style.parse(f"{ink} on {ground}" if ground else ink)
