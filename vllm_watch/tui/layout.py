"""How the screen is divided at a size: pure, so that every size can be tested."""

from __future__ import annotations

from dataclasses import dataclass

CHARTS = ("throughput", "kv", "requests", "prefix")
"""Charts in the order of their importance."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Rows and columns of the parts between the glance line and the key line."""

    fleet_rows: int
    fleet_columns: int | None
    """Width of the fleet when the charts stand beside it, None when below."""
    charts: tuple[str, ...]
    """Charts shown."""
    chart_columns: int
    bottom_rows: int
    """Rows of findings (and events); 0: all that is left."""
    events: bool
    ruled: bool
    """Whether thin lines divide the parts."""
    pages: int
    """How many pages the tab key turns."""


def layout_for(width: int, height: int, rows: int, page: int = 0) -> Layout:
    """Divide a screen of `width` × `height` for a fleet of `rows` rows.

    Where not all four charts fit, the tab key turns pages: the next charts take the place of
    the first (or, on a strip without charts, of the findings).
    """
    if width < 58 or height < 20:
        return _strip(width, height, rows, page)
    if width >= 160 and height >= 36:
        bottom = max(10, height // 4)
        return Layout(height - bottom - 4, 82, CHARTS, 2, bottom, True, True, 1)
    if height >= 32:
        bottom = 11 if height >= 38 else 9
        fleet = min(max(rows, 1) + 1, max(5, height // 4))
        return Layout(fleet, None, CHARTS, 2, bottom, width >= 100, True, 1)
    bottom = 4 if height < 28 else 6
    fleet = min(max(rows, 1) + 1, max(4, height // 4))
    shown = (CHARTS[:2], CHARTS[2:])[page % 2]
    return Layout(fleet, None, shown, 2, bottom, width >= 100, False, 2)


def _strip(width: int, height: int, rows: int, page: int) -> Layout:
    """Divide a strip: the fleet and the worst findings, charts one a page."""
    headed = int(width >= 58 and height > 5)
    page %= 5
    least = 2 if height >= 8 else 0
    if page:
        least = max(least, min(6, height - 4))
    fleet = max(1, min(max(rows, 1) + headed, height - 2 - least))
    shown = (CHARTS[page - 1],) if page else ()
    return Layout(fleet, None, shown, 1, 0, False, False, 5)
