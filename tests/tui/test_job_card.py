"""The job and the trend on the card, with figures worked out here from the log's own lines."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tests.logs import at, log_of
from tests.tui.screens import monitor_of
from vllm_watch.health.jobs import JobWatch, Targets
from vllm_watch.tui.cardfacts import card_facts


def card(clock: str, targets: Targets, *, over: bool = False) -> dict[str, tuple[str, ...]]:
    monitor = monitor_of("h100_long_context")
    (server,) = monitor.store.servers.values()
    time = at(clock)
    trend = monitor.trends(server, server.run).slow_down(server.run, time)[0]
    return dict(
        card_facts(
            server, time, UTC, JobWatch(targets), trend, ended=time if over else None, figures=()
        )
    )


def test_how_much_is_done_and_when_it_will_be() -> None:
    text = log_of("h100_long_context").read_text()
    rates = [float(one) for one in re.findall(r"generation throughput: ([\d.]+)", text)]
    # Lines every 10 s from 09:00:08 on: 30 of them by 09:04:58.
    done = 10 * sum(rates[:30])
    rate = sum(rates[12:30]) / 18
    seconds = (1_000_000 - done) / rate
    end = datetime(2026, 11, 23, 9, 4, 58, tzinfo=UTC) + timedelta(seconds=seconds)
    share, left = card("09:04:58", Targets(tokens=1_000_000))["JOB"]
    assert share == f"{int(done / 10_000)} % done" == "44 % done"
    assert left == f"about {seconds / 60:.0f} min left ({end:%H:%M})"


def test_two_targets_say_which_is_which() -> None:
    facts = card("09:04:58", Targets(requests=100, tokens=400_000))["JOB"]
    assert facts[:2] == ("0 % done of 100 requests", "none yet")
    # The 25th line, 09:04:08, takes the sum from 390,755 to 400,594.
    assert facts[2] == "done of 400,000 tokens at 09:04"


def test_a_server_that_is_over_promises_nothing() -> None:
    facts = card("09:05:58", Targets(tokens=1_000_000), over=True)["JOB"]
    assert facts == ("50 % done", "then its server ended")


def test_no_target_no_line() -> None:
    assert "JOB" not in card("09:04:58", Targets())


def test_the_trend_is_on_the_card_as_soon_as_there_is_a_verdict() -> None:
    assert card("09:05:58", Targets())["TREND"] == (
        "about 26.4K tokens of context per request",
        "48 % slower per request than at the start: as expected",
        "40–60 % is normal at 26.4K tokens",
    )
    # 54.8 % of 649,792 tokens ÷ 20; the six minutes are not over.
    assert card("09:03:00", Targets())["TREND"] == ("about 17.8K tokens of context per request",)


def test_a_replay_shows_the_capacity_from_its_line_on() -> None:
    """The log names the size of the KV cache at 08:53:34, the flags at 08:52:30."""
    (server,) = monitor_of("h100_optimised").store.servers.values()
    before, after = (
        dict(card_facts(server, at(time), UTC, None, None, ended=None, figures=()))
        for time in ("08:53:33", "08:53:34")
    )
    assert "CAPACITY" not in before
    assert after["CAPACITY"][0] == "672,032 KV cache tokens"
    assert "max_num_seqs 512" in before["CONFIG"]
