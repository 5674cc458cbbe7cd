"""Charts in cells: a pure description in, filled areas, curves and frames out."""

from __future__ import annotations

from vllm_watch.tui.charts.panel import draw_frame, draw_panel, scale_tops
from vllm_watch.tui.charts.spec import Band, ChartSpec, Limit, Line, Mark, Zone

__all__ = [
    "Band",
    "ChartSpec",
    "Limit",
    "Line",
    "Mark",
    "Zone",
    "draw_frame",
    "draw_panel",
    "scale_tops",
]
