"""A server's page as a whole: its head, which is fixed, and its parts, which scroll."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from vllm_watch.core import figures
from vllm_watch.tui.page.advice import findings_part, start_part
from vllm_watch.tui.page.arrange import Palette, Part, arranged
from vllm_watch.tui.page.earlierruns import runs_part
from vllm_watch.tui.page.overtime import overtime_part
from vllm_watch.tui.page.pagedata import PageData
from vllm_watch.tui.page.setup import capacity_part, config_part, startup_part
from vllm_watch.tui.verdict import verdict_of
from vllm_watch.tui.widgets.glance import SHAPE_ROLES, moment_words
from vllm_watch.tui.widgets.pane import beside, fitted
from vllm_watch.tui.widgets.verdictline import verdict_text

LEAST_NAME = 12
"""Cells that the name of a model keeps in the title if the state follows it."""


def page_head(data: PageData, width: int, palette: Palette) -> list[Text]:
    """Return the title and the verdict."""
    row, run = data.row, data.run
    view, since = data.view, ""
    if row.state.since:
        since = f" since {figures.dated_clock(row.state.since, data.tz, row.moment)}"
    facts = [f"{row.state.name}{since}"]
    if len(data.server.runs) > 1:
        facts.append(f"run {run.number + 1} of {data.server.run.number + 1}")
    if data.known.address:
        facts.append(data.known.address)
    facts.append(row.source)
    right = Text(end="")
    right.append(f"{view.mode} ", style=f"bold {palette['note']}")
    right.append(f"{moment_words(view, width)} ", style=f"bold {palette['text']}")
    left = Text(end="")
    left.append(f" {row.shape} ", style=f"bold {palette[SHAPE_ROLES[row.shape]]}")
    ports = f"{row.port} "
    room = max(1, width - right.cell_len - left.cell_len - cell_len(ports) - 2)
    if room - len(facts[0]) - 2 >= LEAST_NAME:  # otherwise the verdict shows its state
        room -= len(facts[0]) + 2
    name = fitted(row.model, min(cell_len(row.model), room))
    left.append(f"{name} ", style=palette["text"])
    left.append(ports, style=f"bold {palette['text']}")
    for fact in facts:
        more = f" · {fact}" if fact is not facts[0] else f" {fact}"
        if left.cell_len + len(more) + right.cell_len + 2 <= width:
            left.append(more, style=palette["muted"])
    verdict = verdict_of(data.view)
    second = verdict_text(verdict, width, palette) if verdict is not None else Text("", end="")
    return [beside(left, right, width), second]


def page_parts(data: PageData, spare: int = 0) -> list[Part]:
    """Return the parts of a page: findings before configuration."""
    parts = (
        overtime_part(data, spare),
        findings_part(data),
        start_part(data),
        capacity_part(data),
        config_part(data),
        startup_part(data),
        runs_part(data),
    )
    return [part for part in parts if part is not None]


def page_lines(data: PageData, width: int, height: int, palette: Palette) -> list[Text]:
    """Return the scrolling part, in exactly so many cells; less than `height` rows are filled."""
    lines = arranged(page_parts(data), width, palette)
    spare = height - len(lines)
    return arranged(page_parts(data, spare), width, palette) if spare > 0 else lines
