"""The one line on top that says it all."""

from __future__ import annotations

from rich.text import Text

from vllm_watch.tui.figures import DAY, age, clock, duration, short_rate, zone_name
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
    """Counts by state, total rate, the worst thing, the mode and the clock."""

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
        whole = self._right(view, view.mode, width, palette)
        short = self._right(view, view.mode.removeprefix("REPLAY "), width, palette)
        for right in (whole, short):  # ×20 says that it is a replay, too
            room = width - left.cell_len - right.cell_len - 4
            worst = self._worst(view, width, room, palette)
            if worst.cell_len <= room:
                return [beside(left + Text("   ") + worst, right, width)]
        fits = left.cell_len + whole.cell_len < width
        return [beside(left, whole if fits else short, width)]

    def _worst(self, view: ScreenView, width: int, room: int, palette: dict[str, str]) -> Text:
        """Return the worst thing in the longest form that has room."""
        worst = view.worst
        if worst is None:
            at_work = any(shape in "●○" for shape, _, _ in view.counts)
            well = "✓ all healthy" if width >= _NAMED else "✓"
            return Text(well if at_work else "", style=palette["good"])
        finding = worst.finding
        glyph = "✖" if finding.severity == "critical" else "▲"
        since = past = at = ""
        if finding.since is not None:
            seconds = max(0.0, worst.row.moment - finding.since)
            when = clock(finding.since, view.tz)
            over = worst.row.state.name in ("dead", "ended")
            since = (
                f" at {when} ({duration(seconds)} ago)"
                if over
                else (f" since {when} ({duration(seconds)})")
            )
            at = f" at {when}" if over and seconds < DAY else ""
            past = f" {age(seconds)} ago" if over else f" for {age(seconds)}"
        forms = (
            f"{glyph} {worst.row.short} {finding.title}{since}",
            f"{glyph} {worst.row.short} {finding.title}{at or past}",
            f"{glyph} {worst.row.short} {finding.word}{past}",
            f"{glyph} {worst.row.short} {finding.word}",
            f"{glyph} {worst.row.short}",
        )
        text = next((form for form in forms if len(form) <= room), forms[-1])
        return Text(text, style=f"bold {palette[finding.severity]}")

    def _right(self, view: ScreenView, mode: str, width: int, palette: dict[str, str]) -> Text:
        right = Text()
        role = "good" if view.mode == "LIVE" else "note" if "PAUSED" not in view.mode else "warning"
        if width >= 140 and view.newest is not None:
            right.append(f"newest sample {age(view.newest)} ago  ", style=palette["muted"])
        if view.reading:
            words = view.reading if width >= _NAMED else view.reading.rpartition("past ")[2]
            right.append(f"{words}  ", style=palette["note"])
        right.append(mode, style=f"bold {palette[role]}")
        right.append(f" {clock(view.moment, view.tz)}", style="bold")
        if width >= _NAMED:
            right.append(f" {zone_name(view.moment, view.tz)} ", style=palette["muted"])
        return right
