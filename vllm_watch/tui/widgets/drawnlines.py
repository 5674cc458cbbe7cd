"""Lines drawn elsewhere: fixed ones and scrolling ones."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from vllm_watch.tui.widgets.pane import strip_of


class DrawnLines(Widget):
    """Shows lines; what does not fit is cut."""

    auto_links = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        """Show nothing yet."""
        super().__init__(id=id)
        self._strips: list[Strip] = []

    def show(self, lines: Sequence[Text]) -> None:
        """Show other lines; only those that changed are sent to the terminal."""
        strips, before = _strips(self, lines), self._strips
        self._strips = strips
        changed = _changed(strips, before)
        if changed:
            self.refresh(*(Region(0, row, self.size.width, 1) for row in changed))

    @property
    def text(self) -> str:
        """What it shows, as plain text."""
        return "\n".join(strip.text for strip in self._strips)

    def render_line(self, y: int) -> Strip:
        """Return one line."""
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, self.rich_style)


class ScrolledLines(ScrollView, can_focus=True):
    """Shows lines that scroll."""

    auto_links = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        """Show nothing yet."""
        super().__init__(id=id)
        self._strips: list[Strip] = []

    def show(self, lines: Sequence[Text]) -> None:
        """Show other lines where the old ones stood: it stays scrolled as it is."""
        strips, before = _strips(self, lines), self._strips
        if strips == before:
            return
        self._strips = strips
        self.virtual_size = Size(self.columns, len(strips))
        self.refresh()

    @property
    def columns(self) -> int:
        """Cells of a line: the scroll bar has its own."""
        return self.scrollable_content_region.width

    @property
    def text(self) -> str:
        """All of it, as plain text."""
        return "\n".join(strip.text for strip in self._strips)

    def render_line(self, y: int) -> Strip:
        """Return one line of what is seen."""
        index, width = self.scroll_offset.y + y, self.size.width
        if index < len(self._strips):
            return self._strips[index].crop_extend(0, width, self.rich_style)
        return Strip.blank(width, self.rich_style)


def _strips(widget: Widget, lines: Sequence[Text]) -> list[Strip]:
    width, style = widget.size.width, widget.rich_style
    drawn = (strip_of(line, width, widget.app.console) for line in lines)
    return [strip.extend_cell_length(width).apply_style(style) for strip in drawn]


def _changed(now: Sequence[Strip], before: Sequence[Strip]) -> list[int]:
    """Return the rows that differ."""
    return [
        row
        for row in range(max(len(now), len(before)))
        if row >= len(now) or row >= len(before) or now[row] != before[row]
    ]
