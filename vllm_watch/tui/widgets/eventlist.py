"""What happened, newest first."""

from __future__ import annotations

from rich.text import Text

from vllm_watch.tui.figures import clock
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.pane import Pane
from vllm_watch.tui.wording import shortened


class EventList(Pane):
    """Start-up phases, errors, alerts, deaths, with their times."""

    def lines(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return the newest events that fit."""
        lines = [Text(" EVENTS", style=f"bold {palette['muted']}")]
        for event in view.events[: height - 1]:
            line = Text(f" {'~' if event.about else ''}{clock(event.time, view.tz)} ")
            line.stylize(palette["muted"])
            line.append(f"{event.glyph} ", style=palette[event.role])
            line.append(f"{event.server} ", style="bold")
            text = shortened(event.text, width - line.cell_len)
            line.append(text, style=palette["muted"] if event.role == "muted" else "")
            lines.append(line)
        if len(lines) == 1:
            lines.append(Text(" nothing has happened yet", style=palette["muted"]))
        return lines
