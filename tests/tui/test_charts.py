"""What a chart draws, at every size."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from tests.tui.chartsamples import (
    FULL,
    INF,
    NAN,
    PALETTE,
    RISING,
    START,
    drawn,
    line,
    rows,
    spec,
)
from vllm_watch.tui.charts import ChartSpec, Line, draw, draw_panel


def braille(text: str) -> int:
    """Count the cells of lines."""
    return sum(0x2800 < ord(glyph) < 0x2900 for glyph in text)


# ---------------------------------------------------------------- sizes

SIZES = [(width, height) for width in (0, 1, 5, 19, 20, 33, 40, 60, 100, 260)
         for height in (0, 1, 2, 3, 4, 5, 8, 12, 70)]  # fmt: skip


@pytest.mark.parametrize("chart", [FULL, spec(), replace(FULL, cursor=START + 451)])
def test_every_size_is_exact(chart: ChartSpec) -> None:
    for width, height in SIZES:
        canvas = draw_panel(chart, width, height, PALETTE, UTC)
        lines = canvas.text().plain.split("\n")
        assert len(lines) == max(1, height)
        wanted = width if height else 0
        assert {cell_len(each) for each in lines} == {wanted}, (width, height)
        assert len(canvas.strips()) == height


def test_a_chart_may_be_larger_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "10")
    plot = rows(spec(line([90.0] * 91), y_max=100), 200, 40)[1:-2]
    assert max(braille(each) for each in plot) >= 190


@pytest.mark.parametrize("height", [4, 5, 8])
def test_the_smallest_charts_still_have_axis_and_clock(height: int) -> None:
    lines = rows(FULL, 21, height)
    assert lines[-2].startswith("   0┼")
    assert "09:" in lines[-1]


# ---------------------------------------------------------------- what is drawn


def test_the_picture_has_labels_and_clock_in_their_places() -> None:
    lines = rows(FULL, 65, 12)
    axis, clocks = lines[-2], lines[-1]
    assert axis.startswith("   0┼")
    for column, label in ((5, "09:00"), (25, "09:05"), (45, "09:10")):
        assert axis[column] == "┬" or braille(axis[column])
        assert clocks[column : column + 6] == f"┴{label}"
    assert [each[:4].strip() for each in lines[1:-2] if each[4] == "┤"] == ["4k", "3k", "2k", "1k"]
    assert all(each[4] in "┤│" for each in lines[1:-2])


def labelled(lines: list[str]) -> dict[float, int]:
    """Return the row of each label of the value axis, the axis' own as well."""
    found = {}
    for row, each in enumerate(lines[1:-1], 1):
        label = each[:4].strip()
        if label:
            found[float(label.replace("k", "e3"))] = row
    return found


def rows_drawn(lines: list[str]) -> set[int]:
    """Return the rows in which a line is drawn across at least half the chart."""
    return {row for row, each in enumerate(lines[1:-1], 1) if braille(each) > 25}


@pytest.mark.parametrize("height", range(6, 21))
def test_a_line_is_drawn_in_the_row_of_its_label(height: int) -> None:
    for top, peak in ((100.0, 99.9), (None, 2400.0), (None, 18_734.0)):
        first = rows(spec(line([peak] * 91), y_max=top), 60, height)
        places = labelled(first)
        assert len(places) >= (3 if height > 6 else 2), places
        gaps = [b - a for a, b in pairwise(sorted(places.values()))]
        assert len(set(gaps)) == 1
        steps = [b - a for a, b in pairwise(sorted(places))]
        assert steps == pytest.approx([steps[0]] * len(steps))
        for value, row in places.items():
            series = line([value] * 91), line([peak] * 91, "peak", "limit")
            lines = rows(spec(*series, y_max=top), 60, height)
            assert labelled(lines) == places
            assert row in rows_drawn(lines), (height, value)


@pytest.mark.parametrize("height", range(6, 21))
def test_zero_lies_on_the_axis_and_next_to_it_nothing_does(height: int) -> None:
    for marker in ("line", "dots"):
        lines = rows(spec(line([0.0] * 91, marker=marker), line([900.0] * 91, "b")), 60, height)
        assert lines[-2].startswith("   0┼")
        assert braille(lines[-2]) >= 35
        assert braille(lines[-3]) == 0


def test_an_empty_chart_says_so() -> None:
    lines = rows(spec(line([])), 60, 9)
    assert "no samples in this window" in "".join(lines)
    assert "–" in lines[0]
    assert braille("".join(lines)) == 0


@pytest.mark.parametrize("values", [[500.0], [None, 500.0, None], [0.0]])
def test_a_single_sample_can_be_seen(values: list[float | None]) -> None:
    lines = rows(spec(line(values)), 60, 9)
    assert braille("".join(lines[1:-1])) >= 1


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, 100.0, 1e9, 1e200, 1e308, -5.0])
def test_a_constant_is_one_flat_line(value: float) -> None:
    plot = rows(spec(line([value] * 91)), 60, 12)[1:-1]
    assert sum(braille(each) > 0 for each in plot) == 1
    assert max(braille(each) for each in plot) >= 54


def test_a_fixed_top_holds_what_lies_above_it_at_the_rim() -> None:
    lines = rows(spec(line([150.0] * 91), y_max=100), 60, 12)
    (row,) = [row for row, each in enumerate(lines) if each.startswith(" 100┤")]
    assert [braille(each) for each in lines[1:-1] if braille(each)] == [55]
    assert braille(lines[row]) == 55


@pytest.mark.parametrize("top", [NAN, INF, -1.0, 0.0])
def test_a_senseless_top_is_ignored(top: float) -> None:
    assert rows(spec(line(RISING), y_max=top)) == rows(spec(line(RISING)))


def test_a_gap_is_empty() -> None:
    values: list[float | None] = [100.0] * 30 + [None] * 30 + [100.0] * 31
    silent = Line("x", [START + n * 10 for n in range(91) if not 30 <= n < 60],
                  [100.0] * 61, "primary", "line", 35)  # fmt: skip
    for series in (line(values), silent):
        plot = rows(spec(series), 95, 12)[1:-2]
        columns = {index - 5 for each in plot for index, glyph in enumerate(each) if braille(glyph)}
        assert not columns & set(range(31, 59))
        assert set(range(29)) | set(range(61, 89)) <= columns


def test_series_differ_without_colour() -> None:
    first, second = (
        rows(spec(line([50.0] * 91, "x", "primary", marker)), 60, 12) for marker in ("line", "dots")
    )
    assert "─ x" in first[0]
    assert "╌ x" in second[0]
    assert "".join(first[1:]) != "".join(second[1:])
    (dashes,) = [each[5:] for each in second[1:-2] if braille(each)]
    (whole,) = [each[5:] for each in first[1:-2] if braille(each)]
    assert (braille(whole), braille(dashes)) == (55, 37)
    assert set(dashes.replace(" ", "")) == set(whole)


def test_a_dashed_line_stays_visible_on_every_slope() -> None:
    for values in ([0.0, 1000.0] * 45, [1000.0 - n * 11 for n in range(91)], RISING):
        plot = rows(spec(line(list(values), marker="dots")), 60, 12)[1:-1]
        columns = [index for index in range(5, 60) if any(braille(each[index]) for each in plot)]
        assert columns[0] == 5
        assert columns[-1] >= 58
        assert max(b - a for a, b in pairwise(columns)) <= 2


def test_an_empty_palette_takes_the_terminals_colours() -> None:
    text = drawn(replace(FULL, cursor=START + 60), 60, 12, {})
    assert all(span.style for span in text.spans)
    assert all(getattr(span.style, "color", None) is None for span in text.spans)


# ---------------------------------------------------------------- safety and speed

POISON = """
import math
from datetime import UTC
from vllm_watch.tui.charts import ChartSpec, Line
from vllm_watch.tui.charts.draw import draw_curves
nan, inf = math.nan, math.inf
bad = [1.0, nan, None, inf, -inf, 1e308, -1e308, 5.0, nan, 2.0]
for values in (bad, [nan] * 10, [None] * 10, bad * 50):
    times = [float(n) for n in range(len(values))]
    for each in (times, [nan] * len(times), [inf] * len(times), times[::-1]):
        lines = (Line("a", each, values, "primary", "line", 3.0),
                 Line("b", each, values, "secondary", "dots", nan))
        for odd in (nan, inf, -inf, 5.0):
            for start, end in ((0.0, 10.0), (odd, 10.0), (0.0, odd), (10.0, 0.0), (1e300, 1e308)):
                chart = ChartSpec("t", "u", start, end, lines, y_max=odd, cursor=odd)
                for size in ((40, 6), (20, 2)):
                    draw_curves(chart, *size, {}, UTC)
print("alive")
"""


def test_nothing_non_finite_reaches_plotext() -> None:
    done = subprocess.run(
        [sys.executable, "-c", POISON],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "alive", done.stderr[-2000:]
    assert done.returncode == 0


def test_plotext_is_loaded_only_to_draw() -> None:
    code = (
        "import sys, vllm_watch.tui.charts as c; assert 'plotext' not in sys.modules;"
        "from datetime import UTC; l = c.Line('a', [1.0], [1.0], 'primary', 'line', 9.0);"
        "c.draw_panel(c.ChartSpec('t', '', 0.0, 9.0, (l,)), 40, 9, {}, UTC);"
        "assert 'plotext' in sys.modules"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=60)


def test_threads_draw_the_same_picture() -> None:
    wanted = rows(FULL)
    seen: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: seen.extend(rows(FULL) for _ in range(5))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 20
    assert all(each == wanted for each in seen)


@pytest.mark.parametrize("samples", [360, 100_000])
def test_a_long_history_draws_no_more_points(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plotted: list[int] = []
    plot = draw._plot

    def counted(xs: list[float], *rest: Any) -> list[str]:
        plotted.append(len(xs))
        return plot(xs, *rest)

    monkeypatch.setattr(draw, "_plot", counted)
    rows(spec(line([float(n * 37 % 1000) for n in range(samples)], step=900 / samples)), width=60)
    # The lowest and the highest value of each column; the scale takes five of the columns.
    assert plotted == [2 * (60 - 5)]
