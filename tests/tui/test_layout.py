from __future__ import annotations

import itertools
from functools import partial

import pytest

from vllm_watch.tui import layout as layout_module
from vllm_watch.tui.layout import LARGE, Layout

CHARTS = ("throughput", "kv", "requests", "pace", "prefix", "http")
layout_for = partial(layout_module.layout_for, charts=CHARTS)

SIZES = [*itertools.product((1, 20, 40, 57, 58, 80, 99, 100, 120, 159, 160, 200, 250), (1, 5, 10, 12, 19, 20, 24, 28, 31, 32, 36, 38, 50, 70))]  # fmt: skip


def fixed_rows(layout: Layout) -> int:
    return 2 + layout.fleet + layout.verdict + (layout.below if layout.panes else 0)


@pytest.mark.parametrize("servers", [0, 1, 4, 50, 1000])
@pytest.mark.parametrize("full", [False, True])
def test_every_size_has_a_layout_with_room_for_the_fleet(servers: int, full: bool) -> None:
    for (width, height), page in itertools.product(SIZES, range(8)):
        layout = layout_for(width, height, servers, page, full=full, alone=servers == 1)
        assert layout.fleet >= 1
        assert (layout.below > 0) == bool(layout.charts and layout.panes), (width, height, layout)
        if height >= 5:
            assert fixed_rows(layout) < height, (width, height, layout)
        if height >= 20:
            rows = -(-len(layout.charts) // layout.chart_columns)
            assert height - fixed_rows(layout) >= 5 * rows, (width, height, layout)
        assert set(layout.charts) <= set(CHARTS)


@pytest.mark.parametrize(
    ("width", "height", "charts", "pages", "panes"),
    [(40, 10, 0, 7, 1), (80, 12, 0, 7, 1), (80, 24, 2, 3, 1), (120, 24, 2, 3, 2),
     (120, 40, 4, 2, 2), (200, 50, 6, 1, 3)],
)  # fmt: skip
def test_what_the_usual_sizes_show(
    width: int, height: int, charts: int, pages: int, panes: int
) -> None:
    layout = layout_for(width, height, 4)
    assert (len(layout.charts), layout.pages) == (charts, pages)
    assert layout.panes == ("findings", "events", "card")[:panes]
    assert layout.verdict == (height >= 12)


def test_events_are_shown_where_two_columns_have_room() -> None:
    assert "events" in layout_for(LARGE, 40, 4).panes
    assert "events" not in layout_for(80, 40, 4).panes


def test_a_server_that_is_alone_has_figures_where_there_is_room() -> None:
    assert layout_for(120, 40, 1, alone=True).hero
    assert layout_for(80, 24, 1, alone=True).hero
    assert not layout_for(40, 10, 1, alone=True).hero
    assert not layout_for(120, 40, 1, alone=True, full=True).hero


@pytest.mark.parametrize("size", [(40, 10), (80, 12), (80, 24), (120, 24), (120, 40), (200, 50)])
def test_pages_show_every_chart_and_come_round(size: tuple[int, int]) -> None:
    pages = layout_for(*size, 4).pages
    shown = [layout_for(*size, 4, page) for page in range(pages)]
    assert {chart for layout in shown for chart in layout.charts} == set(CHARTS)
    assert layout_for(*size, 4, pages) == shown[0]
    assert layout_for(*size, 4, -1) == shown[-1]


def test_nothing_moves_when_a_finding_comes_or_goes() -> None:
    assert layout_for(120, 40, 4) == layout_for(120, 40, 4)
