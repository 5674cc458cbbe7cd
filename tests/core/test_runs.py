from __future__ import annotations

import pytest

from vllm_watch.core.records import Amendment, Event, Record, Requests, Sample
from vllm_watch.core.runs import RunCounter


def banner(*, twin: bool = False) -> Event:
    return Event("version", 1.0, "version 0.32.0", {"version": "0.32.0"}, twin=twin)


ARGS = Event("args", 1.0, "non-default args: {}")
STATS = Sample(2.0, 0, {"running": 1.0})
STARTED = Event("process_started", None, "Started server process [1]", twin=True)
REQUESTS = Requests(2.0, {"200": 1}, 0)


@pytest.mark.parametrize(
    ("records", "runs"),
    [
        ([banner(), ARGS, STATS], [0, 0, 0]),
        ([banner(), ARGS, STATS, banner(), ARGS, STATS], [0, 0, 0, 1, 1, 1]),
        ([banner(), banner()], [0, 1]),
        ([ARGS, STATS, ARGS], [0, 0, 1]),
        ([banner(), ARGS, banner(), banner(), ARGS], [0, 0, 1, 2, 2]),
        ([banner(), STATS, Amendment({"mfu_gbps": 1.0}), REQUESTS], [0, 0, 0, 0]),
        ([STATS, banner(), ARGS, STATS], [0, 1, 1, 1]),
        ([REQUESTS, ARGS], [0, 1]),
        ([STARTED, STARTED], [0, 1]),
        ([banner(twin=True), STARTED, banner(twin=True)], [0, 0, 0]),
    ],
    ids=[
        "one run",
        "a restart",
        "died before its arguments",
        "without a banner",
        "three starts",
        "work begins no run",
        "the file begins amid a run",
        "the file begins amid requests",
        "a twin counts its own starts",
        "a twin has no banner",
    ],
)
def test_a_restart_in_the_same_file_is_a_new_run(records: list[Record], runs: list[int]) -> None:
    counter = RunCounter(0)
    assert [counter.feed(record) for record in records] == runs


def test_a_launcher_that_starts_itself_anew_is_one_run_but_only_once() -> None:
    config = Event("config", 3.0, "Using max model len 4096", {"max_model_len": 4096})
    counter = RunCounter(0)
    records = [banner(), ARGS, config, banner(), ARGS, config, banner(), ARGS]
    assert [counter.feed(record) for record in records] == [0, 0, 0, 0, 0, 0, 1, 1]
