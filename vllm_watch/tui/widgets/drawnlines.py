"""Lines drawn elsewhere: fixed ones and scrolling ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from vllm_watch.tui.widgets.pane import strip_of
from vllm_watch.tui.widgets.shownstrips import ShownStrips


class DrawnLines(Widget):
    """Shows lines; what does not fit is cut."""

    auto_links = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        """Show nothing yet."""
        super().__init__(id=id)
        self._on_screen = ShownStrips()

    def show(self, lines: Sequence[Text]) -> None:
        """Show other lines; only those that changed are sent to the terminal."""
        changed = self._on_screen.replace(_strips(self, lines), self)
        if changed:
            self.refresh(*changed)

    @property
    def text(self) -> str:
        """What the widget shows, as plain text."""
        return self._on_screen.text

    def render_line(self, y: int) -> Strip:
        """Return one line."""
        return self._on_screen.line(y, self)


class ScrolledLines(ScrollView, can_focus=True):
    """Shows lines that scroll."""

    auto_links = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        """Show nothing yet."""
        super().__init__(id=id)
        self._on_screen = ShownStrips()

    def show(self, lines: Sequence[Text]) -> None:
        """Show other lines; the scroll position stays.

        Only cells that changed and are seen are sent to the terminal.
        """
        changed = self._on_screen.replace(_strips(self, lines), self)
        if not changed:
            return
        self.virtual_size = Size(self.columns, len(self._on_screen.strips))
        top = self.scroll_offset.y
        seen = [
            each.translate((0, -top)) for each in changed if 0 <= each.y - top < self.size.height
        ]
        if seen:
            self.refresh(*seen)

    @property
    def columns(self) -> int:
        """Cells of a line: the scroll bar has its own."""
        return self.scrollable_content_region.width

    @property
    def text(self) -> str:
        """All lines, as plain text."""
        return self._on_screen.text

    def render_line(self, y: int) -> Strip:
        """Return one visible line."""
        strip = self._on_screen.line(self.scroll_offset.y + y, self)
        return strip.crop_extend(0, self.size.width, self.rich_style)


def _strips(widget: Widget, lines: Sequence[Text]) -> Iterator[Strip]:
    return (strip_of(line, widget.size.width, widget.app.console) for line in lines)
