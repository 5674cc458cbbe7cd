"""The one line on top that says it all."""

from __future__ import annotations

from collections.abc import Hashable

from rich.text import Text

from vllm_watch.tui.figures import age, clock, short_rate, zone_name
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.pane import Pane, beside

SHAPE_ROLES = {
    "●": "good",
    "○": "muted",
    "◐": "note",
    "▲": "warning",
    "✖": "critical",
    "…": "critical",
    "■": "muted",
    "?": "note",
}
"""Shape of a state to the role of its colour: colour repeats the shape, it adds nothing."""

_WORDY = 100
_NAMED = 58


class Glance(Pane):
    """Counts by state, total rate, the mode and the clock."""

    def key(self, view: ScreenView) -> Hashable:
        """Draw when one of its words changes."""
        newest = None if view.newest is None else age(view.newest)
        shown = clock(view.moment, view.tz), newest, view.reading, view.mode
        return view.counts, short_rate(view.total_tps), shown

    def lines(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return the one line."""
        left = Text()
        if width >= _NAMED:
            left.append(" vllm-watch ", style=f"bold {palette['primary']}")
        left.append(" ")
        for shape, word, number in view.counts:
            text = f"{shape} {number} {word}  " if width >= _WORDY else f"{shape}{number} "
            left.append(text, style=palette[SHAPE_ROLES[shape]])
        if view.total_tps is not None:
            left.append(f" {short_rate(view.total_tps)} tok/s", style="bold")
        right = self._right(view, view.mode, width, palette)
        if left.cell_len + right.cell_len >= width:  # ×20 says that it is a replay, too
            right = self._right(view, view.mode.removeprefix("REPLAY "), width, palette)
        return [beside(left, right, width)]

    def _right(self, view: ScreenView, mode: str, width: int, palette: dict[str, str]) -> Text:
        right = Text()
        role = "good" if view.mode == "LIVE" else "note" if "PAUSED" not in view.mode else "warning"
        if width >= 140 and view.newest is not None:
            right.append(f"newest sample {age(view.newest)} ago  ", style=palette["muted"])
        if view.reading:
            words = view.reading if width >= _NAMED else view.reading.rpartition("past ")[2]
            right.append(f"{words}  ", style=palette["note"])
        right.append(mode, style=f"bold {palette[role]}")
        ends = ", ends" if mode == "SAVED" and width >= _NAMED else ""
        right.append(f"{ends} {clock(view.moment, view.tz)}", style="bold")
        if width >= _NAMED:
            right.append(f" {zone_name(view.moment, view.tz)} ", style=palette["muted"])
        return right
