"""Mean times and cost on the card, with figures worked out here from the log's own lines."""

from __future__ import annotations

import re

import pytest

from tests.logs import at, log_of
from tests.tui.screens import monitor_of
from vllm_watch.config import CostSettings, RequestTimesSettings
from vllm_watch.core.run import Run
from vllm_watch.tui.requestfacts import cost_facts, times_facts

PRICED = CostSettings(gpu_hourly=3.6)
WINDOW = (at("08:55:00"), at("08:57:00"))


@pytest.fixture(scope="module")
def run() -> Run:
    (server,) = monitor_of("h100_optimised").store.servers.values()
    return server.run


def rates() -> dict[float, float]:
    """Return the generation rate of each stats line by its stamp."""
    text = log_of("h100_optimised").read_text(encoding="utf-8")
    found = re.findall(r"11-23 (\S+) .*?generation throughput: ([\d.]+)", text)
    return {at(clock): float(rate) for clock, rate in found}


def test_times_are_those_of_the_minutes_before(run: Run) -> None:
    """By its histograms a request takes 9.4 s and a token 10 ms; nothing waits."""
    request, queue, token, how = times_facts(run, at("08:57:54"), RequestTimesSettings())
    number = re.fullmatch(r"about ([\d.]+) s per request", request)
    assert number is not None
    assert float(number[1]) == pytest.approx(9.42, rel=0.05)
    assert (queue, token) == ("0 s of it in the queue", "10 ms per token")
    assert how == "mean of 5 min, from the log"


def test_too_little_gives_no_time(run: Run) -> None:
    assert times_facts(run, at("08:54:45"), RequestTimesSettings()) == ()


def test_times_of_a_server_that_is_over_are_those_before_its_end(run: Run) -> None:
    assert times_facts(run, at("12:00:00"), RequestTimesSettings()) != ()


def test_requests_timed_one_by_one_say_so(run: Run) -> None:
    (server,) = monitor_of("h100_optimised").store.servers.values()
    for number in range(40):
        server.run.answered.add(at("08:56:00") + number, 7.0)
    facts = times_facts(server.run, at("08:57:30"), RequestTimesSettings())
    assert (facts[0], facts[-1]) == (
        "7.0 s per request", "mean of 5 min, requests timed one by one",
    )  # fmt: skip


def test_cost_of_the_stretch_that_is_shown(run: Run) -> None:
    """One GPU at 3.6 an hour is 0.001 a second; two minutes are shown, a line each ten seconds."""
    tokens = 10 * sum(rate for time, rate in rates().items() if WINDOW[0] < time <= WINDOW[1])
    hourly, million, idle, shown, whole = cost_facts(run, at("08:57:10"), WINDOW, PRICED)
    assert hourly == "3.60 per hour (1 GPU × 3.6)"
    assert float(million.split()[0]) == pytest.approx(0.12 / tokens * 1e6, abs=0.005)
    # 08:55:50 to 08:56:20: two lines of none, and none written
    assert idle == "25 % without requests"
    assert shown == "0.12 for the 2 m 00 s shown"
    assert whole == "0.28 since the start"  # 08:52:30


def test_a_window_beyond_the_moment_counts_to_the_moment(run: Run) -> None:
    wide = (at("08:00:00"), at("12:00:00"))
    facts = cost_facts(run, at("08:53:30"), wide, PRICED)
    assert facts == (
        "3.60 per hour (1 GPU × 3.6)", "100 % without requests", "0.06 for the 1 m 00 s shown",
    )  # fmt: skip


def test_no_price_no_cost(run: Run) -> None:
    assert cost_facts(run, at("08:57:10"), WINDOW, CostSettings()) == ()
    assert cost_facts(Run(0), at("08:57:10"), WINDOW, PRICED) == ()
