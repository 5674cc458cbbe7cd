"""The line at the top: the state of all servers."""

from __future__ import annotations

from collections.abc import Hashable

from rich.text import Text
from textual import events

from vllm_watch.core.figures import UNKNOWN, clock, short_rate, zone_name
from vllm_watch.tui.messages import ReplayBarClicked
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.pane import Pane, beside

SHAPE_ROLES = {
    "●": "good",
    "○": "muted",
    "◐": "note",
    "▲": "warning",
    "✖": "critical",
    "…": "critical",
    "✓": "muted",
    "■": "muted",
    "?": "note",
}
"""Shape of a state to the role of its colour, which repeats the shape's meaning."""

_WORDY = 100
_NAMED = 58


def replay_bar_cells(width: int) -> int:
    """Return the cells of the bar that shows how far a replay is."""
    return 0 if width < _WORDY else min(40, width // 6)


def moment_words(view: ScreenView, width: int = _NAMED) -> str:
    """Return the moment as clock time, with its date if it is not of today."""
    time = clock(view.moment, view.tz)
    if not view.past_day or view.day is None:
        return time
    return f"{view.day} {time}" if width >= _NAMED else f"{view.day:%m-%d} {time[:5]}"


class Glance(Pane):
    """Counts by state, total rate, the mode and the clock; in a replay how far it is."""

    _bar_from_right = 0
    """Cells from the beginning of the replay bar to the right edge."""

    def key(self, view: ScreenView) -> Hashable:
        """Draw when one of its words changes."""
        replayed = None if view.replayed is None else round(view.replayed * 200)
        shown = moment_words(view), view.reading, view.mode, replayed
        return view.counts, short_rate(view.total_tps), shown

    def on_click(self, event: events.Click) -> None:
        """Go to the clicked place of a replay."""
        cells, view = replay_bar_cells(self.size.width), self.view
        begin = self.size.width - self._bar_from_right
        if view is not None and view.replayed is not None and 0 <= event.x - begin < cells:
            self.post_message(ReplayBarClicked((event.x - begin + 0.5) / cells))

    def lines(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return the one line."""
        if (named := self._named(view, width, palette)) is not None:
            for mode in (view.mode, view.mode.rpartition(" ")[2]):
                right = self._right(view, mode, width, palette)
                if named.cell_len + right.cell_len < width:
                    return [self._zoned(view, named, right, width, palette)]
        right = self._right(view, view.mode, width, palette)
        rate = self._rate(view, width, palette)
        left = self._counts(view, width, palette, worded=True)
        beside_it = 0 if view.alone else rate.cell_len  # its own row has its rate
        if left.cell_len + beside_it + right.cell_len >= width and width < _WORDY:
            left = self._counts(view, width, palette, worded=False)
        if left.cell_len + rate.cell_len + right.cell_len < width:
            left.append_text(rate)
        return [self._zoned(view, left, right, width, palette)]

    @staticmethod
    def _counts(view: ScreenView, width: int, palette: dict[str, str], *, worded: bool) -> Text:
        """Return the number of servers in each state, in words or only by their shapes."""
        left = Text()
        if width >= _NAMED:
            left.append(" vllm-watch ", style=f"bold {palette['primary']}")
        left.append(" ")
        for shape, word, number in view.counts:
            text = f"{shape} {number} {word}  " if worded else f"{shape}{number} "
            left.append(text, style=palette[SHAPE_ROLES[shape]])
        return left

    def _named(self, view: ScreenView, width: int, palette: dict[str, str]) -> Text | None:
        """Return the state and the model of the only server, for a line without other names."""
        if width >= _NAMED or not view.alone:
            return None
        line = self._counts(view, width, palette, worded=False)
        line.append(view.servers[0].model, style="bold")
        return line

    @staticmethod
    def _rate(view: ScreenView, width: int, palette: dict[str, str]) -> Text:
        """Return the tokens per second of all servers."""
        if view.total_tps is None:
            return Text("")
        rate = Text.assemble((f" {short_rate(view.total_tps)} tok/s", "bold"))
        if width >= _WORDY and sum(number for *_, number in view.counts) > 1:
            rate.append(" in all", style=palette["muted"])
        return rate

    def _right(self, view: ScreenView, mode: str, width: int, palette: dict[str, str]) -> Text:
        right = Text()
        role = "good" if view.mode == "LIVE" else "note" if "PAUSED" not in view.mode else "warning"
        if view.reading:
            words = view.reading if width >= _NAMED else view.reading.rpartition("past ")[2]
            right.append(f"{words}  ", style=palette["note"])
        right.append(mode, style=f"bold {palette[role]}")
        cells, begin = replay_bar_cells(width), right.cell_len + 1
        if view.replayed is not None and cells:
            done = round(view.replayed * cells)
            right.append(f" {'━' * done}", style=palette["note"])
            right.append("━" * (cells - done), style=palette["faint"])
        ends = ", ends" if mode == "SAVED" and width >= _NAMED else ""
        if not view.moment:  # a replay of a log without times has none
            right.append(f" {UNKNOWN}")
            return right
        right.append(f"{ends} {moment_words(view, width)}", style="bold")
        if width >= _NAMED:
            right.append(f" {zone_name(view.moment, view.tz)} ", style=palette["muted"])
        self._bar_from_right = right.cell_len - begin
        return right

    @staticmethod
    def _zoned(
        view: ScreenView, left: Text, right: Text, width: int, palette: dict[str, str]
    ) -> Text:
        """Return both texts on a line; a small terminal has the zone if there is room."""
        zone = zone_name(view.moment, view.tz)
        names = [f" {zone}", *(["Z"] if zone == "UTC" else [])] if width < _NAMED else []
        room = width - left.cell_len - right.cell_len - 1
        right.append(next((name for name in names if len(name) <= room), ""), palette["muted"])
        return beside(left, right, width)
