"""Shared by the tests of charts: charts to draw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from rich.cells import set_cell_size
from rich.text import Text

from vllm_watch.tui.charts import ChartSpec, Line, Mark, draw_panel
from vllm_watch.tui.charts.thin import thin
from vllm_watch.tui.charts.title import title_pieces

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC).timestamp()
"""A round hour, so that ticks are easy to name."""
PALETTE = {
    "primary": "#7dcfff",
    "secondary": "#e0af68",
    "axis": "#3b4261",
    "text": "#c0caf5",
    "muted": "#737aa2",
    "warning": "#e0af68",
    "critical": "#f7768e",
    "cursor": "#ffffff",
    "background": "#16161e",
}
NAN, INF = math.nan, math.inf


def line(
    values: list[float | None],
    name: str = "generation",
    role: str = "primary",
    marker: str = "line",
    step: float = 10.0,
    gap_s: float = 35.0,
) -> Line:
    times = [START + index * step for index in range(len(values))]
    return Line(name, times, values, role, marker, gap_s)


def spec(*lines: Line, minutes: float = 15.0, **changes: object) -> ChartSpec:
    chart = ChartSpec("Throughput", "tok/s", START, START + minutes * 60, lines)
    return replace(chart, **changes)  # type: ignore[arg-type]


def drawn(chart: ChartSpec, width: int, height: int, palette: Mapping[str, str] = PALETTE) -> Text:
    """Return a panel with so many columns inside of its frame."""
    return draw_panel(chart, width + 3, height, palette, UTC).text()


def rows(chart: ChartSpec, width: int = 60, height: int = 12) -> list[str]:
    """Return the title alone in all of the width, then what is inside of a panel's frame."""
    runs = [
        thin(each.times, each.values, chart.start, chart.end, width, each.gap_s)
        for each in chart.lines
    ]
    title = "".join(text for text, _ in title_pieces(chart, runs, width, PALETTE, UTC))
    lines = drawn(chart, width, height).plain.split("\n")[1:]
    return [set_cell_size(title, width), *(each[1:-2] for each in lines)]


RISING: list[float | None] = [50.0 * index for index in range(91)]
FULL = spec(
    line(RISING),
    line([800.0 + index % 7 for index in range(91)], "prompt", "secondary", "dots"),
    marks=(Mark(START + 450, "warning", "▲"), Mark(START + 900, "critical", "✖")),
)
