from __future__ import annotations

import math
import subprocess
import sys
import threading
import time as clock
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from vllm_watch.core.ticks import (
    axis_label,
    clock_ticks,
    decimals_for,
    round_top,
    span_ticks,
    value_text,
)
from vllm_watch.tui.charts import Band, ChartSpec, Limit, Line, Mark, draw_chart
from vllm_watch.tui.charts.scale import scale_above, scale_to
from vllm_watch.tui.charts.thin import nearest, newest, thin

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC).timestamp()
"""A round hour, so that ticks are easy to name."""
PALETTE = {
    "primary": "#7dcfff",
    "secondary": "#e0af68",
    "limit": "#565f89",
    "band": "#1f2a3a",
    "axis": "#3b4261",
    "text": "#c0caf5",
    "muted": "#737aa2",
    "warning": "#e0af68",
    "critical": "#f7768e",
    "cursor": "#ffffff",
    "background": "#16161e",
}
LIMIT = "⠁⠂⠄⡀"
"""What limits are drawn with."""
NAN, INF = math.nan, math.inf


def line(
    values: list[float | None],
    name: str = "generation",
    role: str = "primary",
    marker: str = "line",
    step: float = 10.0,
    gap_s: float = 35.0,
) -> Line:
    times = [START + index * step for index in range(len(values))]
    return Line(name, times, values, role, marker, gap_s)


def spec(*lines: Line, minutes: float = 15.0, **changes: object) -> ChartSpec:
    chart = ChartSpec("Throughput", "tok/s", START, START + minutes * 60, lines)
    return replace(chart, **changes)  # type: ignore[arg-type]


def rows(chart: ChartSpec, width: int = 60, height: int = 12) -> list[str]:
    return draw_chart(chart, width, height, PALETTE, UTC).plain.split("\n")


def braille(text: str) -> int:
    """Count the cells of lines; single dots are limits, or the end of a line."""
    return sum(0x2800 < ord(glyph) < 0x2900 and glyph not in LIMIT for glyph in text)


RISING: list[float | None] = [50.0 * index for index in range(91)]
FULL = spec(
    line(RISING),
    line([800.0 + index % 7 for index in range(91)], "prompt", "secondary", "dots"),
    band=Band(1000, 2000),
    limits=(Limit(4000, "max_num_seqs"),),
    marks=(Mark(START + 450, "warning", "▲"), Mark(START + 900, "critical", "✖")),
)


# ---------------------------------------------------------------- ticks


@pytest.mark.parametrize(
    ("peak", "top"),
    [
        (0, 1), (-3, 1), (NAN, 1), (INF, 1), (0.04, 0.05), (0.9, 1), (1, 1.2), (7, 8),
        (27, 30), (100, 120), (128, 150), (512, 600), (4620, 5000), (18_734, 20_000),
        (9_900, 12_000), (1e300, 1.2e300),
    ],
)  # fmt: skip
def test_the_top_is_round_and_above_the_data(peak: float, top: float) -> None:
    assert round_top(peak) == pytest.approx(top)


@pytest.mark.parametrize(
    ("row_count", "ticks"),
    [
        (1, {0: 0, 1: 100}),
        (4, {0: 0, 2: 50, 4: 100}),
        (7, {0: 0, 3: 50, 6: 100}),
        (8, {0: 0, 2: 25, 4: 50, 6: 75, 8: 100}),
        (10, {0: 0, 2: 20, 4: 40, 6: 60, 8: 80, 10: 100}),
        (13, {0: 0, 3: 25, 6: 50, 9: 75, 12: 100}),
    ],
)
def test_per_cent_ticks_are_whole_rows_apart(row_count: int, ticks: dict[int, float]) -> None:
    assert dict(scale_to(100, row_count).ticks()) == ticks


@given(
    st.floats(min_value=1e-6, max_value=1e12, allow_nan=False),
    st.integers(min_value=4, max_value=60),
)
def test_a_scale_holds_its_peak_and_wastes_less_than_half(peak: float, row_count: int) -> None:
    scale = scale_above(peak, row_count)
    height = peak / scale.step * scale.step_rows
    assert row_count / 2 < height <= row_count * (1 + 1e-6)
    ticks = scale.ticks()
    assert 3 <= len(ticks) <= 6
    assert [rows for rows, _ in ticks] == [scale.step_rows * n for n in range(len(ticks))]
    mantissa = float(f"{scale.step:.6e}".partition("e")[0])
    assert mantissa in ((1, 2, 2.5, 5) if len(ticks) > 3 else (1, 1.5, 2, 2.5, 3, 4, 5))


@pytest.mark.parametrize(
    ("row_count", "ticks"), [(1, [0, 600]), (2, [0, 600]), (3, [0, 400]), (4, [0, 300, 600])]
)
def test_the_lowest_charts_have_one_tick_not_far_above_the_data(
    row_count: int, ticks: list[float]
) -> None:
    assert [value for _, value in scale_above(512, row_count).ticks()][: len(ticks)] == ticks


@given(st.floats(min_value=0.5, max_value=9e8), st.integers(min_value=4, max_value=60))
def test_every_tick_can_be_written_exactly(peak: float, row_count: int) -> None:
    units = {"k": 1e3, "M": 1e6, "G": 1e9}
    for _, value in scale_above(peak, row_count).ticks():
        label = axis_label(value)
        factor = units.get(label[-1], 1.0)
        assert float(label.rstrip("kMG")) * factor == pytest.approx(value), label


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (0, "0"), (0.5, "0.5"), (0.25, "0.25"), (0.005, ".005"), (2.5, "2.5"), (100, "100"),
        (512, "512"), (1000, "1k"), (1024, "1024"), (1500, "1.5k"), (20_000, "20k"),
        (150_000, "150k"), (2_500_000, "2.5M"), (12_345, "12k"), (1e300, "huge"),
    ],
)  # fmt: skip
def test_axis_labels_are_short(value: float, label: str) -> None:
    assert axis_label(value) == label


@pytest.mark.parametrize("exponent", range(-12, 30))
def test_axis_labels_fit_the_gutter(exponent: int) -> None:
    for mantissa in (1, 1.2, 1.5, 2.5, 3.333333, 7.5, 9.99999):
        assert len(axis_label(mantissa * 10.0**exponent)) <= 4


@pytest.mark.parametrize(
    ("values", "decimals", "text"),
    [
        ([4620.4], 0, "4,620"),
        ([27.04, 3.0], 1, "27.0"),
        ([1.0, 128.0], 0, "1"),
        ([0.123], 2, "0.12"),
        ([-0.001, 5.5], 1, "0.0"),
        ([], 0, ""),
    ],
)
def test_values_have_thousands_and_steady_decimals(
    values: list[float], decimals: int, text: str
) -> None:
    assert decimals_for(values) == decimals
    assert not values or value_text(values[0], decimals) == text


@pytest.mark.parametrize(
    ("minutes", "columns", "labels"),
    [
        (15, 60, ["09:00", "09:05", "09:10", "09:15"]),
        (60, 55, ["09:00", "09:10", "09:20", "09:30", "09:40", "09:50", "10:00"]),
        (2, 60, ["09:00:00", "09:00:30", "09:01:00", "09:01:30", "09:02:00"]),
        (4, 120, ["09:00:00", "09:00:30", "09:01:00", "09:01:30", "09:02:00", "09:02:30",
                  "09:03:00", "09:03:30", "09:04:00"]),
        (36 * 60, 60, ["Nov 23 12:00", "Nov 24 00:00", "Nov 24 12:00"]),
        (5 * 1440, 60, ["Nov 24", "Nov 25", "Nov 26", "Nov 27", "Nov 28"]),
        (0, 60, []),
        (NAN, 60, []),
        (INF, 60, []),
    ],
)  # fmt: skip
def test_clock_ticks_are_round_and_have_room(
    minutes: float, columns: int, labels: list[str]
) -> None:
    ticks = clock_ticks(START, START + minutes * 60, columns, UTC)
    assert [tick.label for tick in ticks] == labels


@pytest.mark.parametrize(
    ("end", "columns", "labels"),
    [
        (200, 70, ["30 s", "1 m", "1 m 30", "2 m", "2 m 30", "3 m"]),
        (3 * 3600, 60, ["30 m", "1 h", "1 h 30", "2 h", "2 h 30", "3 h"]),
        (3 * 86400, 40, ["1 d", "2 d", "3 d"]),
        (0, 60, []),
        (100, 0, []),
    ],
)  # fmt: skip
def test_lengths_of_time_are_round(end: float, columns: int, labels: list[str]) -> None:
    assert [tick.label for tick in span_ticks(end, columns)] == labels


def test_where_a_new_day_begins_its_date_stands() -> None:
    evening = datetime(2026, 11, 23, 22, 0, tzinfo=UTC).timestamp()
    labels = [tick.label for tick in clock_ticks(evening, evening + 4 * 3600, 60, UTC)]
    assert labels == ["22:00", "23:00", "Nov 24", "01:00", "02:00"]
    midnight = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
    assert clock_ticks(midnight, midnight + 4 * 3600, 60, UTC)[0].label == "00:00"


def test_clock_ticks_follow_the_zone_and_its_changes() -> None:
    kolkata = clock_ticks(START, START + 7200, 60, ZoneInfo("Asia/Kolkata"))
    assert [tick.label for tick in kolkata] == [
        "14:40",
        "15:00",
        "15:20",
        "15:40",
        "16:00",
        "16:20",
    ]
    berlin = ZoneInfo("Europe/Berlin")
    night = datetime(2026, 10, 25, 0, 0, tzinfo=berlin).timestamp()
    ticks = clock_ticks(night, night + 10 * 3600, 60, berlin)
    assert [tick.label for tick in ticks] == ["00:00", "02:00", "04:00", "06:00", "08:00"]
    assert ticks[2].time - ticks[1].time in (2 * 3600, 3 * 3600)


def test_a_time_beyond_the_calendar_has_no_ticks() -> None:
    assert clock_ticks(1e17, 1e17 + 900, 60, UTC) == ()


# ---------------------------------------------------------------- thinning


def test_thinning_keeps_the_extremes_within_two_points_per_column() -> None:
    times = [float(index) for index in range(10_000)]
    values: list[float | None] = [math.sin(index / 300) for index in range(10_000)]
    values[1234], values[7777] = 99.0, -99.0
    (run,) = thin(times, values, 0, 10_000, 80, 5)
    drawn = [value for _, value in run]
    assert (max(drawn), min(drawn)) == (99.0, -99.0)
    assert [time for time, _ in run] == sorted(time for time, _ in run)
    for column in range(80):
        assert sum(column * 125 <= time < (column + 1) * 125 for time, _ in run) <= 2


GAPS: list[tuple[str, list[float], list[float | None], list[list[float]]]] = [
    ("connected", [0, 10, 20], [1.0, 2.0, 3.0], [[1, 2, 3]]),
    ("a gap in time", [0, 10, 60, 70], [1.0, 2.0, 3.0, 4.0], [[1, 2], [3, 4]]),
    ("none", [0, 10, 20, 30], [1.0, None, 3.0, 4.0], [[1], [3, 4]]),
    ("nan", [0, 10, 20], [1.0, NAN, 3.0], [[1], [3]]),
    ("inf", [0, 10, 20], [1.0, INF, -INF], [[1]]),
    ("none at both ends", [0, 10, 20], [None, 2.0, None], [[2]]),
    ("nothing known", [0, 10], [None, NAN], []),
    ("more times than values", [0, 10, 20], [1.0], [[1]]),
    ("a time that is no time", [0, NAN, 20], [1.0, 2.0, 3.0], [[1, 3]]),
    ("nothing", [], [], []),
]


@pytest.mark.parametrize(
    ("times", "values", "runs"), [case[1:] for case in GAPS], ids=[case[0] for case in GAPS]
)
@pytest.mark.parametrize("columns", [2, 100])
def test_runs_break_at_gaps_and_unknown_values(
    times: list[float], values: list[float | None], runs: list[list[float]], columns: int
) -> None:
    found = thin(times, values, 0, 100, columns, 25)
    if columns == 100:
        assert [[value for _, value in run] for run in found] == runs
    assert all(math.isfinite(value) for run in found for _, value in run)


def test_a_column_of_many_samples_breaks_at_an_unknown_one() -> None:
    values: list[float | None] = [1.0, 5.0, None, 3.0, 9.0, 2.0]
    found = thin([0, 1, 2, 3, 4, 5], values, 0, 100, 1, 25)
    assert found == [[(0, 1.0)], [(4, 9.0)]]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (5, 15, [[(5, 5.0), (10, 10.0), (15, 15.0)]]),
        (12, 18, [[(12, 12.0), (18, 18.0)]]),
        (-50, -10, []),
        (50, 60, []),
        (60, 50, []),
        (NAN, 10, []),
        (-INF, 10, []),
    ],
)
def test_a_line_is_cut_at_the_window(
    start: float, end: float, expected: list[list[tuple[float, float]]]
) -> None:
    assert thin([0, 10, 20], [0.0, 10.0, 20.0], start, end, 10, 25) == expected


def test_a_line_across_a_gap_is_not_cut_at_the_window() -> None:
    assert thin([0, 100], [0.0, 10.0], 40, 60, 10, 25) == []


@pytest.mark.parametrize(
    ("cursor", "within", "expected"),
    [(10, 5, (10, 2.0)), (12, 5, (10, 2.0)), (16, 5, None), (24, 5, None), (27, 5, (30, 4.0)),
     (99, 5, None), (-3, 5, (0, 1.0)), (NAN, 5, None)],
)  # fmt: skip
def test_the_nearest_known_sample(
    cursor: float, within: float, expected: tuple[float, float] | None
) -> None:
    assert nearest([0, 10, 20, 30], [1.0, 2.0, None, 4.0], cursor, within) == expected


def test_the_newest_known_sample_lies_in_the_window() -> None:
    times, values = [0.0, 10.0, 20.0, 30.0], [1.0, 2.0, None, 4.0]
    assert newest(times, values, 0, 100) == (30, 4.0)
    assert newest(times, values, 0, 29) == (10, 2.0)
    assert newest(times, values, 15, 29) is None


# ---------------------------------------------------------------- sizes

SIZES = [(width, height) for width in (0, 1, 5, 19, 20, 33, 40, 60, 100, 260)
         for height in (0, 1, 2, 3, 4, 5, 8, 12, 70)]  # fmt: skip


@pytest.mark.parametrize("chart", [FULL, spec(), replace(FULL, cursor=START + 451)])
def test_every_size_is_exact(chart: ChartSpec) -> None:
    for width, height in SIZES:
        text = draw_chart(chart, width, height, PALETTE, UTC)
        lines = text.plain.split("\n")
        assert len(lines) == max(1, height)
        wanted = width if height else 0
        assert {cell_len(each) for each in lines} == {wanted}, (width, height)
        assert text.no_wrap


def test_a_chart_may_be_larger_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "10")
    plot = rows(spec(line([90.0] * 91), y_max=100), 200, 40)[1:-2]
    assert max(braille(each) for each in plot) >= 190


@pytest.mark.parametrize("height", [4, 5, 8])
def test_the_smallest_charts_still_have_axis_and_clock(height: int) -> None:
    lines = rows(FULL, 20, height)
    assert lines[-2].startswith("   0┼")
    assert "09:" in lines[-1]


# ---------------------------------------------------------------- what is drawn


def test_the_picture_has_labels_marks_and_clock_in_their_places() -> None:
    lines = rows(FULL, 65, 12)
    axis, labels = lines[-2], lines[-1]
    assert axis.startswith("   0┼")
    assert axis[5 + 30] == "▲"
    assert axis[-1] == "✖"
    for column, label in ((5, "09:00"), (25, "09:05"), (45, "09:10")):
        assert axis[column] == "┬" or braille(axis[column])
        assert labels[column - 2 : column + 3] == label
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
def test_the_kv_chart_holds_together(height: int) -> None:
    """Band, limit and curve of values that were worked out by hand for every height."""
    chart = spec(line([99.0] * 91, ""), y_max=100.0, band=Band(30, 70), limits=(Limit(80, "high"),))
    text = draw_chart(chart, 60, height, PALETTE, UTC)
    lines = text.plain.split("\n")
    places = labelled(lines)
    axis, hundred = places[0.0], places[100.0]
    (drawn,) = rows_drawn(lines)
    assert drawn == hundred

    def place(value: float) -> float:
        """Where a value lies, in rows from the top; the middle of row n is n + 0.5."""
        return axis + 0.5 - value / 100 * (axis - hundred)

    edges = tinted(text, 60, 20)
    shared = int(place(70)) == int(place(80))  # the limit's dots take the row
    assert edges[0] == pytest.approx(place(70), abs=0.5 if shared else 1 / 16 + 1e-9)
    assert edges[1] == pytest.approx(place(30), abs=1 / 16 + 1e-9)
    limits = [row for row, each in enumerate(lines) if "high 80" in each]
    assert len(limits) == 1
    assert abs(limits[0] + 0.5 - place(80)) <= 0.5
    assert any("healthy 30–70" in each for each in lines) == (height > 6)


def tinted(text: Text, width: int, column: int) -> tuple[float, float]:
    """Return where the band begins and ends in one column, in rows from the top."""
    top, bottom = math.inf, -math.inf
    for row, each in enumerate(text.plain.split("\n")):
        at = row * (width + 1) + column
        style = " ".join(str(span.style) for span in text.spans if span.start <= at < span.end)
        eighths = max(0, " ▁▂▃▄▅▆▇█".find(each[column]))
        if "on #1f2a3a" in style:
            top, bottom = min(top, row), max(bottom, row + 1)
        elif "reverse #1f2a3a" in style:
            top, bottom = min(top, row), max(bottom, row + 1 - eighths / 8)
        elif "#1f2a3a" in style:
            top, bottom = min(top, row + 1 - eighths / 8), max(bottom, row + 1)
    return top, bottom


@pytest.mark.parametrize("height", range(6, 21))
def test_zero_lies_on_the_axis_and_next_to_it_nothing_does(height: int) -> None:
    for marker in ("line", "dots"):
        lines = rows(spec(line([0.0] * 91, marker=marker), line([900.0] * 91, "b")), 60, height)
        assert lines[-2].startswith("   0┼")
        assert braille(lines[-2]) >= 35
        assert braille(lines[-3]) == 0


def test_nothing_is_tinted_but_the_band() -> None:
    text = draw_chart(replace(FULL, band=None), 60, 12, PALETTE, UTC)
    assert not any(" on " in f" {span.style}" for span in text.spans)


def test_the_worst_mark_is_seen_where_several_fall_together() -> None:
    marks = tuple(
        Mark(START + 450 + n, role, glyph)
        for n, (role, glyph) in enumerate([("critical", "✖"), ("note", "↻"), ("warning", "▲")])
    )
    axis = rows(spec(line(RISING), marks=marks), 65, 12)[-2]
    assert "✖" in axis
    assert "▲" not in axis
    outside = (Mark(START - 1, "critical", "✖"), Mark(NAN, "critical", "✖"))
    assert "✖" not in rows(spec(line(RISING), marks=outside), 65, 12)[-2]


@pytest.mark.parametrize("apart", [0, 1, 2, 3])
def test_marks_do_not_touch(apart: int) -> None:
    column = 900 / 60
    marks = (
        Mark(START + 30 * column + 1, "critical", "✖"),
        Mark(START + (30 + apart) * column + 1, "warning", "▲"),
    )
    axis = rows(spec(line(RISING), marks=marks), 65, 12)[-2][5:]
    assert axis[30] == "✖"
    assert axis.find("▲") == {0: -1, 1: 32, 2: 32, 3: 33}[apart]


def test_the_key_says_what_the_marks_mean_where_there_is_room() -> None:
    marks = (
        Mark(START + 300, "warning", "▲", "alert begins"),
        Mark(START + 600, "critical", "✖", "alert begins"),
        Mark(START + 700, "note", "↻", "restart"),
        Mark(START - 9, "note", "•", "unseen"),
    )
    chart = spec(line([50.0] * 91, ""), title="KV cache", unit="%", marks=marks, key=True)
    assert rows(chart, 60, 9)[0].endswith("  ▲✖ alert begins  ↻ restart ")
    assert rows(chart, 40, 9)[0].endswith("  ▲✖ alert begins ")
    assert "alert" not in rows(chart, 30, 9)[0]
    assert "alert" not in rows(replace(chart, key=False), 60, 9)[0]
    assert "alert" not in rows(replace(chart, marks=()), 60, 9)[0]


def test_an_empty_chart_says_so_between_its_axes() -> None:
    lines = rows(spec(line([])), 60, 9)
    assert "no samples in this window" in "".join(lines)
    assert "–" in lines[0]
    assert lines[-2].startswith("   0┼")
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


@pytest.mark.parametrize(
    ("limit", "seen"), [(4500.0, True), (17_000.0, True), (19_000.0, False), (NAN, False)]
)
def test_a_limit_in_reach_stretches_the_scale(limit: float, seen: bool) -> None:
    lines = rows(spec(line(RISING), limits=(Limit(limit, ""),)), 60, 12)
    assert bool(set(LIMIT) & {each[7] for each in lines[1:-2]}) == seen


def test_limit_and_band_are_named_where_they_lie_behind_the_data() -> None:
    chart = spec(
        line([50.0] * 91, ""), y_max=100, band=Band(30, 70), limits=(Limit(80, "high"),), title="KV"
    )
    lines = rows(chart, 60, 15)
    limit = next(each for each in lines if each.startswith("  75┤") or " high 80 " in each)
    assert limit[5:].rstrip().endswith("high 80")
    assert set(limit[5:].replace("high 80", "").strip()) <= set(LIMIT) | {" "}
    assert any("healthy 30–70" in each for each in lines)
    assert max(map(braille, lines)) == 55


def test_a_limit_at_which_the_data_stays_is_named_beside_it() -> None:
    chart = spec(line([512.0] * 91), limits=(Limit(512, "max_num_seqs|limit"),))
    for width, words in ((60, "max_num_seqs 512"), (40, "limit 512")):
        lines = rows(chart, width, 12)
        drawn = next(row for row, each in enumerate(lines[1:-2], 1) if braille(each))
        named = next(row for row, each in enumerate(lines) if words in each)
        assert abs(named - drawn) == 1
        assert braille(lines[drawn]) >= width - 6


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
    text = draw_chart(replace(FULL, cursor=START + 60), 60, 12, {}, UTC)
    assert all(span.style for span in text.spans)
    assert all(getattr(span.style, "color", None) is None for span in text.spans)


# ---------------------------------------------------------------- title


def test_the_title_names_the_series_and_their_newest_values() -> None:
    rates: list[float | None] = [1.0, *[4620.0] * 6]
    prompts: list[float | None] = [1.0, *[812.0] * 6]
    chart = spec(line(rates), line(prompts, "prompt", "secondary", "dots"), minutes=1)
    title = rows(chart, 80, 9)[0]
    assert title.rstrip() == " Throughput tok/s  ─ generation 4,620  ╌ prompt 812"


def test_values_after_which_nothing_came_are_called_the_last_ones() -> None:
    old, new = line([4620.0]), line([812.0] * 91, "prompt", "secondary", "dots")
    assert " Throughput tok/s  last  ─ generation 4,620" in rows(spec(old), 80, 9)[0]
    assert "last" not in rows(spec(old, new), 80, 9)[0]
    assert "last" not in rows(replace(spec(old), cursor=START + 1), 80, 9)[0]
    assert rows(spec(old), 26, 9)[0].rstrip() == " Throughput last 4620"


def test_the_last_values_of_an_ended_server_are_called_so() -> None:
    ended = line([4620.0] * 61, "generation|gen"), line([812.0] * 61, "prompt", "secondary", "dots")
    chart = replace(spec(*ended, minutes=10.1), over=True)
    titles = {width: rows(chart, width, 9)[0].strip() for width in (80, 60, 40, 30)}
    assert titles == {
        80: "Throughput tok/s  last  ─ generation 4,620  ╌ prompt 812",
        60: "Throughput tok/s  last  ─ generation 4,620  ╌ prompt 812",
        40: "Throughput last ─ gen 4620 ╌ prompt 812",
        30: "Throughput last ─ gen ╌ pro",
    }
    assert "last" not in rows(replace(chart, over=False), 80, 9)[0]


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
    titles = [rows(ended, width, 9)[0].rstrip() for width in (40, 30, 24, 20)]
    assert titles == [
        " Prefix cache hits tok/s  last  9.2",
        " Prefix cache hits  last  9.2",
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
        " Throughput ─ gen 4620 ╌ prompt 812",
        " Throughput ─ gen 4620 ╌ prom 812",
        " Throughput ─ gen 4620 ╌ pro 812",
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


# ---------------------------------------------------------------- safety and speed

POISON = """
import math
from datetime import UTC
from vllm_watch.tui.charts import Band, ChartSpec, Limit, Line, Mark, draw_chart
nan, inf = math.nan, math.inf
bad = [1.0, nan, None, inf, -inf, 1e308, -1e308, 5.0, nan, 2.0]
for values in (bad, [nan] * 10, [None] * 10, bad * 50):
    times = [float(n) for n in range(len(values))]
    for each in (times, [nan] * len(times), [inf] * len(times), times[::-1]):
        lines = (Line("a", each, values, "primary", "line", 3.0),
                 Line("b", each, values, "secondary", "dots", nan))
        for odd in (nan, inf, -inf, 5.0):
            for start, end in ((0.0, 10.0), (odd, 10.0), (0.0, odd), (10.0, 0.0), (1e300, 1e308)):
                chart = ChartSpec("t", "u", start, end, lines, Band(odd, odd + 1),
                    (Limit(odd, "l"),), (Mark(odd, "critical", "x"),), odd, odd)
                for size in ((40, 8), (20, 4)):
                    draw_chart(chart, *size, {}, UTC)
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
        "c.draw_chart(c.ChartSpec('t', '', 0.0, 9.0, (l,)), 40, 9, {}, UTC);"
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


@pytest.mark.parametrize(("samples", "budget_s"), [(360, 1.0), (100_000, 2.0)])
def test_drawing_is_quick(samples: int, budget_s: float) -> None:
    """Generous bounds: the machine may be busy; the benchmark measures."""
    series = line([float(n * 37 % 1000) for n in range(samples)], step=900 / samples)
    rows(spec(series))
    began = clock.perf_counter()
    for _ in range(4):
        rows(spec(series))
    assert clock.perf_counter() - began < budget_s
