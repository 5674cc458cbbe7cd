"""The errors of a server with their tracebacks, the first one first: why it died."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, Group
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static

from vllm_watch.core.patterns import lazy
from vllm_watch.tui.errortext import INDENT
from vllm_watch.tui.screens.modal import Overlay

_HEAD = lazy(r"\S*\s*\S+  \.(?:log|err)  | {17}")
"""Time and file of a line, or the blanks below them."""
NARROW = 60
"""Below this width, a line goes on below its time."""


class Hanging:
    """Lines of text; what does not fit into one goes on below its words, not below its time."""

    def __init__(self, lines: Sequence[str]) -> None:
        """Show `lines`, which have their words after `INDENT`."""
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield the lines for the width of the page."""
        width, narrow = options.max_width, options.max_width < NARROW
        for line in self._lines:
            headed = None if narrow else _HEAD.match(line)
            head, lead = (headed[0], headed.end()) if headed else ("", 2)
            body = line[len(head) :].replace(INDENT, "  ")
            for part in Text(body).wrap(console, width - lead):
                yield Text(head) + part
                head = " " * lead


class ErrorScreen(Overlay[None]):
    """Errors and tracebacks of one server, as plain text."""

    BINDINGS = [Binding("escape,x,q,enter", "close", "close")]

    def __init__(self, name: str, text: str) -> None:
        """Show the errors of the server `name`."""
        super().__init__()
        self._name_shown = name
        self._text = text

    def compose(self) -> ComposeResult:
        """Lay out the errors."""
        whole = Text(f"ERRORS OF {self._name_shown}", style="bold")
        whole.append("   esc closes this\n", style="dim not bold")
        lines = (self._text or "none in this log").split("\n")
        with VerticalScroll(id="help"):
            yield Static(Group(whole, Hanging(lines)), markup=False)
