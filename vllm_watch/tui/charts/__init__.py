"""Charts as text: a pure description in, coloured lines of braille out."""

from __future__ import annotations

from vllm_watch.tui.charts.draw import draw_chart
from vllm_watch.tui.charts.spec import Band, ChartSpec, Limit, Line, Mark

__all__ = ["Band", "ChartSpec", "Limit", "Line", "Mark", "draw_chart"]
