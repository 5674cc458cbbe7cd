from __future__ import annotations

from vllm_watch.core.metrics import COUNTS, METRIC_BY_NAME, METRICS

RECORD = [
    "prompt_tps",
    "generation_tps",
    "running",
    "waiting",
    "kv_cache_usage",
    "prefix_cache_hit_rate",
    "deferred",
    "kv_fetch_waiting",
    "kv_fetch_in_progress",
    "kv_fetch_completed",
    "swapped",
    "cpu_kv_cache_usage",
    "preemptions",
    "corrupted",
    "external_prefix_cache_hit_rate",
    "mm_cache_hit_rate",
    "spec_acceptance_rate",
    "spec_mean_acceptance_length",
    "spec_accepted_tps",
    "spec_drafted_tps",
    "mfu_tflops",
    "mfu_gbps",
]
"""Metrics that scripts rely on, in their order: new ones may be added, none removed or moved."""


def test_no_metric_goes_or_moves() -> None:
    assert [metric.name for metric in METRICS if metric.name in RECORD] == RECORD
    assert list(METRIC_BY_NAME) == [metric.name for metric in METRICS]


def test_whole_numbers_are_the_counts() -> None:
    assert {"running", "waiting", "swapped", "preemptions"} <= COUNTS
    assert not COUNTS & {"generation_tps", "kv_cache_usage", "spec_mean_acceptance_length"}


def test_ratios_are_never_added_up_and_requests_always_are() -> None:
    assert all(metric.total != "sum" for metric in METRICS if metric.kind == "ratio")
    assert all(metric.total == "sum" for metric in METRICS if metric.kind == "count")
