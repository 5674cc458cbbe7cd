"""A screen without Unicode: every sign, bar and fill in ASCII."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_GLYPHS = {
    "●": "*", "○": "o", "◐": "~", "▲": "!", "▼": "v", "✖": "X", "■": "#", "…": ".", "✓": "+",
    "•": "-", "·": ".", "⋅": ".", "↻": "@", "→": ">", "←": "<", "↑": "^", "↓": "v", "×": "x",
    "–": "-", "−": "-", "±": "~", "÷": "/", "≥": ">", "≤": "<", "“": '"', "”": '"', "’": "'",
    "─": "-", "━": "=", "│": "|", "┃": "|", "╌": "-", "┈": ".", "┄": "-", "┊": ":", "┆": ":",
    "╭": "+", "╮": "+", "╰": "+", "╯": "+", "┌": "+", "┐": "+", "└": "+", "┘": "+", "├": "|",
    "┤": "|", "┬": "+", "┴": "|", "┼": "+", "╷": "|", "╵": "|", "╴": "-", "╶": "-", "▌": ">",
    "▐": "|", "▎": "|", "▏": "|", "▕": "|", "▔": "-", "▁": "_", "▂": ".", "▃": "-", "▄": "=",
    "▅": "+", "▆": "*", "▇": "%", "█": "#", "▉": "#", "▊": "#", "▋": "=", "▍": "=", "░": ".",
    "▒": ":", "▓": "%", "▀": "#", "\u00a0": " ", "µ": "u", "μ": "u", "°": "o", "²": "2",
    "▛": ",", "▗": ".", "▝": "'", "∞": "8", "▸": ">", "▾": "v", "≈": "~",
}  # fmt: skip
"""ASCII for each sign of the screen, cell by cell."""
_BRAILLE = " ..:.::!.::!:!!#"
"""ASCII for a braille cell, by how many of its eight dots are set: two per step."""


class _Table(dict[int, str]):
    """A table for `str.translate` that is filled on demand."""

    def __missing__(self, code: int) -> str:
        self[code] = found = chr(code) if code < 128 else _of(chr(code))
        return found


def _of(glyph: str) -> str:
    """Return ASCII with the width of a character."""
    cells = cell_len(glyph)
    if glyph in _GLYPHS:
        return _GLYPHS[glyph]
    if "\u2800" <= glyph <= "\u28ff":
        return _BRAILLE[min(15, 2 * (ord(glyph) - 0x2800).bit_count())]
    plain = unicodedata.normalize("NFKD", glyph).encode("ascii", "ignore").decode()
    return plain if plain and len(plain) == cells else "?" * cells


_TABLE = _Table()


def ascii_of(text: str) -> str:
    """Return a text in ASCII, with the same width."""
    return text if text.isascii() else text.translate(_TABLE)


class AsciiFilter(LineFilter):
    """The last filter before the terminal: replaces everything that is not ASCII."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments of a line in ASCII."""
        return [Segment(ascii_of(text), style, control) for text, style, control in segments]


def knows_unicode(environ: Mapping[str, str] | None = None, encoding: str = "utf-8") -> bool:
    """Return whether a terminal shows more than ASCII, by its environment.

    Without a locale this is unknown; most terminals do.
    """
    environ = os.environ if environ is None else environ
    if "utf" not in encoding.lower():
        return False
    every, kind, lang = (environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    if kind == "C.UTF-8" and lang in ("C", "POSIX"):
        kind = ""  # Python itself sets it if the locale is C
    locale = (every or kind or lang).lower()
    return not locale or "utf" in locale
