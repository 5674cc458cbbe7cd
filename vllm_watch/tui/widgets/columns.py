"""The columns of the fleet's table: which fit a width, and the head above them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from rich.cells import cell_len
from rich.text import Text

from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.states import OVER
from vllm_watch.core.ticks import clock_ticks
from vllm_watch.tui.rows import Row


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    key: str
    header: str
    width: int
    right: bool = False
    """Numbers are aligned right."""
    legend: str = ""
    """After the head, on the background of the band in the bars below it."""


_LEAD = (
    Column("name", "SERVER", 13),
    Column("state", "STATE", 9),
    Column("gen", "tok/s", 9, right=True),
)
_RIBBON = Column("ribbon", "", 10)
_LOAD = Column("load", "RUN/WAIT", 10, right=True)
_WIDE = (
    *_LEAD,
    _RIBBON,
    _LOAD,
    Column("kv", "KV", 17),
    Column("hits", "HITS", 6, right=True),
    Column("each", "tok/s/req", 9, right=True),
    Column("age", "AGE", 5, right=True),
)
_USUAL = (*_LEAD, _RIBBON, _LOAD, Column("kv", "KV", 15), Column("age", "AGE", 5, right=True))
_MIDDLE = (
    *_LEAD,
    _RIBBON,
    replace(_LOAD, width=9),
    Column("kv", "KV", 11),
    Column("age", "AGE", 4, right=True),
)
_NARROW = (
    Column("port", "SERVER", 7),
    Column("gen", "tok/s", 7, right=True),
    replace(_RIBBON, width=5),
    Column("load", "RUN/WAIT", 8, right=True),
    Column("pct", "KV", 5, right=True),
)
HEADED = 58
"""From this width on, the table has a head; below it each number has its unit."""
_TINY = (Column("port", "SERVER", 7), Column("said", "", 20))
_LAYOUTS = ((150, _WIDE), (100, _USUAL), (78, _MIDDLE), (HEADED, _NARROW), (0, _TINY))
TAIL = ("load", "kv", "pct", "hits", "each", "age", "said")
"""Columns after the ribbon: words replace them if there are no numbers."""
WORDY_STATES = ("starting", "ready", "no-stats", *sorted(OVER))
"""States without numbers: words replace them."""
_STRETCHED = ("ribbon", "said")
"""Columns that share the remaining width."""
_MOST_NAME = 40
_RIBBON_LEAST = 10
"""Cells that the ribbon keeps when names need its room."""
LEFT = 3
"""Cells for the cursor and the shape."""


def columns_for(width: int, rows: Sequence[Row]) -> list[Column]:
    """Return the columns for a width; the ribbon takes the remaining cells.

    A model that all servers share is shown once, in the head. Names that differ have priority over
    ribbons: servers must be distinguishable.
    """
    columns = list(next(columns for least, columns in _LAYOUTS if width >= least))
    ports = max((cell_len(port_text(row)) for row in rows), default=0)
    model = _same_model(rows)
    if columns[-1].key == "said":
        columns[0] = replace(columns[0], width=min(max(5, ports), width // 3))
    if columns[0].key == "name":
        if model:
            columns[0] = Column("port", "SERVER", max(9, ports))
            if cell_len(model) <= columns[0].width + 1 + columns[1].width:
                columns[0] = replace(columns[0], header=model)
                columns[1] = replace(columns[1], header="")
        else:
            wanted = min(_MOST_NAME, max(map(_name_cells, rows), default=0))
            spare = width - LEFT - sum(each.width + 1 for each in columns)
            more = max(0, min(wanted - columns[0].width, spare))
            columns[0] = replace(columns[0], width=columns[0].width + more)
    used = LEFT + sum(column.width + 1 for column in columns if column.key not in _STRETCHED)
    left = max(_RIBBON_LEAST if width >= 78 else 3, width - used - 1)
    return [replace(each, width=left) if each.key in _STRETCHED else each for each in columns]


def ribbon_place(columns: Sequence[Column]) -> tuple[int, int]:
    """Return where the ribbon begins in a line, and its width."""
    place = LEFT
    for column in columns:
        if column.key == "ribbon":
            return place, column.width
        place += column.width + 1
    return place, 0


def port_text(row: Row) -> str:
    """Return the port of a row, with the number of a second server of the same name."""
    number = row.name.partition(" (")[2]
    return row.port + (f" ({number}" if number else "")


def _same_model(rows: Sequence[Row]) -> str:
    """Return the model that all servers have, empty if they differ or one has no port."""
    models = {row.model for row in rows}
    return models.pop() if len(models) == 1 and all(row.port for row in rows) else ""


def _name_cells(row: Row) -> int:
    """Return the cells of a row's whole name: model and port as they are drawn, or the name."""
    if row.engine is not None:
        return 0
    tail = f" {port_text(row)}"
    return cell_len(row.model + tail if row.port else row.name)


def header(
    columns: Sequence[Column],
    window: tuple[float, float],
    tz: tzinfo,
    palette: dict[str, str],
    charts: tuple[float, float] | None = None,
    *,
    wordy: bool = False,
) -> Text:
    """Return the head of the table, with the time axis of the ribbons.

    The part of it that the charts below show has the background of the selected row. `wordy`: no
    row has numbers, so their columns have no heads.
    """
    line, place = Text(" " * LEFT), LEFT
    for column in columns:
        title = "" if wordy and column.key in ("gen", *TAIL) else column.header
        if column.key == "ribbon":
            title = time_axis(window, column.width, tz)
        over = max(0, line.cell_len - place)  # the head before it extends into this column
        place += column.width + 1
        if column.right:
            title = title.rjust(column.width)
        legend = f" {column.legend} " if column.legend and title else ""
        line.append(title[over:])
        line.append(legend, f"on {palette['band']}")
        line.append(" " * max(1, place - line.cell_len))
    line.stylize(palette["muted"])
    left, cells = ribbon_place(columns)
    if charts is not None and cells and window[1] > window[0]:
        share = cells / (window[1] - window[0])
        first, last = (left + round((time - window[0]) * share) for time in charts)
        first, last = max(left, first), min(left + cells, last)
        first, last = _around_words(line.plain, first), _around_words(line.plain, last)
        if last - first < cells:
            line.stylize(f"{palette['text']} on {palette['select']}", first, max(first + 1, last))
    return line


def _around_words(axis: str, edge: int) -> int:
    """Return an edge moved so that it cuts no clock time: before the one that it is in."""
    while 0 < edge < len(axis) and axis[edge] != " " and axis[edge - 1] != " ":
        edge -= 1
    return edge


def time_axis(window: tuple[float, float], width: int, tz: tzinfo) -> str:
    """Return round clock times, each next to a tick above the cell of its time."""
    cells = [" "] * width
    start, end = window
    free = 0
    for tick in clock_ticks(start, end, max(width // 2, min(width, 24)), tz):
        place = int((tick.time - start) / (end - start) * width)
        size = len(tick.label) + 1
        begin, text = place, f"╷{tick.label}"
        if place + size > width:  # at the right edge the time is before its tick
            begin, text = place + 1 - size, f"{tick.label}╷"
        if begin >= free and place < width:
            cells[begin : begin + size] = text
            free = begin + size + 1
    return "".join(cells)
