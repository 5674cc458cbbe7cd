"""The fleet's columns: which fit a width, and how each cell is drawn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from rich.cells import cell_len
from rich.text import Text

from vllm_watch.config import HealthSettings
from vllm_watch.tui import figures
from vllm_watch.tui.rows import Row
from vllm_watch.tui.widgets.bars import kv_bar, mark_cell, sparkline
from vllm_watch.tui.widgets.glance import SHAPE_ROLES
from vllm_watch.tui.widgets.pane import fitted


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    key: str
    header: str
    width: int
    right: bool = False
    """Numbers stand at the right edge."""


_WIDE = (
    Column("name", "SERVER", 27),
    Column("state", "STATE", 9),
    Column("gen", "GEN tok/s", 9, right=True),
    Column("spark", "", 12),
    Column("load", "RUN/WAIT", 10, right=True),
    Column("kv", "KV CACHE", 22),
    Column("hits", "HITS", 6, right=True),
    Column("each", "/REQ", 6, right=True),
    Column("age", "AGE", 5, right=True),
)
_MIDDLE = (
    Column("name", "SERVER", 13),
    Column("state", "STATE", 9),
    Column("gen", "GEN tok/s", 9, right=True),
    Column("spark", "", 9),
    Column("load", "RUN/WAIT", 9, right=True),
    Column("kv", "KV", 15),
    Column("age", "AGE", 4, right=True),
)
_SAME_MODEL = (
    Column("port", "SERVER", 9),
    Column("state", "STATE", 9),
    *_MIDDLE[2:3],
    Column("spark", "", 10),
    _MIDDLE[4],
    Column("kv", "KV", 18),
    _MIDDLE[6],
)
"""The same where all servers have one model: the head names it, the rows their ports."""
_NARROW = (
    Column("port", "SERVER", 7),
    Column("gen", "tok/s", 7, right=True),
    Column("spark", "", 5),
    Column("load", "RUN/WAIT", 8, right=True),
    Column("pct", "KV", 5, right=True),
)
_LAYOUTS = ((118, _WIDE), (78, _MIDDLE), (0, _NARROW))
_SPARK_LEAST = 6
"""Cells that the sparkline keeps when names need its room."""
_SPARK_HEADED = 9
"""Cells in which its head says that each has a scale of its own."""
_KV_SCALED = 18
"""Cells in which the head of the KV bar has room for its numbers."""
KV_PERCENT = 6
"""Cells of the figure behind the KV bar."""
LEFT = 3
"""Cells for the cursor and the shape."""


def columns_for(width: int, rows: Sequence[Row] = ()) -> list[Column]:
    """Return the columns for a width, stretched to fill it.

    Names go first: a server that cannot be told from its neighbour is worth less than the shape
    of a curve. The sparkline takes what they leave. A model that all have is named once.
    """
    columns = list(next(columns for least, columns in _LAYOUTS if width >= least))
    model = _same_model(rows)
    if model and tuple(columns) == _MIDDLE:
        columns = list(_SAME_MODEL)
        both = columns[0].width + 1 + columns[1].width
        if cell_len(model) <= both:  # states are words, and need no head
            columns[0] = replace(columns[0], header=model)
            columns[1] = replace(columns[1], header="")
    used = LEFT + sum(column.width + 1 for column in columns)
    spare = max(0, width - used)
    cells = {column.key: column.width for column in columns}
    if "name" not in cells:
        cells["spark"] += min(spare // 2 if "state" not in cells else spare, 60)
    else:
        missing = max(0, max(map(_name_cells, rows), default=0) - cells["name"])
        more = min(missing, spare + cells["spark"] - _SPARK_LEAST)
        cells["name"] += more
        cells["spark"] += min(spare - more, 60)
        marks = min(_KV_SCALED - cells["kv"], cells["spark"] - _SPARK_HEADED)
        if marks > 0:
            cells["kv"] += marks
            cells["spark"] -= marks
    return [Column(each.key, each.header, cells[each.key], each.right) for each in columns]


def _same_model(rows: Sequence[Row]) -> str:
    """Return the model that all servers have, empty where they differ or one has no port."""
    models = {row.model for row in rows}
    return models.pop() if len(models) == 1 and all(row.port for row in rows) else ""


def _common_start(models: Collection[str]) -> str:
    """Return whole words with which all models begin, so that the rest tells them apart."""
    if len(models) < 2:
        return ""
    first, last = min(models), max(models)  # what these share, all between them share
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    ends = [n for n, (sign, _) in enumerate(alike, 1) if sign in "-_/. "]
    return first[: ends[-1]] if ends else ""


def _name_cells(row: Row) -> int:
    """Return the cells of a row's whole name: model and port as they are drawn, or the name."""
    if row.engine is not None:
        return 0
    number = row.name.partition(" (")[2]  # a second server of the same name
    tail = f" {row.port} ({number}" if number else f" {row.port}"
    return cell_len(row.model + tail if row.port else row.name)


def header(
    columns: list[Column], span: str, palette: dict[str, str], health: HealthSettings
) -> Text:
    """Return the head of the table; the sparkline is headed by the window it shows."""
    line, place = Text(" " * LEFT), LEFT
    for column in columns:
        title = column.header
        if column.key == "spark":
            forms = (f"last {span}, own scale", f"{span}, own scale", "own scale")
            title = next((form for form in forms if len(form) <= column.width), span)
        if column.key == "kv":
            title = _kv_header(column, health)
        over = line.cell_len - place  # a head before it went on into this column
        place += column.width + 1
        if column.right:
            title = title.rjust(column.width)
        line.append(title[over:].ljust(column.width - over) + " ")
    line.stylize(palette["muted"])
    return line


def _kv_header(column: Column, health: HealthSettings) -> str:
    """Return the head of the KV column: the numbers of its marks stand above them."""
    inside = column.width - KV_PERCENT - 2
    cells = list("KV".ljust(column.width))
    if inside < 10:
        return "".join(cells)
    for level in (health.kv_cache_low, health.kv_cache_healthy_high, health.kv_cache_high):
        mark, number = mark_cell(level, inside) + 1, f"{level * 100:.0f}"
        start = mark if level == health.kv_cache_high else mark + 1 - len(number)
        beyond = mark_cell(health.kv_cache_high, inside) + 1
        if level == health.kv_cache_healthy_high and start + len(number) >= beyond:
            continue  # the upper limit needs the cell
        cells[start : start + len(number)] = number
    return "".join(cells)


class CellDrawer:
    """Draws the cells of rows."""

    def __init__(
        self, palette: dict[str, str], health: HealthSettings, rows: Sequence[Row] = ()
    ) -> None:
        """Draw with these colours, bars with these ranges; names that differ among `rows`."""
        self._palette = palette
        self._common = _common_start({row.model for row in rows})
        self._health = health
        self._makers: Mapping[str, Callable[[Row, int], Text]] = {
            "name": self._name,
            "port": self._port,
            "state": self._state,
            "gen": lambda row, _: Text(figures.rate(row.values.generation_tps)),
            "spark": lambda row, width: sparkline(row.spark, width, palette["primary"]),
            "load": self._load,
            "kv": self._kv,
            "pct": lambda row, _: Text(figures.percent(row.values.kv_cache_usage)),
            "hits": lambda row, _: Text(figures.percent(row.values.prefix_cache_hit_rate)),
            "each": lambda row, _: Text(figures.rate(row.values.per_request)),
            "age": self._age,
        }

    def draw(self, row: Row, columns: list[Column]) -> Text:
        """Return the cells of a row behind its shape."""
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
        number = row.name.partition(" (")[2]  # a second server of the same name
        tail = row.port + (f" ({number}" if number else "")
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
        number = row.name.partition(" (")[2]  # a second server of the same name
        return Text(row.port + (f" ({number}" if number else ""), style="bold")

    def _state(self, row: Row, _: int) -> Text:
        role = row.severity if row.severity in ("warning", "critical") else "text"
        if row.state.name in ("idle", "stopped", "finished", "ready"):
            role = "muted"
        return Text(row.word, style=self._palette[role])

    def _load(self, row: Row, _: int) -> Text:
        values = row.values
        if values.running is None:
            return Text(figures.UNKNOWN)
        text = Text(f"{figures.count(values.running)}/")
        waiting = values.waiting or 0
        style = self._palette["warning"] if waiting >= self._health.waiting_warning else ""
        text.append(figures.count(values.waiting), style=style)
        return text

    def _kv(self, row: Row, width: int) -> Text:
        health = self._health
        percent = figures.percent(row.values.kv_cache_usage)
        bar = kv_bar(
            row.values.kv_cache_usage,
            width - KV_PERCENT,
            self._palette,
            (health.kv_cache_low, health.kv_cache_healthy_high),
            health.kv_cache_high,
            health.kv_cache_critical,
        )
        bar.append(percent.rjust(KV_PERCENT))
        return bar

    def _age(self, row: Row, _: int) -> Text:
        style = self._palette["warning"] if row.late else self._palette["muted"]
        return Text(figures.age(row.age), style=style)
