"""Servers of one model: the summary line above them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from rich.text import Text

from vllm_watch.core import figures
from vllm_watch.core.dataclass import dataclass
from vllm_watch.tui.rows import Row
from vllm_watch.tui.widgets.glance import SHAPE_ROLES

LEAST_SERVERS = 16
"""From this many servers on they are grouped."""
LEAST_EACH = 2
"""Fewest servers per model on average: a line above every row would be in the way."""


@dataclass(frozen=True, slots=True)
class Group:
    """The servers of one model."""

    first: int
    """Index of its first row."""
    model: str
    servers: int
    shapes: tuple[tuple[str, int], ...]
    """Signs of states and how many servers have each, the most frequent first."""
    tps: float | None
    running: float
    waiting: float
    kv: tuple[float, float] | None
    """The lowest and the highest KV cache usage."""
    folded: bool = False
    """Whether its line is all that is shown of it."""


def groups_of(rows: Sequence[Row]) -> tuple[Group, ...]:
    """Return the groups of a large fleet whose rows are sorted by model; else nothing."""
    if len(rows) < LEAST_SERVERS:
        return ()
    parts = [(model, list(members)) for model, members in groupby(rows, key=attrgetter("model"))]
    if len(parts) < 2 or len({model for model, _ in parts}) < len(parts):
        return ()
    servers = sum(row.engine is None for row in rows)
    if servers < LEAST_SERVERS or servers < LEAST_EACH * len(parts):
        return ()
    return tuple(_groups(parts))


def _groups(parts: Iterable[tuple[str, list[Row]]]) -> Iterator[Group]:
    first = 0
    for model, listed in parts:
        servers = [row for row in listed if row.engine is None]
        values = [row.values for row in servers]
        rates = [one.generation_tps for one in values if one.generation_tps is not None]
        usages = [one.kv_cache_usage for one in values if one.kv_cache_usage is not None]
        yield Group(
            first,
            model,
            len(servers),
            tuple(Counter(row.shape for row in servers).most_common()),
            sum(rates) if rates else None,
            sum(one.running or 0.0 for one in values),
            sum(one.waiting or 0.0 for one in values),
            (min(usages), max(usages)) if usages else None,
        )
        first += len(listed)


def group_line(group: Group, width: int, palette: dict[str, str], *, chosen: bool) -> Text:
    """Return the line above the servers of a model: how many, in which states, what they do."""
    line = Text("▌" if chosen else " ", style=palette["primary"], end="")
    line.append("▸ " if group.folded else "▾ ", style=palette["muted"])
    line.append(group.model, style=f"bold {palette['text']}")
    line.append(f"  {figures.counted(group.servers, 'server')}", style=palette["muted"])
    for shape, count in group.shapes:
        line.append(f"  {shape} {count}", style=palette[SHAPE_ROLES[shape]])
    facts = []
    if group.tps is not None:
        facts.append(f"{figures.short_rate(group.tps)} tok/s")
        facts.append(f"{group.running:,.0f} run, {group.waiting:,.0f} wait")
    if group.kv is not None:
        facts.append(f"KV {figures.percent_range(*group.kv)}")
    for fact in facts:
        if line.cell_len + len(fact) + 4 <= width:
            line.append(f"  {fact}", style=palette["muted"])
    line.truncate(max(0, width), overflow="ellipsis")
    if group.folded:
        line.append(" " * (width - line.cell_len))
    elif line.cell_len + 2 < width:
        line.append(" " + "─" * (width - line.cell_len - 2), style=palette["rule"])
    if chosen:
        line.stylize_before(f"on {palette['select']}", 1)
    return line
