from __future__ import annotations

import math
from array import array

from vllm_watch.core.answered import AnsweredTable
from vllm_watch.core.recorded import GpuRow
from vllm_watch.core.records import (
    Amendment,
    Event,
    Requests,
    RequestTable,
    Sample,
    SampleTable,
    moved,
    records_of,
)
from vllm_watch.core.run import Run

ZEROS = array("q", [0, 0, 0])
SAMPLES = SampleTable(
    array("d", [10.0, 20.0]),
    array("q", [0, 1]),
    {"running": array("d", [3.0, math.nan]), "kv_cache_usage": array("d", [0.5, 0.25])},
    run=2,
)
REQUESTS = RequestTable(
    array("d", [math.nan, 10.0]),
    {"200": array("q", [7, 0]), "500": array("q", [0, 2])},
    array("q", [0, 4]),
    {"/v1/completions": array("q", [0, 2])},
)


def test_a_batch_gives_each_line_of_a_table_as_a_record_in_file_order() -> None:
    event = Event("ready", 5.0, "up")

    records = tuple(records_of((event, SAMPLES, REQUESTS)))

    assert records == (
        event,
        Sample(10.0, 0, {"running": 3.0, "kv_cache_usage": 0.5}, run=2),
        Sample(20.0, 1, {"kv_cache_usage": 0.25}, run=2),
        Requests(None, {"200": 7}, 0),
        Requests(10.0, {"500": 2}, 4, {"/v1/completions": 2}),
    )


def test_a_moved_table_has_other_times_and_leaves_the_first_as_it_was() -> None:
    later = moved(SAMPLES, 3600.0)
    assert isinstance(later, SampleTable)
    assert list(later.times) == [3610.0, 3620.0]
    assert list(SAMPLES.times) == [10.0, 20.0]
    assert moved(SAMPLES, 0.0) is SAMPLES


def test_all_times_of_an_item_move() -> None:
    ends, none = array("d", [10.0]), array("d")
    assert moved(AnsweredTable(ends, ends, ends), 5.0) == AnsweredTable(
        array("d", [15.0]), ends, array("d", [15.0])
    )
    assert moved(AnsweredTable(ends, ends, none), 5.0) == AnsweredTable(
        array("d", [15.0]), ends, none
    )
    sample = Sample(10.0, 0, {}, since=4.0)
    assert moved(sample, 5.0) == Sample(15.0, 0, {}, since=9.0)
    assert moved(Event("dead", None, "x", after=3.0), 5.0) == Event("dead", None, "x", after=8.0)
    assert moved(Amendment({"running": 1.0}), 5.0) == Amendment({"running": 1.0})
    assert moved(GpuRow(10.0, 0), 5.0) == GpuRow(15.0, 0)


def test_a_run_counts_a_table_of_requests_as_the_stretches_one_by_one() -> None:
    times = array("d", [5.0, 15.0, 25.0])
    ok = RequestTable(times, {"200": array("q", [3, 0, 4])}, array("q", [1, 2, 0]))
    mixed = RequestTable(times, {"200": array("q", [1, 0, 0]), "500": array("q", [0, 2, 0])}, ZEROS)
    at_once, one_by_one = Run(0), Run(0)
    for table in (ok, ok, mixed, ok):
        at_once.add_request_table(table)
        for requests in table.singles():
            one_by_one.add_requests(requests)

    assert at_once.served == one_by_one.served == {"200": 22, "500": 2}
    assert (at_once.polls, at_once.first_request) == (one_by_one.polls, one_by_one.first_request)
    assert list(at_once.traffic.begins) == list(one_by_one.traffic.begins)
    assert at_once.traffic.counts == one_by_one.traffic.counts
    assert [m.event for m in at_once.events] == [m.event for m in one_by_one.events]
