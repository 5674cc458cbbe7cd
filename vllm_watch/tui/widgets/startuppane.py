"""The start-up of a server without stats lines, instead of empty charts."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from rich.text import Text

from vllm_watch.core.figures import duration
from vllm_watch.tui.screens.errors import INDENT
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.pane import Framed
from vllm_watch.tui.wording import phase_time

LEAST_SECONDS = 60.0
"""Least seconds that the longest bar represents."""
_LABEL = 25
"""Cells before a bar."""
_TIME = 12
"""Cells after a bar."""


SILENT = (
    "no stats line yet",
    "vLLM writes one every ten seconds while requests run,",
    "none if it was started with --disable-log-stats",
)
"""Said of a server that is ready, but has no stats line, answers or phases to show."""


class StartupPane(Framed):
    """Phases as bars, the one that lasts marked, then those to come; below them the errors."""

    TITLE = "Start-up"
    KEY = "errors"

    def key(self, view: ScreenView) -> Hashable:
        """Draw when a phase or an error changes."""
        return view.startup, view.selected_row and view.selected_row.state

    def aside(self, view: ScreenView, palette: dict[str, str]) -> Text:
        """Return how long the start-up has taken so far."""
        startup, row = view.startup, view.selected_row
        if startup is None or row is None:
            return Text("")
        took = sum(seconds for _, seconds, _ in startup.phases)
        text = Text(f"{row.short}  ", style=palette["muted"])
        if startup.phases:
            text.append(f"{duration(took)} ", palette["note"])
        else:
            unread = "no vLLM line " if startup.over else "no vLLM line yet "
            text.append("ready " if startup.ready else unread, palette["note"])
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
        longest = max((seconds for _, seconds, _ in startup.phases), default=0.0)
        scale = max(LEAST_SECONDS, longest)  # so that the first bar is seen to grow
        room = max(4, width - _LABEL - _TIME - 3)
        apart = [Text("")] if height > 2 * count and not startup.errors else []
        for name, seconds, lasts in startup.phases:
            line = Text(f"  {name:<{_LABEL}}", style="bold" if lasts else palette["text"], end="")
            cells = max(1, round(seconds / scale * room))
            line.append("▆" * cells, style=palette["note" if lasts else "low"])
            line.append(f" {phase_time(seconds)}", style=palette["muted"])
            if lasts:
                line.append(" …", style=palette["note"])
            lines += [line, *apart]
        for index, name in enumerate(startup.next):
            then = "usually next" if not index else ""
            lines += [Text(f"  {name:<{_LABEL}}{then}", style=palette["muted"]), *apart]
        if startup.errors and lines:
            lines.append(Text(""))
        for error in fitted(startup.errors, height - len(lines)):
            begin = "    " if error.startswith(INDENT) else "  "
            line = Text(begin + error.removeprefix(INDENT), end="")
            line.stylize(palette["muted" if _is_code(error) else "critical"])
            lines.append(line)
        if not startup.phases and not startup.errors:
            words = SILENT if startup.ready else ("nothing has been written yet",)
            lines += [Text(f"  {line}", style=palette["muted"]) for line in words]
        return lines


def _is_code(error: str) -> bool:
    """Return whether a line is part of a traceback above its exception."""
    return error.startswith((f"{INDENT} ", f"{INDENT}…"))


def fitted(errors: Sequence[str], room: int) -> list[str]:
    """Return lines of errors for so many rows: lines of code give way, the first ones first."""
    excess = len(errors) - room
    code = [at for at, error in enumerate(errors) if _is_code(error)][: max(0, excess)]
    return [error for at, error in enumerate(errors) if at not in code]
