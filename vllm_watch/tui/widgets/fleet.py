"""The fleet: a row per server, opened to its engines."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import partial
from operator import is_not

from rich.text import Text
from textual import events
from textual.message import Message
from textual.strip import Strip

from vllm_watch.config import HealthSettings
from vllm_watch.core import figures
from vllm_watch.core.dataclass import replace
from vllm_watch.core.states import OVER
from vllm_watch.tui.charts.ribbon import ribbon_text
from vllm_watch.tui.groups import Group, group_line
from vllm_watch.tui.keys import CURSOR_KEYS, bound
from vllm_watch.tui.messages import TimeChosen, time_at
from vllm_watch.tui.rows import Row
from vllm_watch.tui.savedchoices import save_choice, saved_choice
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.tablelines import TableLines
from vllm_watch.tui.widgets.cells import CellDrawer, Table
from vllm_watch.tui.widgets.columns import (
    HEADED,
    LEFT,
    TAIL,
    WORDY_STATES,
    Column,
    columns_for,
    header,
    ribbon_place,
)
from vllm_watch.tui.widgets.pane import TimedPane, fitted, strip_of
from vllm_watch.tui.widgets.rowwords import append_end, past_words, says_model, state_words

Piece = tuple[Hashable, Callable[[], Text]]
"""A part of a line: its inputs, and the function that draws it."""


class Fleet(TimedPane, can_focus=True):
    """The table of servers. Rows keep their order; the cursor stays on its server."""

    BINDINGS = [
        *CURSOR_KEYS,
        bound("engines", "toggle_engines", "engines"),
        bound("fold", "fold", "fold"),
    ]

    class RowChosen(Message):
        """The cursor was moved to a row."""

        def __init__(self, row: Row) -> None:
            """Choose `row`."""
            super().__init__()
            self.row = row

    class RowOpened(Message):
        """The page of a server should be shown."""

    class RowToggled(Message):
        """A server was opened to its engines, or closed."""

        def __init__(self, source: str) -> None:
            """Open or close the server of `source`."""
            super().__init__()
            self.source = source

    class Folded(Message):
        """A model was folded to its line, or unfolded: there are other lines now."""

    def __init__(self, health: HealthSettings, *, id: str | None = None) -> None:  # noqa: A002
        """Draw bars with the ranges of `health`."""
        super().__init__(id=id)
        self._health = health
        self._top = 0
        self._placed: tuple[tuple[object, object] | None, TableLines] = (None, TableLines((), ()))
        """What the lines were made of, and the lines."""
        self.folded: frozenset[str] = frozenset()
        """Models of which only the line is shown."""
        self._table: Table | None = None
        self._frame: tuple[object, ...] = ()
        self._known: dict[Hashable, Strip] = {}
        """The lines of the last drawing and their pieces, by their inputs."""

    def on_mount(self) -> None:
        """Fold what was folded at the last start."""
        self.folded = frozenset(filter(None, saved_choice("folded").split("\n")))

    def key(self, view: ScreenView) -> Hashable:
        """Draw when a visible row, its ribbon, an age or the cursor changes."""
        room = self.size.height
        self._scroll(view, max(1, room - (room > 1 and self.size.width >= HEADED)))
        table_lines = self._table_lines(view).lines[self._top : self._top + room]
        rows = tuple(
            table_line if isinstance(table_line, Group) else _row_key(view, view.rows[table_line])
            for table_line in table_lines
        )
        moment = figures.clock(view.moment, view.tz)
        empty = (view.filter, view.waiting, moment) if not view.rows else ()
        named = view.names_revision, view.drawings.span
        return rows, self._top, view.selected, len(view.rows), named, empty

    @property
    def shown(self) -> list[Row]:
        """The rows of servers that are on the screen."""
        if self.view is None or not self.view.rows:
            return []
        table_lines = self._table_lines(self.view).lines[self._top : self._top + self.size.height]
        return [
            self.view.rows[table_line] for table_line in table_lines if isinstance(table_line, int)
        ]

    def lines(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return the head and the rows around the cursor."""
        table = Table(view.rows, width, palette, self._health)
        return [
            Text("", end="").join(draw() for _, draw in line)
            for line in self._drawn(view, table, height)
        ]

    def strips(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Strip]:
        """Return the head and the rows as strips; those of unchanged rows are reused."""
        frame = (width, view.names_revision, view.filter, view.tz)
        if self._table is None or frame != self._frame or palette is not self._table.palette:
            self._frame = frame
            self._table = Table(view.cached, width, palette, self._health)
            self._known = {}
        known, self._known = self._known, {}
        return [self._strip(line, known, width) for line in self._drawn(view, self._table, height)]

    def _strip(self, line: list[Piece], known: Mapping[Hashable, Strip], width: int) -> Strip:
        """Return a line as a strip; `known` has the pieces and the lines of the last drawing."""
        for key, draw in line:
            self._known[key] = known.get(key) or strip_of(draw(), width, self.app.console)
        keys = tuple(key for key, _ in line)
        strip = known.get(keys) or Strip.join(map(self._known.__getitem__, keys))
        self._known[keys] = strip
        return strip

    def _drawn(self, view: ScreenView, table: Table, height: int) -> Iterator[list[Piece]]:
        """Yield the pieces of each line."""
        width, palette, columns = table.width, table.palette, table.columns
        headed = height > 1 and width >= HEADED
        room = height - headed
        self._scroll(view, room)
        if not view.rows:
            for line in self._empty(view, width, palette):
                yield [(line.plain, partial(Text.copy, line))]
            return
        table_lines = self._table_lines(view)
        below = len(table_lines.lines) - self._top - room
        if headed:
            charts = None if view.alone else view.drawings.span
            wordy = all(row.state.name in WORDY_STATES for row in view.cached)
            window = view.drawings.window
            head = partial(header, columns, window, view.tz, palette, charts, wordy=wordy)
            yield [(("head", window, charts, wordy), head)]
        shown = table_lines.lines[self._top : self._top + room]
        for table_line in shown[:-1] if below > 0 else shown:
            if isinstance(table_line, Group):
                chosen = view.selected in table_lines.rows_of(table_line)
                drawn = partial(group_line, table_line, width, palette, chosen=chosen)
                yield [((table_line, chosen), drawn)]
                continue
            row = view.rows[table_line]
            chosen = table_line == view.selected and not view.alone  # the only row needs no cursor
            yield _row(view, row, table, chosen)
        if below > 0 and shown:
            rest = table_lines.lines[self._top + room - 1 :]
            hidden = sum(len(table_lines.rows_of(table_line)) for table_line in rest)
            more = Text(f"   +{hidden} more ↓", style=palette["muted"])
            yield [(("more", hidden), partial(Text.copy, more))]

    def _scroll(self, view: ScreenView, room: int) -> None:
        table_lines = self._table_lines(view)
        last = max(0, len(table_lines.lines) - room)
        selected = table_lines.line_of(view.selected) if view.rows else 0
        first = selected  # above the first row of a model its line is seen as well
        if selected and isinstance(table_lines.lines[selected - 1], Group):
            first -= 1
        if first < self._top:
            self._top = first
        elif selected >= self._top + room - (1 if last else 0):
            self._top = selected - room + (2 if last else 1)
        self._top = max(0, min(self._top, last))

    def _table_lines(self, view: ScreenView) -> TableLines:
        """Return the lines of the table in order: rows, and lines above models."""
        made_of = (view.rows, self.folded)
        if self._placed[0] is None or any(map(is_not, made_of, self._placed[0])):
            self._placed = made_of, TableLines(view.cached, self.folded)
        return self._placed[1]

    def rows_for(self, view: ScreenView) -> int:
        """Return how many lines there are to be shown."""
        return len(self._table_lines(view).lines)

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
            index = self._table_lines(self.view).moved(self.view.selected, step)
            self.post_message(self.RowChosen(self.view.rows[index]))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let models be folded where they have lines."""
        if action == "fold":
            return self.view is not None and self._table_lines(self.view).grouped
        return super().check_action(action, parameters)

    def action_fold(self) -> None:
        """Show only the line of the model under the cursor, or its servers again."""
        group = self._table_lines(self.view).group_of(self.view.selected) if self.view else None
        if group is not None:
            self._fold(group)

    def unfold(self) -> bool:
        """Show the servers of the model on whose line the cursor is; False: it is on a row."""
        group = self._table_lines(self.view).group_of(self.view.selected) if self.view else None
        if group is None or not group.folded:
            return False
        self._fold(group)
        return True

    def _fold(self, group: Group) -> None:
        self.folded ^= {group.model}
        save_choice("folded", "\n".join(sorted(self.folded)))
        self.post_message(self.Folded())

    def action_toggle_engines(self) -> None:
        """Open the server under the cursor to its engines, or close it."""
        row = self.view.selected_row if self.view else None
        if row is not None and not self.unfold():
            self.post_message(self.RowToggled(row.source))

    def on_click(self, event: events.Click) -> None:
        """Choose the clicked row, on its ribbon the moment too; a second click opens its page.

        One on the sign of its state opens it to its engines, one on a model's line folds it.
        """
        view = self.view
        if view is None or not view.rows:
            return
        headed = self.size.height > 1 and self.size.width >= HEADED
        table_lines, at = self._table_lines(view).lines, self._top + event.y - headed
        table_line = table_lines[at] if 0 <= at < len(table_lines) else None
        time = self.time_under(event.x)
        if isinstance(table_line, Group):
            self._fold(table_line)
        elif table_line is not None:
            index = table_line
            if time is not None:
                self.post_message(self.RowChosen(view.rows[index]))
                self.post_message(TimeChosen(time))
            elif event.x < LEFT:
                self.post_message(self.RowToggled(view.rows[index].source))
            elif index == view.selected:
                self.post_message(self.RowOpened())
            else:
                self.post_message(self.RowChosen(view.rows[index]))

    def time_under(self, x: int) -> float | None:
        """Return the moment of a cell of the ribbons."""
        view = self.view
        if view is None or not view.rows:
            return None
        place = ribbon_place(columns_for(self.size.width, view.cached))
        return time_at(x, place, view.drawings.window)

    def on_mouse_scroll_down(self) -> None:
        """Move the cursor down."""
        self.action_cursor(1)

    def on_mouse_scroll_up(self) -> None:
        """Move the cursor up."""
        self.action_cursor(-1)


def _is_wordy(row: Row) -> bool:
    """Return whether words replace a row's numbers."""
    return row.engine is None and row.state.name in WORDY_STATES


def _cells_key(view: ScreenView, row: Row) -> Hashable:
    """Return the inputs of a row's cells before its age."""
    ribbon = view.drawings.ribbon_key(row.source)
    return row.serial or replace(row, moment=0.0, age=None), row.engine, row.silenced, ribbon


def _row_key(view: ScreenView, row: Row) -> Hashable:
    """Return the inputs of a row's drawing besides the table's width, colours and names."""
    return _cells_key(view, row), figures.age(row.age), past_words(row)


def _row(view: ScreenView, row: Row, table: Table, chosen: bool) -> list[Piece]:
    """Return a row with its cursor; its age is a piece of its own, as it changes each second."""
    columns, width = table.columns, table.width
    if columns[-1].key != "age" or _is_wordy(row):
        draw = partial(_cells, view, row, table, columns, chosen, width)
        return [((_row_key(view, row), chosen), draw)]
    room = LEFT + sum(column.width + 1 for column in columns[:-1])
    draw = partial(_cells, view, row, table, columns[:-1], chosen, room)
    draw_age = partial(_age, view, row, table, chosen, width - room)
    age = figures.age(row.age), row.late, chosen
    return [((_cells_key(view, row), chosen), draw), (age, draw_age)]


def _cells(
    view: ScreenView, row: Row, table: Table, columns: list[Column], chosen: bool, width: int
) -> Text:
    """Return the cursor and the cells of a row, or words instead of its numbers."""
    palette, drawer = table.palette, _drawer(view, table)
    line = Text(end="")
    line.append("▌" if chosen else " ", style=palette["primary"])
    line.append_text(drawer.shape(row))
    line.append(" ")
    if not _is_wordy(row):
        line.append_text(drawer.draw(row, columns))
    else:
        lead = [column for column in columns if column.key not in TAIL]
        if row.state.name not in OVER:
            line.append_text(drawer.draw(row, lead))
        else:
            append_end(line, view, row, columns, drawer, palette)
        brief = columns[-1].key == "said" and row.state.name in OVER
        if not brief or (row.ending and not says_model(view, columns)):  # else it was shown
            line.append_text(state_words(view, row, width - line.cell_len, palette))
    return _grounded(line, row, chosen, width, palette)


def _age(view: ScreenView, row: Row, table: Table, chosen: bool, width: int) -> Text:
    """Return the cell with the age of a row, up to the right edge."""
    line = _drawer(view, table).draw(row, table.columns[-1:])
    return _grounded(line, row, chosen, width, table.palette)


def _drawer(view: ScreenView, table: Table) -> CellDrawer:
    def ribbon(row: Row, cells: int) -> Text:
        steps = view.drawings.ribbon(row.source, row.engine, cells)
        return ribbon_text(steps, table.palette, view.drawings.cursor_step(cells))

    return table.drawer(ribbon)


def _grounded(line: Text, row: Row, chosen: bool, width: int, palette: dict[str, str]) -> Text:
    """Return a part of a row, filled to `width`, on the background of the row's state."""
    line.append(" " * max(0, width - line.cell_len))
    if chosen:
        line.stylize_before(f"on {palette['select']}", int(line.plain.startswith("▌")))
    elif row.state.name == "dead" and row.engine is None:
        line.stylize_before(f"on {palette['dead_ground']}")
    return line
