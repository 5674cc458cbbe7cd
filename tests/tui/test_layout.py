from __future__ import annotations

import itertools

import pytest

from vllm_watch.tui.layout import CHARTS, LARGE, MORE_CHARTS, Layout, layout_for

SIZES = [*itertools.product((1, 20, 40, 57, 58, 80, 99, 100, 120, 159, 160, 200, 250), (1, 5, 10, 12, 19, 20, 24, 28, 31, 32, 36, 38, 50, 70))]  # fmt: skip


def fixed_rows(layout: Layout) -> int:
    return sum(int(row) for row in layout.rows.split() if row.isdigit())


@pytest.mark.parametrize("servers", [0, 1, 4, 50, 1000])
def test_every_size_has_a_layout_with_room_for_the_fleet(servers: int) -> None:
    for (width, height), page in itertools.product(SIZES, range(6)):
        layout = layout_for(width, height, servers, page)
        parts = layout.rows.split()
        assert parts.count("1fr") == 1
        assert all(int(part) >= 1 for part in parts if part != "1fr"), (width, height, layout)
        if height >= 5:
            assert fixed_rows(layout) < height - 2, (width, height, layout)
        assert set(layout.charts) <= set(MORE_CHARTS)


@pytest.mark.parametrize(
    ("width", "height", "charts", "pages"),
    [(40, 10, 0, 5), (80, 12, 0, 5), (80, 24, 2, 2), (120, 24, 2, 2), (120, 40, 4, 1), (200, 50, 6, 1)],
)  # fmt: skip
def test_what_the_usual_sizes_show(width: int, height: int, charts: int, pages: int) -> None:
    layout = layout_for(width, height, 4)
    assert (len(layout.charts), layout.pages) == (charts, pages)
    assert layout.findings
    assert layout.beside == (width >= 160)


def test_events_are_shown_where_two_columns_have_room() -> None:
    assert layout_for(LARGE, 40, 4).events
    assert not layout_for(80, 40, 4).events


@pytest.mark.parametrize("size", [(40, 10), (80, 12), (80, 24), (120, 24)])
def test_pages_show_every_chart_and_come_round(size: tuple[int, int]) -> None:
    pages = layout_for(*size, 4).pages
    shown = [layout_for(*size, 4, page) for page in range(pages)]
    assert {chart for layout in shown for chart in layout.charts} == set(CHARTS)
    assert layout_for(*size, 4, pages) == shown[0]
    assert layout_for(*size, 4, -1) == shown[-1]


def test_nothing_moves_when_a_finding_comes_or_goes() -> None:
    assert layout_for(120, 40, 4) == layout_for(120, 40, 4)
