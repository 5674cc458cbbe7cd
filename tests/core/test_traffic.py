"""Requests over time, although access lines carry none."""

from __future__ import annotations

from array import array

from vllm_watch.core.traffic import Traffic

STAMPS = array("d", [100.0, 110.0, 120.0, 300.0])


def test_requests_between_two_stamps_are_spread_over_them() -> None:
    traffic = Traffic()
    traffic.add({"200": 30, "404": 5, "500": 10}, 100.0, None)
    traffic.add({"200": 5}, 110.0, None)
    first, second = traffic.stretches(0.0, 1000.0, STAMPS)
    assert (first.begin, first.end) == (100.0, 110.0)
    assert (first.answered, first.refused, first.failed) == (3.0, 0.5, 1.0)
    assert (second.begin, second.end, second.answered) == (110.0, 120.0, 0.5)


def test_a_pause_is_no_part_of_the_stretch_before_it() -> None:
    traffic = Traffic()
    traffic.add({"200": 20}, 110.0, None)
    traffic.add({"200": 20}, 300.0, None)
    assert [stretch.end for stretch in traffic.stretches(0.0, 1000.0, STAMPS)] == [120.0, 310.0]


def test_requests_after_one_stamp_count_together() -> None:
    traffic = Traffic()
    traffic.add({"200": 10}, 100.0, None)
    traffic.add({"200": 10}, 100.0, None)
    (stretch,) = traffic.stretches(0.0, 1000.0, STAMPS)
    assert stretch.answered == 2.0


def test_live_they_end_where_they_arrived() -> None:
    traffic = Traffic()
    for second in range(1, 31):
        traffic.add({"200": 8, "503": 2}, 100.0, 100.0 + second)
    rate = traffic.rate(130.0, array("d", [100.0]))
    assert rate is not None
    assert (round(rate.answered, 6), round(rate.failed, 6)) == (8.0, 2.0)
    assert traffic.rate(1000.0, array("d", [100.0])) is None


def test_without_any_stamp_there_is_no_time() -> None:
    traffic = Traffic()
    traffic.add({"200": 1}, None, None)
    assert traffic.stretches(0.0, 1e12, array("d")) == []


def test_another_zone_moves_them() -> None:
    traffic = Traffic()
    traffic.add({"200": 10}, 100.0, None)
    traffic.shift(3600.0)
    assert [s.begin for s in traffic.stretches(0.0, 1e12, array("d"))] == [3700.0]
