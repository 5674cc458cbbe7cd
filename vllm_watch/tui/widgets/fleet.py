"""The fleet: a row per server, opened to its engines."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.message import Message

from vllm_watch.config import HealthSettings
from vllm_watch.tui import figures
from vllm_watch.tui.rows import Row
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.bars import progress_bar
from vllm_watch.tui.widgets.columns import LEFT, CellDrawer, Column, columns_for, header
from vllm_watch.tui.widgets.pane import Pane, fitted


class Fleet(Pane, can_focus=True):
    """The table of servers. Rows keep their order; the cursor stays on its server."""

    BINDINGS = [
        Binding("up,k", "cursor(-1)", "up", show=False),
        Binding("down,j", "cursor(1)", "down", show=False),
        Binding("pageup", "cursor(-10)", "page up", show=False),
        Binding("pagedown", "cursor(10)", "page down", show=False),
        Binding("enter", "toggle_engines", "engines"),
    ]

    class RowChosen(Message):
        """The cursor was moved to a row."""

        def __init__(self, row: Row) -> None:
            """Choose `row`."""
            super().__init__()
            self.row = row

    class RowToggled(Message):
        """A server was opened to its engines, or closed."""

        def __init__(self, source: str) -> None:
            """Open or close the server of `source`."""
            super().__init__()
            self.source = source

    def __init__(self, health: HealthSettings, *, id: str | None = None) -> None:  # noqa: A002
        """Draw bars with the ranges of `health`."""
        super().__init__(id=id)
        self._health = health
        self._top = 0

    def lines(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return the head and the rows around the cursor."""
        columns = columns_for(width, view.rows)
        headed = height > 1 and width >= 58
        room = height - headed
        self._scroll(view, room)
        lines = [header(columns, self._span(view), palette, self._health)] if headed else []
        if not view.rows:
            return lines + self._empty(view, width, palette)
        drawer = CellDrawer(palette, self._health, view.rows)
        for index, row in enumerate(view.rows[self._top : self._top + room], self._top):
            lines.append(self._line(view, index, row, columns, drawer, width, palette))
        below = len(view.rows) - self._top - room
        if below > 0 and lines:
            lines[-1] = Text(f"   +{below + 1} more ↓", style=palette["muted"])
        return lines

    def _line(
        self,
        view: ScreenView,
        index: int,
        row: Row,
        columns: list[Column],
        drawer: CellDrawer,
        width: int,
        palette: dict[str, str],
    ) -> Text:
        chosen = index == view.selected
        line = Text()
        line.append("▌" if chosen else " ", style=palette["primary"])
        line.append_text(drawer.shape(row))
        line.append(" ")
        if row.engine is None and row.state.name in ("starting", "dead", "no-stats", "ended"):
            line.append_text(_story(view, row, columns, drawer, width, palette))
        else:
            line.append_text(drawer.draw(row, columns))
        if chosen:
            line.append(" " * max(0, width - line.cell_len))
            line.stylize(f"on {palette['select']}", 1)
        return line

    def _scroll(self, view: ScreenView, room: int) -> None:
        last = max(0, len(view.rows) - room)
        if view.selected < self._top:
            self._top = view.selected
        elif view.selected >= self._top + room - (1 if last else 0):
            self._top = view.selected - room + (2 if last else 1)
        self._top = max(0, min(self._top, last))

    @staticmethod
    def _span(view: ScreenView) -> str:
        start, end = view.window
        return figures.duration(end - start).removesuffix(" 00 s").removesuffix(" 00 m")

    @staticmethod
    def _empty(view: ScreenView, width: int, palette: dict[str, str]) -> list[Text]:
        if view.filter:
            return [Text(f"   no server matches “{view.filter}”; esc shows all {view.hidden}")]
        looked = figures.clock(view.moment, view.tz)
        what = view.waiting or "the logs"
        text = f"   waiting for {what} … (0 files, looked {looked})"
        hint = "   they appear here as soon as they are written"
        return [Text(fitted(text, width)), Text(hint, style=palette["muted"])]

    # --- keys and mouse -------------------------------------------------------------------------

    def action_cursor(self, step: int) -> None:
        """Move the cursor by `step` rows."""
        if self.view is not None and self.view.rows:
            index = max(0, min(len(self.view.rows) - 1, self.view.selected + step))
            self.post_message(self.RowChosen(self.view.rows[index]))

    def action_toggle_engines(self) -> None:
        """Open the server under the cursor to its engines, or close it."""
        row = self.view.selected_row if self.view else None
        if row is not None:
            self.post_message(self.RowToggled(row.source))

    def on_click(self, event: events.Click) -> None:
        """Choose the clicked row; a second click opens it."""
        view = self.view
        if view is None or not view.rows:
            return
        headed = self.size.height > 1 and self.size.width >= 58
        index = self._top + event.y - headed
        if 0 <= index < len(view.rows):
            if index == view.selected:
                self.post_message(self.RowToggled(view.rows[index].source))
            else:
                self.post_message(self.RowChosen(view.rows[index]))

    def on_mouse_scroll_down(self) -> None:
        """Move the cursor down."""
        self.action_cursor(1)

    def on_mouse_scroll_up(self) -> None:
        """Move the cursor up."""
        self.action_cursor(-1)


def _story(
    view: ScreenView,
    row: Row,
    columns: list[Column],
    drawer: CellDrawer,
    width: int,
    palette: dict[str, str],
) -> Text:
    """Return the row of a server without numbers: what it does, or how it ended."""
    lead = [column for column in columns if column.key in ("name", "port", "state")]
    line = drawer.draw(row, lead)
    room = width - LEFT - line.cell_len
    past = None if row.state.since is None else max(0.0, row.moment - row.state.since)
    ago = figures.duration(past)
    if row.state.name == "starting":
        bar = progress_bar(row.progress or 0.0, max(6, min(24, room // 3)), palette)
        text = Text()
        text.append(f"{row.state.why or 'starting'} ", style=palette["note"])
        if row.progress is not None and text.cell_len + bar.cell_len + len(ago) + 1 <= room:
            text.append_text(bar)
        if past is not None:
            text.append(f" {ago}", style=palette["muted"])
    elif row.state.name == "no-stats":
        text = Text()
        if row.requests is not None:
            text.append(f"{row.requests:.1f} req/s  ", style="bold")
            text.append(f"{row.errors or 0:.1f} errors/s  ", style=palette["muted"])
        text.append("writes no stats lines → --api-server-count 1", style=palette["note"])
    else:
        text = _ending(view, row, past, room, palette)
    text.truncate(max(0, room), overflow="ellipsis")
    line.append_text(text)
    return line


def _ending(
    view: ScreenView, row: Row, past: float | None, room: int, palette: dict[str, str]
) -> Text:
    """Return when and why a server ended, in the most words that need not be cut."""
    when = "died" if row.state.name == "dead" else "ended"
    ago = "" if past is None else f"{figures.duration(past)} ago"
    if past is not None and row.state.since is not None:
        if past >= figures.DAY:
            when, ago = f"{when} {ago}", ""
        else:
            when = f"{when} {figures.clock(row.state.since, view.tz)}"
    text = Text(when, style=palette["critical"])
    gap = 2
    for words in row.ending:
        if text.cell_len + 1 + cell_len(words) > room:
            continue
        gap = min(2, room - text.cell_len - cell_len(words))
        text.append(" " * gap + words, style=palette["muted"])
        break
    if ago and text.cell_len + 3 + len(ago) <= room:
        text.append(f" · {ago}", style=palette["muted"])
    return text
