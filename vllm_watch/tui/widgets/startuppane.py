"""The start-up of a server without stats lines, instead of empty charts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from rich.text import Text
from textual import work

from vllm_watch.core.figures import duration
from vllm_watch.tui.errortext import INDENT
from vllm_watch.tui.rows import Row
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.pane import Framed, divider
from vllm_watch.tui.wording import phase_time

LEAST_SECONDS = 60.0
"""Least seconds that the longest bar represents."""
_LABEL = 25
"""Cells before a bar."""
_TIME = 12
"""Cells after a bar."""
_LEAST_LOG = 3
"""Rows that must be free for the newest lines of the log."""
_LOG_SECONDS = 2.0
"""The log is read at most once in so many seconds of its own."""

NewestLines = Callable[[Row], Sequence[str]]


class StartupPane(Framed):
    """Phases as bars, the one that lasts marked, then those to come; below them the errors.

    Without errors, the newest lines of the log fill the remaining rows.
    """

    TITLE = "Start-up"
    KEY = "errors"

    def __init__(self, newest: NewestLines, *, id: str | None = None) -> None:  # noqa: A002
        """Show the newest lines that `newest` reads; it is called in a thread."""
        super().__init__(id=id)
        self._newest = newest
        self._asked: tuple[str, float] = ("", 0.0)
        """The server whose log was read last, and its moment."""
        self._reads = False
        self._log: tuple[str, Sequence[str]] = ("", ())
        """A server, and the newest lines of its log."""

    def key(self, view: ScreenView) -> Hashable:
        """Draw when a phase, an error or the newest lines of the log change."""
        return view.startup, view.selected_row and view.selected_row.state, self._log

    def show(self, view: ScreenView) -> None:
        """Show another view, and read the log again if it may have more lines."""
        super().show(view)
        row, startup = view.selected_row, view.startup
        if row is None or startup is None or startup.errors:
            return
        asked = row.source, row.moment // _LOG_SECONDS
        if self.display and not self._reads and asked != self._asked:
            self._asked, self._reads = asked, True
            self._read(self._newest, row)

    @work(thread=True, group="newest lines", exit_on_error=False)
    def _read(self, newest: NewestLines, row: Row) -> None:
        found: Sequence[str] = ()
        try:
            found = newest(row)
        finally:
            self.app.call_from_thread(self._found, row.source, found)

    def _found(self, source: str, lines: Sequence[str]) -> None:
        self._reads, self._log = False, (source, lines)
        self.redraw()

    def title_of(self, view: ScreenView) -> str:
        """Return the title: after the start-up, the errors are those of the work."""
        startup = view.startup
        worked = startup is not None and startup.ready and startup.errors
        return "Errors" if worked else self.TITLE

    def aside(self, view: ScreenView, palette: dict[str, str]) -> Text:
        """Return how long the start-up has taken so far."""
        startup, row = view.startup, view.selected_row
        if startup is None or row is None:
            return Text("")
        took = sum(seconds or 0.0 for _, seconds, _ in startup.phases)
        text = Text(f"{row.short}  ", style=palette["muted"])
        if startup.phases:
            text.append(f"{duration(took)} ", palette["note"])
        elif startup.ready and not startup.over:
            text.append("ready ", palette["note"])
        return text

    def lines(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return a line for each phase and each line of an error."""
        startup = view.startup
        if startup is None:
            return []
        count = len(startup.phases) + len(startup.next) + len(startup.errors)
        lines = [Text("")] if height > count + 2 else []
        longest = max((seconds or 0.0 for _, seconds, _ in startup.phases), default=0.0)
        scale = max(LEAST_SECONDS, longest)  # so that the first bar is seen to grow
        room = max(4, width - _LABEL - _TIME - 3)
        for name, seconds, lasts in startup.phases:
            line = Text(f"  {name:<{_LABEL}}", style="bold" if lasts else palette["text"], end="")
            cells = 0 if seconds is None else max(1, round(seconds / scale * room))
            line.append("▆" * cells, style=palette["note" if lasts else "low"])
            line.append(f" {phase_time(seconds)}", style=palette["muted"])
            if lasts:
                line.append(" …", style=palette["note"])
            lines.append(line)
        for index, name in enumerate(startup.next):
            then = "usually next" if not index else ""
            lines.append(Text(f"  {name:<{_LABEL}}{then}", style=palette["muted"]))
        if startup.errors and lines:
            lines.append(Text(""))
        for error in fitted(startup.errors, height - len(lines)):
            begin = "    " if error.startswith(INDENT) else "  "
            line = Text(begin + error.removeprefix(INDENT), end="")
            line.stylize(palette["muted" if _is_code(error) else "critical"])
            lines.append(line)
        if not startup.phases and not startup.errors:
            lines += [Text(f"  {line}", style=palette["muted"]) for line in startup.about]
        if not startup.errors:
            lines += self._tail(view, width, height - len(lines), palette)
        return lines

    def _tail(self, view: ScreenView, width: int, room: int, palette: dict[str, str]) -> list[Text]:
        """Return the newest lines of the log, in at most `room` rows with their title."""
        source, newest = self._log
        row = view.selected_row
        if row is None or row.source != source or not newest or room < 2 + _LEAST_LOG:
            return []
        drawn = [Text(f"  {line}", style=palette["muted"]) for line in newest[2 - room :]]
        for line in drawn:
            line.truncate(width - 1, overflow="ellipsis")
        return [Text(""), divider("Newest lines of the log", width, palette), *drawn]


def _is_code(error: str) -> bool:
    """Return whether a line is part of a traceback above its exception."""
    return error.startswith((f"{INDENT} ", f"{INDENT}…"))


def fitted(errors: Sequence[str], room: int) -> list[str]:
    """Return lines of errors for so many rows: lines of code give way, the first ones first."""
    excess = len(errors) - room
    code = [at for at, error in enumerate(errors) if _is_code(error)][: max(0, excess)]
    return [error for at, error in enumerate(errors) if at not in code]
