"""How the screen is divided at a size: pure, so that every size can be tested."""

from __future__ import annotations

from vllm_watch.core.dataclass import dataclass

CHARTS = ("throughput", "kv", "requests", "pace", "prefix", "http")
"""Charts in the order of their importance; the tab key turns to those that have no room."""

WIDE, WIDE_ROWS = 160, 36
"""From this size on three charts stand side by side, and the server's card below."""
LARGE, LARGE_ROWS = 100, 32
"""From this size on four charts and the events have room."""
STRIP, STRIP_ROWS = 58, 20
"""Below this size there is no room for charts beside anything else."""
PAIR = 76
"""From this width on two charts stand side by side."""
JUDGED_ROWS = 12
"""From this height on the verdict has a line."""
HERO_ROWS, SMALL_HERO_ROWS = 8, 5
"""Rows of the figures of a server that is alone."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What stands below each other between the glance and the key line."""

    fleet: int
    """Rows of the table, or of the figures that stand in its place."""
    charts: tuple[str, ...] = ()
    """Charts shown; they take the room that is left."""
    chart_columns: int = 1
    below: int = 0
    """Rows of the panes below the charts, 0: all that is left."""
    panes: tuple[str, ...] = ("findings",)
    """Panes beside each other: findings, events, card."""
    verdict: bool = True
    framed: bool = True
    """Whether the panes below have rules around them."""
    hero: bool = False
    """Whether figures stand in place of the table."""
    story: bool = False
    """Whether the start-up stands in the charts' place."""
    pages: int = 1
    """How many pages the tab key turns."""


def layout_for(
    width: int,
    height: int,
    rows: int,
    page: int = 0,
    *,
    full: bool = False,
    alone: bool = False,
    bare: bool = False,
) -> Layout:
    """Divide a screen of `width` × `height` for a fleet of `rows` rows.

    `full` gives the charts' room to the findings; `alone`: there is but one server; `bare`: the
    charts of the selected one would be empty, its start-up takes their place.
    """
    strip = width < STRIP or height < STRIP_ROWS
    fleet = max(1, rows) + 1
    if full:
        fleet = min(fleet - (width < STRIP), max(2, height // 4))
        beside = ("findings", "events") if width >= LARGE else ("findings",)
        return Layout(fleet, panes=beside, verdict=height >= JUDGED_ROWS, framed=not strip)
    if strip:
        return _strip(width, height, fleet - 1, page)
    large = height >= LARGE_ROWS
    hero = HERO_ROWS if large else SMALL_HERO_ROWS
    fleet = hero if alone else min(fleet, max(5, height // 4))
    across = 3 if width >= WIDE and height >= WIDE_ROWS else 2 if width >= PAIR else 1
    count = across * (2 if large else 1)
    panes = ("findings", "events", "card")[: across if width >= LARGE else 1]
    if across == 3:
        below = max(11, height // 4)
    elif large:
        below = 10 if height < 44 else height // 4
    else:
        below = 5 if height < 28 else 8
    framed = below >= 7
    if bare:
        return Layout(fleet, (), 1, below, panes, framed=framed, hero=alone, story=True)
    pages = -(-len(CHARTS) // count)
    shown = _turned(page, count)
    return Layout(fleet, shown, across, below, panes, framed=framed, hero=alone, pages=pages)


def _turned(page: int, count: int) -> tuple[str, ...]:
    """Return the charts of a page: `count` of them, those after the last one are the first."""
    pages = -(-len(CHARTS) // count)
    first = page % pages * count
    return tuple(CHARTS[(first + offset) % len(CHARTS)] for offset in range(count))


def _strip(width: int, height: int, rows: int, page: int) -> Layout:
    """Divide a strip: the fleet and the worst findings, charts one a page."""
    headed = int(width >= STRIP and height > 5)
    page %= len(CHARTS) + 1
    verdict = height >= JUDGED_ROWS
    least = 6 if page else 2
    fleet = max(1, min(max(rows, 1) + headed, height - 2 - verdict - min(least, height // 2)))
    shown = (CHARTS[page - 1],) if page else ()
    return Layout(
        fleet,
        shown,
        panes=() if page else ("findings",),
        verdict=verdict,
        framed=False,
        pages=len(CHARTS) + 1,
    )
