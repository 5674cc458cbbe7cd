"""What all panes share: a frozen view in, strips out, and only what changed is drawn again."""

from __future__ import annotations

from collections.abc import Hashable

from rich.console import Console
from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from vllm_watch.tui.charts.canvas import style_of
from vllm_watch.tui.keys import key_name
from vllm_watch.tui.messages import TimePointed
from vllm_watch.tui.palette import palette_of
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.shownstrips import ShownStrips

DIVIDER = "─"
"""Begins a line that reaches from one side of a frame to the other."""


class Pane(Widget):
    """A part of the screen that draws itself from the view.

    A view whose `key` is that of the one before is not drawn at all; of a new drawing only the
    cells that differ are sent to the terminal.
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        """Show nothing yet."""
        super().__init__(id=id, classes=classes)
        self.view: ScreenView | None = None
        self._key: Hashable = None
        self._on_screen = ShownStrips()

    def show(self, view: ScreenView) -> None:
        """Show another view."""
        self.view = view
        self.redraw()

    def redraw(self, *, always: bool = False) -> None:
        """Draw the view if it differs from the one before; with `always`, in any case."""
        if self.view is None or not self.display:
            return
        width, height = self.size
        if width < 1 or height < 1:
            return
        key = (width, height, self.app.theme, self.key(self.view))
        if key == self._key and not always:
            return
        self._key = key
        drawn = self.strips(self.view, width, height, palette_of(self.app))[:height]
        changed = self._on_screen.replace(drawn, self)
        if changed:
            self.refresh(*changed)

    def key(self, view: ScreenView) -> Hashable:
        """Return what the drawing depends on besides size and theme."""
        return view

    def strips(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Strip]:
        """Return the drawing, a strip for each line."""
        lines = self.lines(view, width, height, palette)[:height]
        return [strip_of(line, width, self.app.console) for line in lines]

    def lines(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return the lines to draw; longer ones are cut."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """What the pane shows, as plain text."""
        return self._on_screen.text

    def render_line(self, y: int) -> Strip:
        """Return one line as the pane drew it."""
        return self._on_screen.line(y, self)

    def on_resize(self, _: events.Resize) -> None:
        """Draw for the new size."""
        self.redraw()


class TimedPane(Pane):
    """A pane with a time axis: pointing at it shows the values of that moment in all panes."""

    def time_under(self, x: int) -> float | None:
        """Return the moment of a cell, None beside the axis."""
        raise NotImplementedError

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Show the values under the pointer."""
        self.post_message(TimePointed(self.time_under(event.x)))

    def on_leave(self, _: events.Leave) -> None:
        """Stop showing values."""
        self.post_message(TimePointed(None))


class Framed(Pane):
    """A pane with rounded rules around it, its title and its key in the upper one."""

    TITLE = ""
    KEY = ""
    """Name of the binding whose key is at the right end of the title."""

    framed = True
    """Whether there is room for rules."""

    def strips(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Strip]:
        """Return the lines within the frame."""
        if not self.framed or width < 8 or height < 3:
            return super().strips(view, width, height, palette)
        console, inside = self.app.console, width - 2
        rule = style_of(palette["rule"])
        head = Text("╭─", style=palette["rule"], end="")
        lines = self.lines(view, inside, height - 2, palette)[: height - 2]
        title = Text(f" {self.title_of(view)} ", style=f"bold {palette['text']}")
        title.append_text(self.aside(view, palette))
        title.truncate(max(0, width - 9), overflow="ellipsis")
        named = f" {key_name(self.KEY)} " if self.KEY else ""
        key = Text(named, style=f"bold {palette['primary']}")
        head.append_text(title)
        head.append("─" * (width - head.cell_len - key.cell_len - 2))
        head.append_text(key)
        head.append("─╮")
        drawn = [strip_of(head, width, console)]
        lines += [Text("")] * (height - 2 - len(lines))
        side = Strip([Segment("│", rule)], 1)
        left, right = (Strip([Segment(end, rule)], 1) for end in "├┤")
        for line in lines:
            middle = strip_of(line, inside, console).adjust_cell_length(inside)
            ends = (left, right) if line.plain.startswith(f"{DIVIDER} ") else (side, side)
            drawn.append(Strip.join([ends[0], middle, ends[1]]))
        drawn.append(Strip([Segment("╰" + "─" * inside + "╯", rule)], width))
        return drawn

    def title_of(self, view: ScreenView) -> str:
        """Return the title."""
        return self.TITLE

    def aside(self, view: ScreenView, palette: dict[str, str]) -> Text:
        """Return the text after the title."""
        return Text("")

    @property
    def head_rows(self) -> int:
        """Rows above the first line."""
        return int(self.framed and self.size.width >= 8 and self.size.height >= 3)


def divider(title: str, width: int, palette: dict[str, str]) -> Text:
    """Return a rule with a title, which divides a framed pane."""
    line = Text(DIVIDER, style=palette["rule"], end="")
    line.append(f" {title} ", style=f"bold {palette['text']}")
    line.append(DIVIDER * max(0, width - line.cell_len))
    return line


def strip_of(line: Text, width: int, console: Console) -> Strip:
    """Return a line of text as a strip, cut to the width: nothing ever wraps."""
    if line.cell_len > width:
        line.truncate(width, overflow="crop")
    line.end = ""
    if line.style and not line.spans:  # Rich leaves the style of a text without spans out
        line.stylize(line.style)
    return Strip(list(line.render(console)), line.cell_len)


def fitted(text: str, width: int) -> str:
    """Return text in exactly `width` cells, an ellipsis where it was cut."""
    line = Text(text, no_wrap=True)
    if line.cell_len > width:
        line.truncate(width, overflow="ellipsis")
    return line.plain + " " * (width - line.cell_len)


def beside(left: Text, right: Text, width: int) -> Text:
    """Return two texts on one line, the second at the right edge; the first is cut if needed."""
    room = width - right.cell_len
    if room < 1:
        right.truncate(width, overflow="crop")
        return right
    line = left.copy()
    line.truncate(max(0, room - 1), overflow="ellipsis")
    line.append(" " * (room - line.cell_len))
    line.append_text(right)
    return line
