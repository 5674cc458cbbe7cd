"""Small drawings inside a line: sparklines, the KV bar with its healthy band, progress."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text

_STEPS = " ▁▂▃▄▅▆▇"
_FILL = "▆"


def sparkline(values: Sequence[float | None], width: int, style: str) -> Text:
    """Return values as a row of blocks; gaps stay empty, the highest fills its cell."""
    if width <= 0:
        return Text("")
    cells: list[float | None] = []
    for index in range(width):
        start = index * len(values) // width
        stop = max(start + 1, (index + 1) * len(values) // width)
        part = [value for value in values[start:stop] if value is not None]
        cells.append(max(part) if part else None)
    top = max((value for value in cells if value is not None), default=0.0)
    text = "".join(
        " " if value is None else "▁" if top <= 0 else _STEPS[1 + round(6 * value / top)]
        for value in cells
    )
    return Text(text, style=style)


def kv_bar(
    usage: float | None,
    width: int,
    palette: dict[str, str],
    band: tuple[float, float],
    limit: float,
    critical: float,
) -> Text:
    """Return the KV cache as a bar: fill, the band's edges ┊, the upper limit │.

    The fill is lower than its row, so that bars below each other stay apart, and takes the colour
    of the range that it ends in.
    """
    inside = max(1, width - 2)
    bar = Text()
    bar.append("▕", style=palette["faint"])
    cells = 0 if usage is None else round(min(1.0, usage) * inside)
    color = _fill_role(usage, band, limit, critical)
    edges = {
        mark_cell(band[0], inside): "┊",
        mark_cell(band[1], inside): "┊",
        mark_cell(limit, inside): "│",
    }
    low, high = mark_cell(band[0], inside), mark_cell(band[1], inside)
    for cell in range(inside):
        ground = palette["band"] if low <= cell < high else palette["panel"]
        edge = edges.get(cell, " ")
        if cell < cells:
            bar.append(_FILL, style=Style(color=palette[color], bgcolor=ground))
        elif cell == 0 and usage:
            bar.append("▏", style=Style(color=palette[color], bgcolor=ground))
        else:
            bar.append(edge, style=Style(color=palette["muted"], bgcolor=ground))
    bar.append("▏", style=palette["faint"])
    return bar


def mark_cell(share: float, width: int) -> int:
    """Return the cell of a bar in which a share of it ends."""
    return min(width - 1, int(share * width))


def _fill_role(
    usage: float | None, band: tuple[float, float], limit: float, critical: float
) -> str:
    if usage is None or usage < band[0]:
        return "primary"
    if usage >= critical:
        return "critical"
    if usage > limit:
        return "warning"
    return "good"


def progress_bar(share: float, width: int, palette: dict[str, str]) -> Text:
    """Return how far a start-up is."""
    inside = max(1, width - 2)
    filled = round(min(1.0, max(0.0, share)) * inside)
    bar = Text()
    bar.append("▕", style=palette["faint"])
    ground = palette["panel"]
    bar.append(_FILL * filled, style=Style(color=palette["note"], bgcolor=ground))
    bar.append(" " * (inside - filled), style=Style(bgcolor=ground))
    bar.append("▏", style=palette["faint"])
    return bar
