"""Small charts of all servers below each other, on one scale: who carries the load, and since when.

Blocks, not dots: they are for comparing shapes, the charts of the selected server for reading.
"""

from __future__ import annotations

from rich.text import Text

from vllm_watch.tui.charts.ticks import axis_label, round_top
from vllm_watch.tui.figures import short_rate
from vllm_watch.tui.rows import Row
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.glance import SHAPE_ROLES
from vllm_watch.tui.widgets.pane import beside

ROWS = 2
"""Rows of one small chart: on the scale of all, most of what is higher would be empty."""
LEAST_WIDTH = 40
_BLOCKS = " ▁▂▃▄▅▆▇█"
_LABEL = 10
"""Cells before a chart: the server's shape and port."""
_FIGURES = 16
"""Cells behind it: its newest rate, and the highest mean of a step of the window."""


def small_charts(view: ScreenView, width: int, height: int, palette: dict[str, str]) -> list[Text]:
    """Return generation throughput of every server over the window, nothing where there is no room.

    Servers of a fleet that does not fit are left out from the end, and that is told.
    """
    rows = [row for row in view.rows if row.engine is None]
    room = height - 2
    if width < LEAST_WIDTH or len(rows) < 2 or room < 2 * ROWS:
        return []
    shown = rows[: room // ROWS]
    top = round_top(max((v for row in rows for v in row.spark if v is not None), default=0.0))
    head = Text(" ALL SERVERS", style=f"bold {palette['muted']}")
    head.append("  generation tok/s, each up to ", style=f"not bold {palette['muted']}")
    head.append(axis_label(top), style="not bold")
    figures = Text("now  top mean ", style=palette["muted"])
    lines = [Text(""), beside(head, figures, width)]
    for row in shown:
        lines += _chart(row, row is view.selected_row, top, width, palette)
    if len(shown) < len(rows):
        more = f"+{len(rows) - len(shown)} more"
        lines[0] = Text(more.rjust(width - 1), style=palette["muted"])
    return lines


def _chart(row: Row, selected: bool, top: float, width: int, palette: dict[str, str]) -> list[Text]:
    """Return one server's lines, the last of them with its name and figures."""
    columns = width - _LABEL - _FIGURES
    cells = _stretched(row.spark, columns)
    ink = palette["primary"] if selected else palette["muted"]
    lines = []
    for level in range(ROWS - 1, -1, -1):
        line = Text(" " * _LABEL)
        eighths = [None if v is None else round(v / top * ROWS * 8) - level * 8 for v in cells]
        line.append("".join(_block(value, level == 0) for value in eighths), style=ink)
        lines.append(line)
    known = [value for value in row.spark if value is not None]
    label = Text(" ")
    label.append(row.shape, style=palette[SHAPE_ROLES[row.shape]])
    label.append(f" {row.short}"[: _LABEL - 3], style="bold" if selected else "")
    label.append(" " * max(0, _LABEL - label.cell_len))
    last = label + lines[-1][_LABEL:]
    last.append(f"{short_rate(row.values.generation_tps):>6}")
    highest = short_rate(max(known, default=None))
    last.append(f"{highest:>8} ", style=palette["muted"])
    return [*lines[:-1], last]


def _block(eighths: int | None, foot: bool) -> str:
    """Return a cell's block; at the foot even nothing generated is seen, where it is known."""
    if eighths is None:
        return " "
    return _BLOCKS[max(1 if foot else 0, min(8, eighths))]


def _stretched(values: tuple[float | None, ...], columns: int) -> list[float | None]:
    """Return values over so many columns: each shows the value of its place."""
    if not values:
        return [None] * columns
    return [values[index * len(values) // columns] for index in range(columns)]
