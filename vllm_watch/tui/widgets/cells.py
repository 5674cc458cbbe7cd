"""The cells of the fleet's table: how each value of a row is drawn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import takewhile

from rich.cells import cell_len
from rich.text import Text

from vllm_watch.config import HealthSettings
from vllm_watch.core import figures
from vllm_watch.core.dataclass import replace
from vllm_watch.tui.rows import Row
from vllm_watch.tui.widgets.bars import kv_bar
from vllm_watch.tui.widgets.columns import Column, columns_for, port_text
from vllm_watch.tui.widgets.glance import SHAPE_ROLES
from vllm_watch.tui.widgets.pane import fitted

KV_PERCENT = 6
"""Cells of the figure after the KV bar."""


def _common_start(models: Collection[str]) -> str:
    """Return whole words with which all models begin, so that the rest distinguishes them."""
    if len(models) < 2:
        return ""
    first, last = min(models), max(models)  # what these two share, all names between them share
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    ends = [n for n, (sign, _) in enumerate(alike, 1) if sign in "-_/. "]
    return first[: ends[-1]] if ends else ""


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
        tail = port_text(row)
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
        return Text(port_text(row), style="bold")

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
