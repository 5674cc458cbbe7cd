"""The events, newest first."""

from __future__ import annotations

from collections.abc import Hashable

from rich.text import Text

from vllm_watch.core.figures import dated_clock
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.card import labelled
from vllm_watch.tui.widgets.pane import Framed
from vllm_watch.tui.wording import wrapped

LEAST_ROWS = 6
"""With more rows than these, an end has two: it says which requests failed."""


def span_lines(view: ScreenView, width: int, palette: dict[str, str]) -> list[Text]:
    """Return the figures of the stretch that was marked, and a blank line after them."""
    groups = (labelled(label, facts, width, palette) for label, facts in view.marked)
    lines = [line for group in groups for line in group]
    return [*lines, Text("")] if lines else []


class EventList(Framed):
    """Start-up phases, errors, alerts, deaths, with their times."""

    TITLE = "Events"
    """While a stretch of time is marked, its figures are above them."""

    def key(self, view: ScreenView) -> Hashable:
        """Draw when there is a new event."""
        return (
            id(view.events),
            view.tz,
            view.marked,
            view.day,
        )

    def lines(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return the newest events that fit."""
        lines = span_lines(view, width, palette)
        height -= len(lines)
        free = max(0, height - len(view.events))
        for event in view.events[:height]:
            at = dated_clock(event.time, view.tz, view.moment)
            line = Text(f" {'~' if event.about else ''}{at} ")
            line.stylize(palette["muted"])
            line.append(f"{event.glyph} ", style=palette[event.role])
            line.append(f"{event.server} ", style="bold")
            begun, style = line.cell_len, palette["muted"] if event.role == "muted" else ""
            least = 2 if event.part == "end" and height > LEAST_ROWS else 1
            most = max(least, 1 + min(free, 2))
            text, *rest = wrapped(event.text, width - begun - 1, most)
            free = max(0, free - len(rest))
            line.append(text, style=style)
            lines += [line, *(Text(" " * begun + more, style=style) for more in rest)]
        if not lines:
            lines.append(Text(" no event has a time yet", style=palette["muted"]))
        return lines
