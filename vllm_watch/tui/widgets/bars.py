"""Small drawings inside a line: the KV bar with its healthy band, progress."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text

from vllm_watch.config import HealthSettings

_FILL = "▆"
_BAND_CELLS = 12
"""From this width on, the edges of the band have separate cells."""


def kv_bar(
    usage: float | None, width: int, palette: dict[str, str], health: HealthSettings
) -> Text:
    """Return the KV cache as a bar: its fill, the healthy band as background, the limit │.

    The fill is lower than its row, so that bars below each other are separate. It has the colour of
    the range that it ends in.
    """
    cells = max(1, width)
    bar = Text()
    filled = 0 if usage is None else round(min(1.0, usage) * cells)
    color = fill_role(usage, health)
    band = health.kv_cache_low, health.kv_cache_healthy_high
    low, high, limit = (mark_cell(share, cells) for share in (*band, health.kv_cache_high))
    edges = {low: "┊", high: "┊", limit: "│"} if cells >= _BAND_CELLS else {}
    for cell in range(cells):
        ground = palette["band"] if low <= cell < high else palette["panel"]
        if cell < filled:
            bar.append(_FILL, style=Style(color=palette[color], bgcolor=ground))
        elif cell == 0 and usage:
            bar.append("▖", style=Style(color=palette[color], bgcolor=ground))
        else:
            edge = edges.get(cell, " ")
            bar.append(edge, style=Style(color=palette["muted"], bgcolor=ground))
    return bar


def mark_cell(share: float, width: int) -> int:
    """Return the cell of a bar in which a share of it ends."""
    return min(width - 1, int(share * width))


def fill_role(usage: float | None, health: HealthSettings) -> str:
    """Return the role of a KV cache's colour: that of its range."""
    if usage is None or usage < health.kv_cache_low:
        return "low"
    if usage >= health.kv_cache_critical:
        return "critical"
    return "warning" if usage > health.kv_cache_high else "good"


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
