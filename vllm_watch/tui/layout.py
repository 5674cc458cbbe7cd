"""How the screen is divided at a size: pure, so that every size can be tested."""

from __future__ import annotations

from dataclasses import dataclass

CHARTS = ("throughput", "kv", "requests", "prefix")
"""Charts in the order of their importance."""
MORE_CHARTS = ("throughput", "kv", "requests", "prefix", "per_request", "http")
"""Charts where there is room for all of them."""

WIDE, WIDE_ROWS = 160, 36
"""From this size on charts stand beside the fleet."""
LARGE, LARGE_ROWS = 100, 32
"""From this size on all four charts and the events have room."""
STRIP, STRIP_ROWS = 58, 20
"""Below this size there is no room for charts beside anything else."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A grid of fleet, charts, findings and events between the glance and the key line."""

    rows: str
    """Heights of the grid's rows, as Textual writes them."""
    columns: str = ""
    """Widths of its two columns; empty: one column."""
    charts: tuple[str, ...] = CHARTS
    """Charts shown."""
    findings: bool = True
    events: bool = True
    ruled: bool = True
    """Whether thin lines divide the parts."""
    beside: bool = False
    """Whether the charts stand beside the fleet."""
    pages: int = 1
    """How many pages the tab key turns."""


def layout_for(width: int, height: int, rows: int, page: int = 0, *, full: bool = False) -> Layout:
    """Divide a screen of `width` × `height` for a fleet of `rows` rows.

    Where not all four charts fit, the tab key turns pages: the next charts take the place of
    the first (or, on a strip without charts, of the findings). `full` gives the charts' room to
    the findings.
    """
    fleet = max(1, rows) + 1
    if full:
        headed = int(width >= STRIP)
        fleet = min(fleet - 1 + headed, max(2, height // 4))
        if width >= LARGE:
            return Layout(f"{fleet} 1fr", "6fr 5fr", ())
        return Layout(f"{fleet} 1fr", charts=(), events=False, ruled=False)
    if width < STRIP or height < STRIP_ROWS:
        return _strip(width, height, fleet - 1, page)
    if width >= WIDE and height >= WIDE_ROWS:
        # Fleet, card and findings on the left, charts and events on the right.
        left = max(82, int(width * 0.45))
        below = max(10, height // 3)
        fleet = min(fleet, height - below - 12)
        more = MORE_CHARTS if height - below >= 33 else CHARTS
        return Layout(f"{fleet} 1fr {below}", f"{left} 1fr", more, beside=True)
    if height >= LARGE_ROWS:
        fleet = min(fleet, max(5, height // 4))
        below = 12 if height >= 38 else 10
        if width >= LARGE:
            return Layout(f"{fleet} 1fr {below}", "6fr 5fr")
        return Layout(f"{fleet} 1fr {below}", events=False)
    fleet = min(fleet, max(4, height // 4))
    shown = (CHARTS[:2], CHARTS[2:])[page % 2]
    below = 4 if height < 28 else 7
    if width >= LARGE:
        return Layout(f"{fleet} 1fr {below}", "6fr 5fr", shown, ruled=False, pages=2)
    return Layout(f"{fleet} 1fr {below}", charts=shown, events=False, ruled=False, pages=2)


def _strip(width: int, height: int, rows: int, page: int) -> Layout:
    """Divide a strip: the fleet and the worst findings, charts one a page."""
    headed = int(width >= STRIP and height > 5)
    page %= len(CHARTS) + 1
    least = 6 if page else 2
    fleet = max(1, min(max(rows, 1) + headed, height - 2 - min(least, height // 2)))
    shown = (CHARTS[page - 1],) if page else ()
    return Layout(
        f"{fleet} 1fr", charts=shown, findings=not page, events=False, ruled=False, pages=5
    )
