"""Tables of rows, and percentiles of several intervals together."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_watch.core.recorded import EngineRow, GpuRow, Latency, row_json, row_of
from vllm_watch.core.recordings import MOST_ROWS, Recording, Table, bound_of, latency_at, mixed


def test_rows_stand_in_time_order_and_lack_what_they_lack() -> None:
    table = Table()
    table.append(10.0, {"a": 1.0})
    table.append(30.0, {"b": 3.0})
    table.append(20.0, {"a": 2.0})
    assert list(table.times) == [10.0, 20.0, 30.0]
    assert table.values("a") == [1.0, 2.0, None]
    assert table.row(2) == {"b": 3.0}
    assert table.index_at(25.0) == 1
    assert table.index_at(5.0) is None


def test_a_bounded_recording_forgets_its_oldest_rows() -> None:
    recording = Recording(bounded=True)
    for n in range(MOST_ROWS + 1):
        recording.add(GpuRow(float(n), 0, power_w=100.0))
    table = recording.gpus[0]
    assert len(table) == MOST_ROWS + 1 - MOST_ROWS // 4
    assert table.times[-1] == MOST_ROWS


def test_the_logs_zone_moves_what_is_in_it() -> None:
    recording = Recording()
    recording.add(EngineRow(100.0, 0, running=1))
    recording.add(EngineRow(100.0, 0, latencies={"ttft_s": Latency(0.1, count=1)}, origin="line"))
    recording.add(GpuRow(100.0, 0, origin="table"))
    recording.shift(3600.0)
    assert recording.engines[0].times[0] == 100.0
    assert recording.lines[0].times[0] == recording.smi[0].times[0] == 3700.0


def test_exact_latencies_go_before_those_of_histograms() -> None:
    recording = Recording()
    recording.add(EngineRow(100.0, 0, latencies={"ttft_s": Latency(0.25, count=3)}))
    recording.add(EngineRow(101.0, 0, latencies={"ttft_s": Latency(0.21, count=3)}, origin="line"))
    (table,) = recording.latencies.values()
    assert latency_at(table, 0)["ttft_s"].p50 == 0.21


def test_one_interval_alone_is_itself() -> None:
    one = Latency(0.1, 0.4, 0.9, 0.15, 20)
    assert mixed([one, Latency()]) == one
    assert mixed([Latency()]) is None


def test_two_intervals_weigh_by_their_requests() -> None:
    fast, slow = Latency(0.1, 0.19, 0.2, 0.1, 900), Latency(10.0, 10.9, 11.0, 10.0, 100)
    both = mixed([fast, slow])
    assert both is not None
    assert both.count == 1000
    assert both.mean == pytest.approx(1.09)
    assert both.p50 is not None
    assert both.p50 < 0.2
    assert both.p95 is not None
    assert 9.0 < both.p95 < 11.0


latencies = st.builds(
    lambda values, count: Latency(values[0], values[1], values[2], None, count),
    st.lists(st.floats(0, 100), min_size=3, max_size=3).map(sorted),
    st.integers(1, 1000),
)


@given(st.lists(latencies, min_size=1, max_size=6))
def test_a_percentile_of_all_lies_among_those_of_each(each: list[Latency]) -> None:
    both = mixed(each)
    assert both is not None
    for part in ("p50", "p95", "p99"):
        values = [getattr(one, part) for one in each]
        assert min(values) - 1e-5 <= getattr(both, part) <= max(values) + 1e-5


def test_intervals_of_few_requests_have_the_median_of_all_of_them() -> None:
    """Forty intervals with one request each, from 1 to 40 s: the median is 20 s."""
    both = mixed([Latency(s, s, s, None, 1) for s in map(float, range(1, 41))])
    assert both is not None
    assert both.p50 == 20.0
    assert both.p95 == 38.0
    three = [Latency(s, s + 0.9, s + 0.98, None, 3) for s in map(float, range(1, 41))]
    together = mixed(three)
    assert together is not None
    assert together.p50 == pytest.approx(20.5, abs=0.6)


def test_the_rounding_of_sums_leads_no_percentile_outside() -> None:
    steep = Latency(0.0, 5.960464477539063e-08, 53.0, None, 1)
    both = mixed([steep, Latency(0.75, 1.0, 53.0, None, 1)])
    assert both is not None
    assert both.p99 == 53.0


def test_a_mean_bounds_a_percentile() -> None:
    assert bound_of(Latency(0.15, 0.285, 0.297, 0.001, 9), "p50") == pytest.approx(0.002)
    assert bound_of(Latency(0.15), "p50") is None


VALID = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "docs/schemas/recording.json").read_text())
)
numbers = st.none() | st.floats(0, 1e12)
engines = st.builds(
    EngineRow,
    st.floats(1.7e9, 1.9e9).map(lambda time: round(time, 3)),
    st.integers(0, 64),
    st.none() | st.integers(0, 999),
    st.none() | st.integers(0, 999),
    st.none() | st.floats(0, 1),
    st.just({"generated_tokens_total": 12_345}),
    st.just({"stop": 3}),
    st.just({"ttft_s": Latency(0.1, 0.2, 0.3, 0.12, 4)}),
)
gpus = st.builds(
    GpuRow,
    st.floats(1.7e9, 1.9e9).map(lambda time: round(time, 3)),
    st.integers(0, 64),
    st.none() | st.text(),
    st.none() | st.text(),
    *[numbers] * 6,
    st.just(("sw_power_cap",)),
)


@given(engines | gpus)
def test_a_row_is_read_as_it_was_written(row: EngineRow | GpuRow) -> None:
    VALID.validate(row_json(row))
    found = row_of(row_json(row))
    assert found is not None
    assert found.time == pytest.approx(row.time, abs=1e-3)
    assert row_json(found) == row_json(row)
