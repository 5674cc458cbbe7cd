"""How the screen is divided at a size: pure, so that every size can be tested."""

from __future__ import annotations

from vllm_watch.core.dataclass import dataclass

WIDE, WIDE_ROWS = 160, 36
"""From this size on, three charts are side by side, and the server's card is below."""
LARGE, LARGE_ROWS = 100, 32
"""From this size on four charts and the events have room."""
STRIP, STRIP_ROWS = 58, 20
"""Below this size, charts need the whole screen."""
PAIR = 76
"""From this width on two charts are side by side."""
JUDGED_ROWS = 12
"""From this height on, the verdict has a line."""
CARD_ROWS = 17
"""Rows for the whole card of a server; a start-up gets the room beyond."""
HERO_ROWS, SMALL_HERO_ROWS = 8, 5
"""Rows of the figures of a single server."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The parts between the top line and the key line, from top to bottom."""

    fleet: int
    """Rows of the table, or of the figures that replace it."""
    charts: tuple[str, ...] = ()
    """Charts shown; they use the remaining room."""
    chart_columns: int = 1
    below: int = 0
    """Rows of the panes below the charts, 0: all that remain."""
    panes: tuple[str, ...] = ("findings",)
    """Panes side by side: findings, events, card."""
    verdict: bool = True
    framed: bool = True
    """Whether the panes below have rules around them."""
    hero: bool = False
    """Whether figures replace the table."""
    startup: bool = False
    """Whether the start-up replaces the charts."""
    pages: int = 1
    """Number of pages that the tab key cycles through."""


def layout_for(
    width: int,
    height: int,
    rows: int,
    page: int = 0,
    *,
    charts: tuple[str, ...],
    full: bool = False,
    alone: bool = False,
    startup_rows: int = 0,
) -> Layout:
    """Divide a screen of `width` × `height` for a fleet of `rows` rows.

    `full` gives the charts' room to the findings; `alone`: there is only one server. `charts` are
    those of the selected one; the tab key shows those that have no room. If they would be empty,
    its start-up replaces them, which needs `startup_rows`.
    """
    strip = width < STRIP or height < STRIP_ROWS
    fleet = max(1, rows) + 1
    if full:
        fleet = min(fleet - (width < STRIP), max(2, height // 4))
        beside = ("findings", "events") if width >= LARGE else ("findings",)
        return Layout(fleet, panes=beside, verdict=height >= JUDGED_ROWS, framed=not strip)
    if strip:
        return _strip(width, height, fleet - 1, page, charts)
    large = height >= LARGE_ROWS
    hero = HERO_ROWS if large else SMALL_HERO_ROWS
    fleet = hero if alone else min(fleet, max(5, height // 4))
    across = 3 if width >= WIDE and height >= WIDE_ROWS else 2 if width >= PAIR else 1
    count = across * (2 if large else 1)
    panes = ("findings", "events", "card")[: across if width >= LARGE else 1]
    below = _rows_below(height, across, large=large)
    if startup_rows:  # what is left without its top, verdict and keys
        below = max(below, min(CARD_ROWS, height - 3 - fleet - startup_rows))
    framed = below >= 7
    if startup_rows:
        return Layout(fleet, (), 1, below, panes, framed=framed, hero=alone, startup=True)
    shown, pages = _turned(page, count, charts)
    across = min(across, len(shown))
    return Layout(fleet, shown, across, below, panes, framed=framed, hero=alone, pages=pages)


def _rows_below(height: int, across: int, *, large: bool) -> int:
    """Return the rows of the panes below the charts, of which `across` are side by side."""
    if across == 3:
        return max(11, height // 4)
    if large:
        return 10 if height < 44 else height // 4
    return 5 if height < 28 else 8


def _turned(page: int, count: int, charts: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
    """Return the charts of a page and the number of pages.

    On the last page, the first charts fill the remaining room.
    """
    if len(charts) <= count:
        return charts, 1
    pages = -(-len(charts) // count)
    first = page % pages * count
    return tuple(charts[(first + offset) % len(charts)] for offset in range(count)), pages


def _strip(width: int, height: int, rows: int, page: int, charts: tuple[str, ...]) -> Layout:
    """Divide a strip: the fleet and the worst findings, one chart per page."""
    headed = int(width >= STRIP and height > 5)
    page %= len(charts) + 1
    verdict = height >= JUDGED_ROWS
    least = 6 if page else 2
    fleet = max(1, min(max(rows, 1) + headed, height - 2 - verdict - min(least, height // 2)))
    shown = (charts[page - 1],) if page else ()
    return Layout(
        fleet,
        shown,
        panes=() if page else ("findings",),
        verdict=verdict,
        framed=False,
        pages=len(charts) + 1,
    )
