"""The fleet's columns: which fit a width, and how each cell is drawn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import tzinfo
from itertools import takewhile

from rich.cells import cell_len
from rich.text import Text

from vllm_watch.config import HealthSettings
from vllm_watch.core import figures
from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.states import OVER
from vllm_watch.core.ticks import clock_ticks
from vllm_watch.tui.rows import Row
from vllm_watch.tui.widgets.bars import kv_bar
from vllm_watch.tui.widgets.glance import SHAPE_ROLES
from vllm_watch.tui.widgets.pane import fitted


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
KV_PERCENT = 6
"""Cells of the figure after the KV bar."""
LEFT = 3
"""Cells for the cursor and the shape."""


def columns_for(width: int, rows: Sequence[Row]) -> list[Column]:
    """Return the columns for a width; the ribbon takes the remaining cells.

    A model that all servers share is shown once, in the head. Names that differ have priority over
    ribbons: servers must be distinguishable.
    """
    columns = list(next(columns for least, columns in _LAYOUTS if width >= least))
    ports = max((cell_len(_port_text(row)) for row in rows), default=0)
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


def _port_text(row: Row) -> str:
    number = row.name.partition(" (")[2]  # a second server of the same name
    return row.port + (f" ({number}" if number else "")


def _same_model(rows: Sequence[Row]) -> str:
    """Return the model that all servers have, empty if they differ or one has no port."""
    models = {row.model for row in rows}
    return models.pop() if len(models) == 1 and all(row.port for row in rows) else ""


def _common_start(models: Collection[str]) -> str:
    """Return whole words with which all models begin, so that the rest distinguishes them."""
    if len(models) < 2:
        return ""
    first, last = min(models), max(models)  # what these two share, all names between them share
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    ends = [n for n, (sign, _) in enumerate(alike, 1) if sign in "-_/. "]
    return first[: ends[-1]] if ends else ""


def _name_cells(row: Row) -> int:
    """Return the cells of a row's whole name: model and port as they are drawn, or the name."""
    if row.engine is not None:
        return 0
    tail = f" {_port_text(row)}"
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


class Table:
    """The columns for some rows in so many cells, their colours, and the distinguishing names."""

    def __init__(
        self, rows: Sequence[Row], width: int, palette: dict[str, str], health: HealthSettings
    ) -> None:
        """Divide `width` cells for `rows`; bars have the ranges of `health`."""
        self.width, self.palette = width, palette
        band = f"{health.kv_cache_low * 100:.0f}–{health.kv_cache_healthy_high * 100:.0f}"
        self.columns = [
            replace(column, legend=band) if column.key == "kv" else column
            for column in columns_for(width, rows)
        ]
        self._health = health
        self._common = _common_start({row.model for row in rows})

    def drawer(self, ribbon: Callable[[Row, int], Text]) -> CellDrawer:
        """Return the function that draws a row's cells; `ribbon` draws its ribbon in so many."""
        return CellDrawer(self.palette, self._health, self._common, ribbon)


class CellDrawer:
    """Draws the cells of rows."""

    def __init__(
        self,
        palette: dict[str, str],
        health: HealthSettings,
        common: str,
        ribbon: Callable[[Row, int], Text],
    ) -> None:
        """Draw with these colours and these ranges for bars.

        `common` is the beginning shared by all names, `ribbon` draws a row's in so many cells.
        """
        self._palette = palette
        self._common = common
        self._health = health
        self._makers: Mapping[str, Callable[[Row, int], Text]] = {
            "name": self._name,
            "port": self._port,
            "state": self._state,
            "gen": self._rate,
            "ribbon": ribbon,
            "load": self._load,
            "kv": self._kv,
            "pct": self._percent,
            "hits": lambda row, _: Text(figures.percent(row.values.prefix_cache_hit_rate)),
            "each": lambda row, _: Text(figures.rate(row.values.per_request)),
            "age": self._age,
            "said": self._said,
        }

    def draw(self, row: Row, columns: Sequence[Column]) -> Text:
        """Return the cells of a row after its shape."""
        line = Text()
        for column in columns:
            cell = self._makers[column.key](row, column.width)
            cell.truncate(column.width, overflow="ellipsis")
            blank = " " * (column.width - cell.cell_len)
            if column.right:
                line.append(blank)
            line.append_text(cell)
            line.append(" " if column.right else blank + " ")
        return line

    def name(self, row: Row, width: int, line: Text) -> None:
        """Append model and port of a row in exactly `width` cells."""
        text = self._name(row, width)
        line.append_text(text)
        line.append(" " * (width - text.cell_len))

    def shape(self, row: Row) -> Text:
        """Return the sign of a row's state."""
        if row.engine is not None:
            return Text("└", style=self._palette["faint"])
        return Text(row.shape, style=self._palette[SHAPE_ROLES[row.shape]])

    def _name(self, row: Row, width: int) -> Text:
        if row.engine is not None:
            return Text(f" {row.name}", style=self._palette["muted"])
        if not row.port:
            return Text(row.name)
        tail = _port_text(row)
        room = width - len(tail) - 1
        name = row.model
        if cell_len(name) > room and name.startswith(self._common):
            name = "…" + name[len(self._common) :] if self._common else name
        model = Text(fitted(name, min(room, cell_len(name))) if room > 1 else "")
        model.append(f" {tail}" if room > 1 else tail, style=f"bold {self._palette['text']}")
        return model

    def _port(self, row: Row, width: int) -> Text:
        if row.engine is not None:
            return Text(
                "all" if row.engine < 0 else f"eng {row.engine:03d}", self._palette["muted"]
            )
        if not row.port:
            return Text(row.name)
        return Text(_port_text(row), style="bold")

    def _state(self, row: Row, _: int) -> Text:
        role = row.severity if row.severity in ("warning", "critical") else "text"
        if row.state.name in ("idle", "stopped", "finished", "ready"):
            role = "muted"
        if row.state.name == "dead":
            role = "critical"
        return Text(row.word, style=self._palette[role])

    def _rate(self, row: Row, width: int) -> Text:
        """Return tokens per second; an idle server's are of the interval in which it still ran."""
        rate = figures.rate(row.values.generation_tps)
        if row.state.name != "idle":
            return Text(rate)
        past = f"was {rate}" if row.values.generation_tps else rate
        return Text(past if len(past) <= width else rate, self._palette["muted"])

    def _load(self, row: Row, _: int) -> Text:
        values = row.values
        if values.running is None:
            return Text(figures.UNKNOWN)
        text = Text(f"{figures.count(values.running)}/")
        waiting = values.waiting or 0
        style = self._palette["warning"] if waiting >= self._health.waiting_warning else ""
        text.append(figures.count(values.waiting), style=style)
        return text

    def _percent(self, row: Row, _: int) -> Text:
        return Text(figures.percent(row.values.kv_cache_usage))

    def _kv(self, row: Row, width: int) -> Text:
        percent = figures.percent(row.values.kv_cache_usage)
        cells = width - KV_PERCENT
        bar = kv_bar(row.values.kv_cache_usage, cells, self._palette, self._health)
        bar.append(percent.rjust(KV_PERCENT))
        return bar

    def _said(self, row: Row, width: int) -> Text:
        """Return the numbers with their units, the most important ones that fit."""
        values, health, muted = row.values, self._health, self._palette["muted"]
        waiting = values.waiting or 0
        parts = [(f"{figures.rate(values.generation_tps)} tok/s", "", 0)]
        if waiting:
            style = self._palette["warning"] if waiting >= health.waiting_warning else ""
            parts.append((f"{figures.count(waiting)} wait", style, 1))
        if values.running is not None:
            parts.append((f"{figures.count(values.running)} run", "", 3))
        if values.kv_cache_usage is not None:
            parts.append((f"KV {figures.percent(values.kv_cache_usage)}", "", 2))
        if row.state.name in ("idle", "ready"):
            parts[0] = (row.state.name, muted, 0)
        while len(parts) > 1 and sum(cell_len(text) + 1 for text, *_ in parts) > width + 1:
            parts.remove(max(parts, key=lambda part: part[2]))
        return Text(" ").join(Text(text, style=style) for text, style, _ in parts)

    def _age(self, row: Row, _: int) -> Text:
        style = self._palette["warning"] if row.late else self._palette["muted"]
        return Text(figures.age(row.age), style=style)
