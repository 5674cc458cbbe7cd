"""Thinned series compared with plain lists: sums, counts and extremes exact, size bounded."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.seriesfigures import figures_of
from vllm_watch.core.buckets import Buckets, Keep, Tier
from vllm_watch.core.run import Run
from vllm_watch.core.series import Series
from vllm_watch.core.tokens import run_tokens

SMALL = Keep(600.0, 40, (Tier(60.0, 6), Tier(300.0, 5), Tier(1_800.0, 4)))
"""Ten minutes in full, then a few buckets: a series of an hour goes through all tiers."""
NAMES = ("generation_tps", "kv_cache_usage", "waiting")

# Quarters: sums of them are exact in any order, so that equal means equal.
_values = st.none() | st.integers(-4_000, 4_000).map(lambda number: number / 4)
_sample = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, _values))


def filled(rows: Iterable[tuple[float, Mapping[str, float]]], keep: Keep | None = SMALL) -> Series:
    series = Series(keep)
    for time, values in rows:
        series.append(time, values)
    return series


@st.composite
def _rows(draw: st.DrawFn) -> list[tuple[float, dict[str, float]]]:
    """Return batches of samples: steps of seconds, sometimes a pause, sometimes a step back."""
    time, rows = 1_700_000_000.0, []
    for _ in range(draw(st.integers(0, 12))):
        step = draw(st.sampled_from([1.0, 10.0, 10.0, 37.0, 90.0]))
        time += draw(st.sampled_from([0.0, 0.0, 4_000.0, -300.0, -50_000.0]))
        for values in draw(st.lists(_sample, max_size=40)):
            time += step
            rows.append((time, {k: v for k, v in values.items() if v is not None}))
    return rows


@given(_rows())
@settings(max_examples=120)
def test_whole_series_figures_are_those_of_a_plain_list(
    rows: list[tuple[float, dict[str, float]]],
) -> None:
    series = filled(rows)
    for name in NAMES:
        plain = [values[name] for _, values in rows if name in values]
        figures = figures_of(series, name)
        assert figures.number == len(plain)
        assert figures.total == (sum(plain) if plain else None)
        assert figures.low == min(plain, default=None)
        assert figures.high == max(plain, default=None)


@given(_rows())
@settings(max_examples=120)
def test_points_stay_bounded_and_in_time_order(
    rows: list[tuple[float, dict[str, float]]],
) -> None:
    series = Series(SMALL)
    # 64 samples are always kept in full: they give the cadence.
    most = max(SMALL.full_samples, 64) + SMALL.slack + 6 + 5 + 4
    for time, values in rows:
        index = series.append(time, values)
        assert len(series) <= most
        assert 0 <= index < len(series)
    assert list(series.times) == sorted(series.times)
    assert all(len(column) == len(series) for column in series.columns.values())
    for index in range(len(series)):
        for name in NAMES:
            value, extremes = series.value(name, index), series.extremes(name, index)
            if value is None:
                assert extremes is None
            else:
                assert extremes is not None
                assert extremes[0] <= value <= extremes[1]


def test_tokens_of_a_thinned_run_are_those_of_the_whole_one() -> None:
    rows = [(1_700_000_000.0 + at * 10, {"generation_tps": float(at % 7)}) for at in range(2_000)]
    rows += [(time + 30_000, values) for time, values in rows[:500]]
    thinned, whole = Run(0), Run(0)
    thinned.series[0], whole.series[0] = filled(rows), filled(rows, None)
    thinned.engines, whole.engines = [0], [0]
    assert thinned.series[0].thinned > 10
    assert run_tokens(thinned) == run_tokens(whole)
    assert run_tokens(thinned)[0].generated == 10 * sum(v["generation_tps"] for _, v in rows)


def test_an_absent_value_stays_absent() -> None:
    rows: list[tuple[float, dict[str, float]]] = [(60.0 * i, {"waiting": 1.0}) for i in range(200)]
    rows[0] = (0.0, {})
    series = filled(rows)
    assert series.thinned
    assert series.value("waiting", 0) == 1.0  # of a bucket with one absent value: the others' mean
    assert series.value("running", 0) is None
    assert filled([(i * 60.0, {}) for i in range(200)]).total("waiting") is None


def test_the_newest_day_stays_as_it_is_and_older_days_become_minutes() -> None:
    day = 8_640
    keep = Keep()
    series = filled(((at * 10.0, {"running": float(at)}) for at in range(3 * day)), keep)
    full = len(series) - series.thinned
    assert day <= full <= day + keep.slack
    assert series.values("running", series.thinned, len(series)) == [
        float(at) for at in range(3 * day - full, 3 * day)
    ]
    ends = series.index_at(series.times[series.thinned] - 61.0)
    assert ends is not None
    minute = series.times[ends]
    assert minute % 60 == 0
    first = int(minute / 10)
    assert series.extremes("running", ends) == (first, first + 5)
    assert series.value("running", ends) == first + 2.5


def test_a_stray_stamp_from_the_future_makes_nothing_old() -> None:
    series = filled([(at * 10.0, {"running": 1.0}) for at in range(1_000)], Keep())
    series.append(1e9, {"running": 1.0})
    series.append(10_000.0, {"running": 1.0})
    assert series.thinned == 0


def test_a_late_sample_goes_to_its_bucket_and_its_companion_with_it() -> None:
    series = filled([(at * 10.0, {"waiting": 1.0}) for at in range(1_000)])
    assert series.thinned
    index = series.append(15.0, {"waiting": 9.0})
    series.amend({"kv_cache_usage": 0.5})
    assert index == 0
    assert figures_of(series, "waiting").number == 1_001
    assert series.extremes("waiting", 0) == (1.0, 9.0)
    assert series.value("kv_cache_usage", 0) == 0.5
    assert figures_of(series, "kv_cache_usage").number == 1


def test_a_moment_within_a_bucket_is_no_silence() -> None:
    series = filled([(at * 10.0, {"waiting": 1.0}) for at in range(1_000)])
    index = series.index_at(1_234.0)
    assert index is not None
    assert index < series.thinned
    assert series.written(index, 1_234.0) == 1_234.0
    assert series.written(index, math.inf) < series.times[index + 1]


def test_another_zone_moves_buckets_too() -> None:
    series = filled([(at * 10.0, {"waiting": 1.0}) for at in range(1_000)])
    before, end = series.times[0], series.written(0, math.inf)
    series.shift(3_600.0)
    assert series.times[0] == before + 3_600.0
    assert series.written(0, math.inf) == end + 3_600.0


@pytest.mark.parametrize("times", [5, 12])
def test_the_last_tier_doubles_its_width(times: int) -> None:
    buckets = Buckets(Keep(0.0, 1, (Tier(60.0, 4),)), frozenset())
    for at in range(2**times):
        buckets.add([at * 60.0], [("waiting", [float(at)])], [60.0])
    assert 2 <= len(buckets) <= 4
    width = buckets.begins[1] - buckets.begins[0]
    assert width == 60 * 2 ** (times - 2)
    assert sum(buckets.metrics["waiting"].counts) == 2**times
    assert max(buckets.metrics["waiting"].highs) == 2**times - 1


def test_coarsening_an_old_run_halves_it_and_keeps_its_figures() -> None:
    rows = [(at * 10.0, {"waiting": float(at)}) for at in range(3_000)]
    series = filled(rows)
    series.coarsen()
    assert series.thinned == len(series)
    before, figures = len(series), figures_of(series, "waiting")
    series.coarsen()
    assert len(series) == (before + 1) // 2
    assert figures_of(series, "waiting") == figures
    assert figures.high == 2_999
    assert series.cadence == 10.0


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(0, 99)), max_size=120),
    st.sets(st.integers(0, 120), max_size=5),
    st.booleans(),
)
def test_samples_put_in_as_columns_are_those_put_in_one_by_one(
    steps: list[tuple[float, int]], cuts: set[int], bounded: bool
) -> None:
    keep = Keep(300.0, 1_000, (Tier(60.0, 10), Tier(600.0, 10))) if bounded else None
    single, whole, time = Series(keep), Series(keep), 1e9
    times, columns = array("d"), {"running": array("d"), "generation_tps": array("d")}

    def put() -> None:
        whole.extend(times[:], {name: column[:] for name, column in columns.items()})
        for column in (times, *columns.values()):
            del column[:]

    for number, (step, running) in enumerate(steps):
        time += step - 3  # now and then back
        values = {"running": float(running)} if running % 7 else {"generation_tps": math.inf}
        single.append(time, values)
        times.append(time)
        for name, column in columns.items():
            column.append(values.get(name, math.nan))
        if number in cuts:
            put()
    put()
    for name in columns:
        assert figures_of(whole, name) == figures_of(single, name)
    if not bounded:
        assert whole.times == single.times
        every = range(len(steps))
        assert [whole.row(at) for at in every] == [single.row(at) for at in every]
