"""The log around a moment: search, only errors, earlier, later; enter goes to a line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, Static

from vllm_watch.core.figures import clock
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.patterns import lazy
from vllm_watch.reports.excerpt import Excerpt, LogLine, stamp_time
from vllm_watch.tui.keys import bound
from vllm_watch.tui.palette import palette_of
from vllm_watch.tui.screens.modal import Overlay
from vllm_watch.tui.widgets.pane import strip_of

SECONDS = 120.0
"""Seconds of the log before the moment that are read."""
ROLES = {
    "stats": "text",
    "error": "critical",
    "event": "note",
    "request": "muted",
    "line": "muted",
    "skipped": "muted",
}
"""Kind of a log line to the role of its colour."""
NARROW = 100
"""Below this width the view begins after the process name with which all lines begin."""
_PROCESS = lazy(r"\([^()]+ pid=\d+\) ")
_STAMP = lazy(r"\b\d\d-\d\d \d\d:\d\d:\d\d\b")


class Stretch(NamedTuple):
    """A stretch of the log, in epoch seconds."""

    start: float
    end: float


class LogLines(Widget, can_focus=True):
    """Lines with a cursor; long ones are cut and can be scrolled sideways."""

    def __init__(self) -> None:
        """Begin without lines."""
        super().__init__(id="log-lines")
        self.lines: tuple[LogLine, ...] = ()
        self.at = 0
        self.found = ""
        self._top = 0
        self._left = 0
        self._narrow = False

    @property
    def chosen(self) -> LogLine | None:
        """The line under the cursor."""
        return self.lines[self.at] if 0 <= self.at < len(self.lines) else None

    def show(self, lines: tuple[LogLine, ...], at: int) -> None:
        """Show lines, with the cursor on one of them."""
        self.lines = lines
        if self._narrow:
            self._left, self._narrow = self._behind_process(), False
        self.go(at)

    def on_mount(self) -> None:
        """Begin after the names of processes where there is little room."""
        self._narrow = self.app.size.width < NARROW

    def _behind_process(self) -> int:
        """Return the length of the process names at the beginning of lines."""
        found = (_PROCESS.match(line.text) for line in self.lines)
        return min((len(one[0]) for one in found if one is not None), default=0)

    def go(self, at: int) -> None:
        """Put the cursor on a line and scroll to it."""
        self.at = max(0, min(len(self.lines) - 1, at))
        height = max(1, self.size.height)
        self._top = max(0, min(max(self._top, self.at - height + 1), self.at))
        self.refresh()

    def shift(self, cells: int) -> None:
        """Move the lines sideways."""
        longest = max((len(line.text) for line in self.lines), default=0)
        self._left = max(0, min(longest - 1, self._left + cells))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return one line of the log."""
        index, width = self._top + y, self.size.width
        if not 0 <= index < len(self.lines):
            return Strip.blank(width, self.rich_style)
        palette, line = palette_of(self.app), self.lines[index]
        left = self._left if line.kind != "skipped" else 0
        text = Text(line.text[left:] or " ", style=palette[ROLES[line.kind]])
        text.stylize(palette[ROLES[line.kind]])
        if self.found:
            text.highlight_words(
                [self.found], f"reverse {palette['warning']}", case_sensitive=False
            )
        if index == self.at:
            text.append(" " * max(0, width - text.cell_len))
            text.stylize_before(f"on {palette['select']}")
        strip = strip_of(text, width, self.app.console)
        return strip.extend_cell_length(width).apply_style(self.rich_style)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the clicked line."""
        self.go(self._top + event.y)

    def on_mouse_scroll_down(self) -> None:
        """Move the cursor down."""
        self.go(self.at + 3)

    def on_mouse_scroll_up(self) -> None:
        """Move the cursor up."""
        self.go(self.at - 3)


class LogScreen(Overlay[float | None]):
    """The lines of a log around a moment; closes with the chosen moment, if any."""

    BINDINGS = [
        Binding("escape,l,q", "close", "close"),
        Binding("enter", "choose", "go to its time"),
        bound("search", "search", "search"),
        bound("search_next", "find(1)", "next"),
        bound("search_before", "find(-1)", "before"),
        bound("errors_only", "errors", "errors only"),
        bound("alert_before", "page(-1)", "earlier"),
        bound("alert_after", "page(1)", "later"),
        bound("up", "cursor(-1)", show=False),
        bound("down", "cursor(1)", show=False),
        Binding("pageup", "cursor(-20)", show=False),
        Binding("pagedown,space", "cursor(20)", show=False),
        Binding("home", "cursor(-100000)", show=False),
        Binding("end", "cursor(100000)", show=False),
        Binding("left", "shift(-20)", show=False),
        Binding("right", "shift(20)", show=False),
    ]

    def __init__(
        self, name: str, moment: float, tz: tzinfo, read: Callable[[Stretch], Excerpt]
    ) -> None:
        """Show the log of the server `name` before and at `moment`, in the log's own clock.

        `read` returns the lines of a stretch; it is called in a thread.
        """
        super().__init__()
        self._name_shown = name
        self._tz = tz
        self._find = read
        self._stretch = Stretch(moment - SECONDS, moment)
        self._found = Excerpt()
        self._errors = False

    def compose(self) -> ComposeResult:
        """Lay out the page."""
        with Vertical(id="log"):
            yield Static(id="log-head", markup=False)
            yield LogLines()
            yield Input(placeholder="search; enter finds, esc leaves", id="log-search")
            yield Static(id="log-keys", markup=False)

    def opened(self) -> None:
        """Begin to read."""
        self.query_one(Input).display = False
        palette = palette_of(self.app)
        keys = Text(no_wrap=True, overflow="ellipsis")
        for key, words in (
            ("esc", "close"), ("enter", "go to its time"), ("/", "search"), ("nN", "next, before"),
            ("e", "errors only"), ("[]", "earlier, later"), ("←→", "sideways"),
        ):  # fmt: skip
            keys.append(f" {key}", style=f"bold {palette['primary']}")
            keys.append(f" {words} ", style=palette["muted"])
        self.query_one("#log-keys", Static).update(keys)
        self.query_one(LogLines).focus()
        self._look()

    @work(thread=True, group="log", exclusive=True, exit_on_error=False)
    def _look(self) -> None:
        found = self._find(self._stretch)
        self.app.call_from_thread(self._show, found)

    def _show(self, found: Excerpt) -> None:
        if self.is_mounted:
            self._found = found
            self._lines(at=len(found.lines))

    def _lines(self, at: int) -> None:
        """Show the wanted lines."""
        lines = self._found.lines
        if self._errors:
            lines = tuple(line for line in lines if line.kind == "error")
        if not lines:
            why = self._found.trouble or ("no error here" if self._errors else "reading …")
            lines = (LogLine("skipped", why),)
        self.query_one(LogLines).show(lines, at)
        start, end = self._stretch
        head = Text(f"LOG  {self._name_shown}  ", style="bold", no_wrap=True)
        more = ", more lines follow" if self._found.more else ""
        head.append(f"{clock(start, self._tz)} to {clock(end, self._tz)}{more}", style="not bold")
        self.query_one("#log-head", Static).update(head)

    # --- keys ---------------------------------------------------------------------------------

    def action_cursor(self, step: int) -> None:
        """Move the cursor by lines."""
        lines = self.query_one(LogLines)
        lines.go(lines.at + step)

    def action_shift(self, cells: int) -> None:
        """Move the lines sideways."""
        self.query_one(LogLines).shift(cells)

    def action_page(self, step: int) -> None:
        """Show an earlier or a later stretch."""
        start, end = self._stretch
        self._stretch = Stretch(start + step * SECONDS, end + step * SECONDS)
        self._look()

    def action_errors(self) -> None:
        """Show only errors, or everything."""
        self._errors = not self._errors
        self._lines(at=0)

    def action_search(self) -> None:
        """Ask for a text to search."""
        field = self.query_one(Input)
        field.display = True
        field.focus()

    @on(Input.Submitted)
    def _searched(self, message: Input.Submitted) -> None:
        self.query_one(LogLines).found = message.value.strip()
        self._leave_search()
        self.action_find(1)

    def _leave_search(self) -> None:
        self.query_one(Input).display = False
        lines = self.query_one(LogLines)
        lines.focus()
        lines.refresh()

    def action_find(self, step: int) -> None:
        """Go to the next line with the text, or the previous one, wrapping around at the end."""
        lines = self.query_one(LogLines)
        wanted = lines.found.lower()
        hits = [i for i, line in enumerate(lines.lines) if wanted and wanted in line.text.lower()]
        if not hits:
            return
        later = [hit for hit in hits if hit > lines.at] or hits[:1]
        sooner = [hit for hit in hits if hit < lines.at] or hits[-1:]
        lines.go(later[0] if step > 0 else sooner[-1])

    def action_choose(self) -> None:
        """Close, and show the moment of the line under the cursor."""
        lines = self.query_one(LogLines)
        for line in reversed(lines.lines[: lines.at + 1]):
            time = stamp_of(line.text, self._stretch.end, self._tz)
            if time is not None:
                self.dismiss(time)
                return

    def action_close(self) -> None:
        """Leave the search, else the page."""
        if self.query_one(Input).display:
            self._leave_search()
        else:
            self.dismiss(None)


def stamp_of(text: str, near: float, tz: tzinfo) -> float | None:
    """Return the moment of a line's stamp in the year nearest to `near`, None without one."""
    found = _STAMP.search(text)
    return None if found is None else stamp_time(found[0].encode(), near, tz)
