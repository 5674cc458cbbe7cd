"""What all panes share: a frozen view in, lines of text out, never wider than the pane."""

from __future__ import annotations

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from vllm_watch.tui.palette import palette_of
from vllm_watch.tui.screenview import ScreenView


class Pane(Widget):
    """A part of the screen that draws itself from the view."""

    view: reactive[ScreenView | None] = reactive(None)
    """What is shown; equal views are not drawn again."""

    def render(self) -> Text:
        """Return exactly the pane's lines."""
        width, height = self.size
        if self.view is None or width < 1 or height < 1:
            return Text("")
        lines = self.lines(self.view, width, height, palette_of(self.app))[:height]
        return joined(lines, width)

    def lines(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return the lines to draw; longer ones are cut."""
        raise NotImplementedError


def joined(lines: list[Text], width: int) -> Text:
    """Return lines as one text, each cut to the width: nothing ever wraps."""
    whole = Text(no_wrap=True, overflow="crop", end="")
    for index, line in enumerate(lines):
        if index:
            whole.append("\n")
        line.truncate(width, overflow="crop")
        whole.append_text(line)
    return whole


def fitted(text: str, width: int) -> str:
    """Return text in exactly `width` cells, an ellipsis where it was cut."""
    line = Text(text, no_wrap=True)
    if line.cell_len > width:
        line.truncate(width, overflow="ellipsis")
    return line.plain + " " * (width - line.cell_len)


def beside(left: Text, right: Text, width: int) -> Text:
    """Return two texts on one line, the second at the right edge; the first gives way."""
    room = width - right.cell_len
    if room < 1:
        right.truncate(width, overflow="crop")
        return right
    line = left.copy()
    line.truncate(max(0, room - 1), overflow="ellipsis")
    line.append(" " * (room - line.cell_len))
    line.append_text(right)
    return line
