"""Titles of charts: names, values, the cursor."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from itertools import pairwise

import pytest
from rich.cells import cell_len

from tests.tui.chartsamples import FULL, INF, NAN, START, line, rows, spec
from vllm_watch.tui.charts import draw_panel

# ---------------------------------------------------------------- title


def test_the_title_names_the_series_and_their_newest_values() -> None:
    rates: list[float | None] = [1.0, *[4620.0] * 6]
    prompts: list[float | None] = [1.0, *[812.0] * 6]
    chart = spec(line(rates), line(prompts, "prompt", "secondary", "dots"), minutes=1)
    title = rows(chart, 80, 9)[0]
    assert title.rstrip() == " Throughput tok/s  ─ generation 4,620  ╌ prompt 812"


def test_values_after_which_nothing_came_are_called_the_last_ones() -> None:
    old, new = line([4620.0]), line([812.0] * 91, "prompt", "secondary", "dots")
    assert " Throughput tok/s  at 09:00:00  ─ generation 4,620" in rows(spec(old), 80, 9)[0]
    assert " at " not in rows(spec(old, new), 80, 9)[0]
    assert " at " not in rows(replace(spec(old), cursor=START + 1), 80, 9)[0]
    assert rows(spec(old), 26, 9)[0].rstrip() == " Throughput last 4.6k"


def test_the_last_values_of_an_ended_server_are_called_so() -> None:
    ended = line([4620.0] * 61, "generation|gen"), line([812.0] * 61, "prompt", "secondary", "dots")
    chart = replace(spec(*ended, minutes=10.1), over=True)
    titles = {width: rows(chart, width, 9)[0].strip() for width in (80, 60, 40, 30)}
    assert titles == {
        80: "Throughput tok/s  at 09:10:00  ─ generation 4,620  ╌ prompt 812",
        60: "Throughput tok/s  at 09:10:00  ─ gen 4,620  ╌ prompt 812",
        40: "Throughput last ─ gen 4.6k ╌ prompt 812",
        30: "Throughput last ─ gen ╌ pro",
    }
    assert " at " not in rows(replace(chart, over=False), 80, 9)[0]


@pytest.mark.parametrize(
    ("width", "title"),
    [
        (90, "Throughput :8003  at 09:10:00  ↑ generation 1,246  ↓ prompt 297 tok/s"),
        (60, "tok/s :8003  at 09:10:00  ↑ gen 1,246  ↓ prompt 297"),
        (50, "tok/s :8003  last  ↑ gen 1,246  ↓ prompt 297"),
        (36, "tok/s :8003 last ↑1,246 ↓297"),
    ],
)
def test_a_title_shows_the_unit_before_the_name(width: int, title: str) -> None:
    up = line([1246.0] * 61, "generation|gen", "primary", "up")
    down = line([297.0] * 61, "prompt", "secondary", "down")
    chart = replace(
        spec(up, down, minutes=10.1), over=True, kind="mirror", unit="tok/s",
        title="Throughput :8003|tok/s :8003|Throughput|tok/s",
    )  # fmt: skip
    drawn = draw_panel(chart, width, 10, {}, UTC).strips()[0].text
    assert drawn.strip("╭─╮ ") == title


@pytest.mark.parametrize("width", [*range(28, 48), 53, 60, 70, 80])
def test_every_line_is_named_at_every_width(width: int) -> None:
    for over in (False, True):
        for title in ("Throughput", ":8003 tok/s"):
            chart = replace(
                spec(
                    line([16_950.0] * 91, "generation|gen"),
                    line([99_321.0] * 91, "prompt", "secondary", "dots"),
                ),
                over=over, title=title,
            )  # fmt: skip
            head = rows(chart, width, 9)[0]
            assert "─ gen" in head
            assert "╌ pro" in head


def test_the_last_thing_that_goes_from_a_title_is_the_value_of_a_lone_line() -> None:
    ended = replace(spec(line([9.25] * 61, ""), minutes=10.1), title="Prefix cache hits", over=True)
    titles = [rows(ended, width, 9)[0].rstrip() for width in (50, 40, 24, 20)]
    assert titles == [
        " Prefix cache hits tok/s  at 09:10:00  9.2",
        " Prefix cache hits tok/s  last  9.2",
        " Prefix cache hits  9.2",
        " Prefix cache hits",
    ]


def test_a_nameless_series_shows_its_value_alone() -> None:
    title = rows(spec(line([27.0] * 91, ""), title="KV cache", unit="%"), 60, 9)[0]
    assert title.rstrip() == " KV cache %  27"


def test_a_cursor_shows_its_values_and_its_clock() -> None:
    chart = replace(FULL, cursor=START + 451)
    lines = rows(chart, 95, 12)
    assert "09:07:31" in lines[0]
    assert "generation 2,250" in lines[0]
    assert "prompt 803" in lines[0]
    assert sum(each[50] == "│" for each in lines[1:-2]) >= 7
    assert all(each[50] != " " for each in lines[1:-2])
    late = rows(replace(FULL, cursor=START + 9000), 95, 12)[0]
    assert "generation –" in late


@pytest.mark.parametrize("cursor", [NAN, INF, -INF, 1e18])
def test_a_senseless_cursor_shows_nothing(cursor: float) -> None:
    assert "generation –" in rows(replace(FULL, cursor=cursor), 95, 12)[0]


def test_a_narrow_title_drops_in_order() -> None:
    rates: list[float | None] = [4620.0] * 91
    prompts: list[float | None] = [812.0] * 91
    chart = spec(line(rates, "generation|gen"), line(prompts, "prompt", "secondary", "dots"))
    titles = [rows(chart, width, 4)[0] for width in range(80, 0, -1)]
    forms = [forms for forms, _ in _changes(titles)]
    assert forms[0] == " Throughput tok/s  ─ generation 4,620  ╌ prompt 812"
    assert forms == [
        " Throughput tok/s  ─ generation 4,620  ╌ prompt 812",
        " Throughput tok/s  ─ gen 4,620  ╌ prompt 812",
        " Throughput  ─ gen 4,620  ╌ prompt 812",
        " Throughput ─ gen 4,620 ╌ prompt 812",
        " Throughput ─ gen 4.6k ╌ prompt 812",
        " Throughput ─ gen 4.6k ╌ prom 812",
        " Throughput ─ gen 4.6k ╌ pro 812",
        " Throughput ─ gen ╌ prompt",
        " Throughput ─ gen ╌ pro",
        *(" Throughput"[:cells] for cells in range(11, 1, -1)),
        "",
    ]


def _changes(titles: list[str]) -> list[tuple[str, str]]:
    stripped = [title.rstrip() for title in titles]
    return [(stripped[0], ""), *((b, a) for a, b in pairwise(stripped) if a != b)]


@pytest.mark.parametrize("title", ["", "x" * 300, "two\nlines", "宽字符标题" * 9, "e\u0301"])
@pytest.mark.parametrize("cursor", [None, START + 60])
def test_no_title_overflows(title: str, cursor: float | None) -> None:
    chart = replace(FULL, title=title, unit=title, cursor=cursor)
    for width in (*range(1, 80), 200):
        lines = rows(chart, width, 5)
        assert [cell_len(each) for each in lines] == [width] * 5
