"""The runs of a server before this one: when, how long, how they ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich.text import Text

from vllm_watch.core import figures
from vllm_watch.core.run import Run
from vllm_watch.core.startup import ready_after
from vllm_watch.core.states import FAILED, SHAPES
from vllm_watch.tui.endings import ending_words
from vllm_watch.tui.page.arrange import Palette, Part
from vllm_watch.tui.page.pagedata import PageData

MOST_RUNS = 12
"""Most earlier runs shown, the newest first."""


def runs_part(data: PageData) -> Part | None:
    """Return the runs before this one, the newest first; None if there is none."""
    before = [run for run in data.server.runs if run.number < data.run.number]
    if not before:
        return None
    newest = before[: -MOST_RUNS - 1 : -1]

    def lines(width: int, palette: Palette) -> list[Text]:
        drawn = [line for run in newest for line in _run(data, run, width, palette)]
        if len(before) > len(newest):
            more = f"+{len(before) - len(newest)} earlier ones"
            drawn.append(Text(more, style=palette["muted"], end=""))
        return drawn

    return Part("Before this run", lines, figures.counted(len(before), "run"), whole=True)


def _run(data: PageData, run: Run, width: int, palette: Palette) -> Iterator[Text]:
    end = run.newest_stamp
    state = data.monitor.state(run, end if end is not None else data.time, live=False, saved=True)
    line = Text(end="")
    line.append(f"{run.number + 1:>3} ", style=palette["muted"])
    if run.first_stamp is not None and end is not None:
        began = datetime.fromtimestamp(run.first_stamp, data.tz)
        line.append(f"{began:%m-%d %H:%M:%S}  ", style=palette["text"])
        line.append(f"{figures.duration(end - run.first_stamp):>9}  ", style=palette["muted"])
    if width >= 70:
        ready = ready_after(run)
        readiness = (
            f"ready after {figures.duration(ready)}" if ready is not None else "never became ready"
        )
        line.append(f"{readiness:<22}  ", style=palette["muted"])
    dead = state.name in FAILED
    ending = ending_words(state, run, end if end is not None else data.time)
    room = width - line.cell_len - len(state.name) - 4
    why = next((words for words in ending if len(words) <= room), "")
    line.append(
        f"{SHAPES[state.name]} {state.name}", style=palette["critical" if dead else "muted"]
    )
    if why:
        line.append(f": {why}", style=palette["muted"])
    yield line
