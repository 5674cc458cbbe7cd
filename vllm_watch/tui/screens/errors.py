"""The errors of a server with their tracebacks, the first one first: why it died."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from rich.console import Console, ConsoleOptions, Group
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static

from vllm_watch.core.figures import clock
from vllm_watch.core.patterns import lazy
from vllm_watch.core.refusals import refusal_words, refusals_of
from vllm_watch.core.run import Run
from vllm_watch.tui.endings import by_time, errors_of
from vllm_watch.tui.screens.modal import Overlay

MOST_LINES = 600
"""Most lines shown; the first ones matter."""
_HEAD = lazy(r"\S*\s*\S+  \.(?:log|err)  | {17}")
"""Time and file of a line, or the blanks below them."""
INDENT = " " * 17
"""Stands before a line without a time, where others have their time and file."""
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


def error_text(run: Run, until: float, tz: tzinfo) -> str:
    """Return the errors of a run up to a moment, from both files, in the order of their times.

    The reasons for refused requests come first, grouped and counted.
    """
    known = refusals_of(run, until)
    lines = [f"refused: {refusal_words(one, run.configuration)}" for one in known]
    for at, kept in by_time(errors_of(run, until)):
        event = kept.event
        where = ".err" if event.twin else ".log"
        about = "~" if event.time is None and at is not None else " "
        first, *rest = event.text.split("\n")
        lines.append(f"{about}{clock(at, tz):<8}  {where}  {first}")
        lines += [f"{INDENT}{line}" for line in (*rest, *kept.lines)]
    return "\n".join(lines[:MOST_LINES])


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
