"""Ticks, labels and thinned lines of charts."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui.chartsamples import INF, NAN, START
from vllm_watch.core.ticks import (
    axis_label,
    clock_ticks,
    decimals_for,
    round_top,
    span_ticks,
    value_text,
)
from vllm_watch.tui.charts.scale import scale_above, scale_to
from vllm_watch.tui.charts.thin import nearest, newest, thin

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


def test_where_a_new_day_begins_its_date_is_shown() -> None:
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
