"""Latencies and GPUs on a server's card, at any moment of a real capture."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.logs import formats
from vllm_watch.config import Settings
from vllm_watch.core.store import Server
from vllm_watch.reports.reading import read_saved
from vllm_watch.tui.cardfacts import card_facts

LOG = next(
    (Path(__file__).parents[2] / "fixtures/recordings/h100x2_tp2").glob("*.log"),
)


def server() -> Server:
    (found,) = read_saved([str(LOG)], formats(), Settings()).servers
    return found


def card(hour: int, minute: int, second: int) -> dict[str, tuple[str, ...]]:
    time = datetime(2026, 11, 25, hour, minute, second, tzinfo=UTC).timestamp()
    return dict(card_facts(server(), time, UTC, None, None, ended=None, figures=()))


def test_the_newest_latencies_and_gpus_are_on_the_card() -> None:
    facts = card(22, 37, 30)
    assert facts["LATENCY"][0].startswith("first token p50 ")
    assert [fact.split(" p50")[0] for fact in facts["LATENCY"]] == [
        *("first token", "between tokens", "queue", "request"),
    ]
    assert "≤" in facts["LATENCY"][2]  # the histogram's first bucket is 0.3 s wide
    first, second = facts["GPU"]
    assert first.startswith("0: ")
    assert second.startswith("1: ")
    for word in (" W", " of 80 GiB", "% utilised", " °C"):
        assert word in first


def test_what_is_old_or_missing_is_not_on_it() -> None:
    assert "LATENCY" not in card(22, 34, 30)
    assert "GPU" not in card(23, 30, 0)
