"""Words in place of a server's numbers: what it does, or when and why it ended."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from vllm_watch.core import figures
from vllm_watch.core.states import OVER
from vllm_watch.tui.eventlines import TOLD_TO_STOP
from vllm_watch.tui.rows import Row
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.bars import progress_bar
from vllm_watch.tui.widgets.cells import CellDrawer
from vllm_watch.tui.widgets.columns import TAIL, Column
from vllm_watch.tui.wording import shortened

_ENDED = {
    "stopped": (TOLD_TO_STOP, "told to stop", "stopped"),
    "finished": ("finished its work", "finished"),
}
"""How a server ended without a failure, the longest words first."""


def past_words(row: Row) -> str:
    """Return how long a start-up takes by now, or how long ago an end is, as it is shown."""
    past = None if row.state.since is None else row.moment - row.state.since
    if past is None or row.state.name not in ("starting", *OVER):
        return ""
    return figures.duration(past) if row.state.name == "starting" else figures.age(past)


def append_end(
    line: Text,
    view: ScreenView,
    row: Row,
    columns: list[Column],
    drawer: CellDrawer,
    palette: dict[str, str],
) -> None:
    """Append the cells of a server that has ended, up to the words; its end replaces the rate."""
    style = palette["critical" if row.state.name == "dead" else "muted"]
    if says_model(view, columns):
        when = _when(view, row, _ENDED_CELLS)
        cells = sum(column.width + 1 for column in columns) - cell_len(when) - 1
        drawer.name(row, cells, line)
        line.append(f" {when}", style)
        return
    room = sum(column.width + 1 for column in columns if column.key in ("state", "gen"))
    for column in columns:
        if column.key == "said":
            line.append(
                _when(view, row, max(_ENDED_CELLS, column.width // 2))
                + (": " if row.ending else ""),
                style,
            )
        elif column.key in TAIL:
            break
        elif column.key == "gen":
            line.append(_when(view, row, room - 1).ljust(room), style)
        elif column.key != "state":
            line.append_text(drawer.draw(row, [column]))


def says_model(view: ScreenView, columns: list[Column]) -> bool:
    """Return whether the row of a server that is over shows its model; its findings say why."""
    return view.alone and columns[-1].key == "said"


_PHASE_CELLS = len("starting the HTTP server ")
"""Most cells before the bar of a start-up."""
_PAST_CELLS = len(" 1 m 05 s")
"""Most cells after the bar of a start-up."""
_ENDED_CELLS = len("stopped 08:57:39")
"""Cells for the time of an end, the same in each row."""


def _when(view: ScreenView, row: Row, room: int) -> str:
    """Return the state of a server that has ended, and since when, in so many cells."""
    since, word = row.state.since, row.state.name
    if since is None:
        return word
    past = row.moment - since
    ago = f"{figures.age(past)} ago"
    at = ago if past >= figures.DAY else figures.dated_clock(since, view.tz, row.moment)
    long = f"{word} {at}"
    return next((text for text in (long, f"{word} {ago}", ago) if len(text) <= room), "")


def phase_words(phase: str, row: Row, room: int, palette: dict[str, str]) -> Text:
    """Return the phase of a start-up, and how far it usually is by then as a bar."""
    text = Text(phase, style=palette["note"], end="")
    bar = progress_bar(row.progress or 0.0, max(6, min(24, room // 4)), palette)
    aligned = min(_PHASE_CELLS, room - bar.cell_len - _PAST_CELLS)
    place = max(aligned, text.cell_len + 1)
    if row.progress is not None and place + bar.cell_len <= room:
        text.append(" " * (place - text.cell_len))
        text.append_text(bar)
    return text


def state_words(view: ScreenView, row: Row, room: int, palette: dict[str, str]) -> Text:
    """Return what a server without numbers does, or why it ended, in so many cells."""
    past = None if row.state.since is None else max(0.0, row.moment - row.state.since)
    ago = "" if past is None else figures.duration(past)
    text = Text(end="")
    if row.state.name == "starting":
        text = phase_words(row.state.why or "starting", row, room, palette)
        if ago and text.cell_len + len(ago) + 1 <= room:
            text.append(f" {ago}", style=palette["muted"])
    elif row.state.name in ("ready", "no-stats"):
        if row.requests is not None:
            text.append(f"{row.requests:.1f} req/s  ", style="bold")
            text.append(f"{row.errors or 0:.1f} errors/s", style=palette["muted"])
        elif row.state.name == "ready":
            text.append(row.state.why, style=palette["muted"])
        else:
            text.append("writes no stats lines", style=palette["note"])
    elif row.state.name == "busy":
        text.append(row.state.why)
    else:
        role = "critical" if row.state.name == "dead" else "muted"
        known = row.ending or _ENDED.get(row.state.name, ())
        words = next((words for words in known if cell_len(words) <= room), "")
        if not words and row.ending:
            words = shortened(row.ending[-1], room)
        text.append(words, style=palette[role])
    text.truncate(max(0, room), overflow="ellipsis")
    return text
