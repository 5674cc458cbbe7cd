"""Lines that a widget holds, and which of them changed."""

from __future__ import annotations

from collections.abc import Iterable

from textual.strip import Strip
from textual.widget import Widget


class Held:
    """The strips that a widget shows, in its width and style."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.strips: list[Strip] = []

    def hold(self, strips: Iterable[Strip], widget: Widget) -> list[int]:
        """Hold other strips and return the rows that differ from those before."""
        width, style = widget.size.width, widget.rich_style
        now = [strip.extend_cell_length(width).apply_style(style) for strip in strips]
        before, self.strips = self.strips, now
        return [
            row
            for row in range(max(len(now), len(before)))
            if row >= len(now) or row >= len(before) or now[row] != before[row]
        ]

    def line(self, row: int, widget: Widget) -> Strip:
        """Return one of them, blank where there is none."""
        if 0 <= row < len(self.strips):
            return self.strips[row]
        return Strip.blank(widget.size.width, widget.rich_style)

    @property
    def text(self) -> str:
        """All of them, as plain text."""
        return "\n".join(strip.text for strip in self.strips)
