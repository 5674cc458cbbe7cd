"""Every sample of every capture, against an independent reading of the files."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.logs import log_of, read, records_in, rows_of, stats_by_hand
from vllm_watch.core.metrics import METRICS
from vllm_watch.core.records import Requests

COUNTS = {
    "cpu_clean_stop": 5,
    "cpu_one_file": 4,
    "cpu_port_in_use": 0,
    "cpu_spec_decode_colour": 33,
    "cpu_startup_failure": 0,
    "cpu_two_engines": 18,
    "h100_baseline_eager": 21,
    "h100_long_context": 36,
    "h100_optimised": 22,
    "h100_saturated_then_killed": 11,
}
"""Stats lines per capture: `grep -c 'Engine 0'`."""


def requests_in(capture: str) -> tuple[Counter[str], int]:
    """Return the requests that were read of a capture: by status, and polls."""
    served: Counter[str] = Counter()
    polls = 0
    for record in records_in(read(log_of(capture)).read_once()):
        if isinstance(record, Requests):
            served.update(record.served)
            polls += record.polls
    return served, polls


@pytest.mark.parametrize("capture", COUNTS)
def test_every_sample_has_the_values_that_stand_in_the_log(capture: str) -> None:
    rows = rows_of(read(log_of(capture)).read_once())
    assert len(rows) == COUNTS[capture]
    expected = stats_by_hand(capture)
    assert len(expected) == COUNTS[capture]
    for row, by_hand in zip(rows, expected, strict=True):
        whole = {metric.name: by_hand.get(metric.name) for metric in METRICS}
        got = {metric.name: row[metric.name] for metric in METRICS}
        assert got == whole
        assert (row["time"], row["engine"], row["run"]) == (by_hand["time"], by_hand["engine"], 0)


def test_values_read_with_ones_own_eyes() -> None:
    row = rows_of(read(log_of("h100_saturated_then_killed")).read_once())[5]
    assert row["time"] == "2026-11-23T08:50:51+00:00"
    assert row["server"] == "Random-Qwen3-1.7B:8003"
    assert (row["generation_tps"], row["running"], row["waiting"]) == (2005.8, 49, 351)
    assert row["kv_cache_usage"] == 1.0
    assert row["prefix_cache_hit_rate"] == 0.101
    assert row["preemptions"] is None


@pytest.mark.parametrize("capture", COUNTS)
def test_requests_are_counted_by_status(capture: str) -> None:
    text = log_of(capture).read_text(encoding="utf-8", errors="replace")
    expected = Counter(re.findall(r'"POST /v1/completions HTTP/1\.1" (\d{3})', text))
    polls = len(re.findall(r'"GET /(?:health|metrics|v1/models) HTTP/1\.1" ', text))
    assert requests_in(capture) == (expected, polls)


def test_the_killed_server_answered_500_to_all_that_waited() -> None:
    served, _ = requests_in("h100_saturated_then_killed")
    assert served == {"200": 119, "500": 497}


def test_spec_decode_companions_belong_to_the_line_before() -> None:
    text = log_of("cpu_spec_decode_colour").read_text(encoding="utf-8", errors="replace")
    rows = rows_of(read(log_of("cpu_spec_decode_colour")).read_once())
    assert text.count("SpecDecoding metrics: ") == 31
    assert sum(row["spec_mean_acceptance_length"] is not None for row in rows) == 31
    assert rows[0]["time"] == "2026-11-23T13:02:37+00:00"
    assert (rows[0]["spec_mean_acceptance_length"], rows[0]["spec_acceptance_rate"]) == (3.97, 1.0)
    assert (rows[0]["spec_accepted_tps"], rows[0]["spec_drafted_tps"]) == (155.14, 155.14)


def test_two_engines_alternate() -> None:
    rows = rows_of(read(log_of("cpu_two_engines")).read_once())
    assert [row["engine"] for row in rows] == [0, 1] * 9
    first, second = rows[:2]
    assert first["time"] == second["time"] == "2026-11-23T09:23:42+00:00"
    assert (first["prompt_tps"], first["generation_tps"], first["running"]) == (186.8, 80.2, 7)
    assert (second["prompt_tps"], second["generation_tps"], second["running"]) == (141.2, 74.9, 5)


STATUSES = {
    "cpu_clean_stop": {"200": 31},
    "cpu_one_file": {"200": 76},
    "cpu_spec_decode_colour": {"200": 432},
    "cpu_two_engines": {"200": 87},
    "h100_baseline_eager": {"200": 45},
    "h100_long_context": {},
    "h100_optimised": {"200": 2692},
    "h100_saturated_then_killed": {"200": 119, "500": 497},
}
"""`grep -oE '"POST [^"]+" [0-9]{3}' | sort | uniq -c` of each capture."""


@pytest.mark.parametrize("capture", STATUSES)
def test_statuses_counted_with_grep(capture: str) -> None:
    served, _ = requests_in(capture)
    assert served == STATUSES[capture]


@pytest.mark.parametrize("capture", COUNTS)
def test_nothing_that_looks_like_a_stats_line_is_left_unread(capture: str) -> None:
    assert not any(getattr(news, "stats_like", 0) for news in read(log_of(capture)).read_once())
