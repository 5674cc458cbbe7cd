from __future__ import annotations

from dataclasses import replace

import pytest

from tests.logs import stats_by_hand
from tests.tui.screens import monitor_of, view_at
from tests.tui.test_widgets import PALETTE
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.multiples import small_charts


@pytest.fixture(scope="module")
def view() -> ScreenView:
    monitor = monitor_of("h100_saturated_then_killed", "h100_optimised")
    return view_at(monitor, "08:57:00")


def drawn(view: ScreenView, width: int = 90, height: int = 12) -> list[str]:
    return [line.plain for line in small_charts(view, width, height, PALETTE)]


def test_all_servers_stand_below_each_other_on_one_scale(view: ScreenView) -> None:
    lines = drawn(view)
    assert "ALL SERVERS" in lines[1]
    assert len(lines) == 2 + 2 * 2
    dead, busy = (next(line for line in lines if f":{port}" in line) for port in (8003, 8001))
    newest = [
        float(row["generation_tps"])
        for row in stats_by_hand("h100_optimised")
        if row["time"] <= "2026-11-23T08:57:00+00:00"  # type: ignore[operator]
    ][-1]
    assert f" {newest / 1000:.1f}k " in busy
    assert " – " in dead
    # The dead server made at most 2,006 tok/s: on the scale of the other it is flat.
    assert set(dead[10:74]) <= set(" ▁▂▃▄")
    assert "█" in "".join(lines)


def test_a_tall_block_stands_where_the_rate_was_high() -> None:
    monitor = monitor_of("h100_saturated_then_killed", "h100_optimised")
    view = view_at(monitor, "08:57:00")
    spark = tuple([None] * 20 + [0.0] * 20 + [100.0] * 20)
    rows = tuple(replace(row, spark=spark) for row in view.rows)
    lines = drawn(replace(view, rows=rows), 86, 12)
    # 60 columns, one for each step; 100 on a scale that ends at 120: 13 of 16 eighths.
    upper, lower = [line[10:70].ljust(60) for line in lines[2:4]]
    assert lower == " " * 20 + "▁" * 20 + "█" * 20
    assert upper == " " * 40 + "▅" * 20


def test_there_are_none_where_there_is_no_room_or_nothing_to_compare(view: ScreenView) -> None:
    assert drawn(view, 90, 5) == []
    assert drawn(view, 39, 12) == []
    assert drawn(replace(view, rows=view.rows[:1])) == []
    assert drawn(replace(view, rows=())) == []


@pytest.mark.parametrize("width", [40, 57, 90, 200])
@pytest.mark.parametrize("height", [6, 7, 13, 40])
def test_they_are_never_larger_than_their_room_and_tell_what_is_left_out(
    view: ScreenView, width: int, height: int
) -> None:
    many = replace(view, rows=view.rows * 8)
    lines = drawn(many, width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    missing = 16 - sum(":800" in line for line in lines)
    assert any(f"+{missing} more" in line for line in lines) == bool(missing)
