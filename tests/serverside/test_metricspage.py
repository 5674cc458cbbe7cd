"""`/metrics` pages read, real ones and others."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.logs import FIXTURES
from tests.serverside.pages import page
from vllm_watch.core.recorded import row_json
from vllm_watch.serverside.enginerows import EngineRows
from vllm_watch.serverside.metricspage import PageError, read_page

VALID = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "docs/schemas/recording.json").read_text())
)
PROM = next((FIXTURES / "h100_optimised").glob("*.prom"))

PAGE = PROM.read_text().splitlines(keepends=True)


def test_the_page_of_a_real_server() -> None:
    """The figures as written on the page, for the reader to compare."""
    text = PROM.read_text()
    (engine,) = read_page(text).engines.values()
    counter = next(
        float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.startswith("vllm:generation_tokens_total{")
    )
    assert engine.counters["generated_tokens_total"] == counter > 1_000_000
    assert engine.histograms.keys() >= {
        "ttft_s",
        "itl_s",
        "queue_s",
        "prefill_s",
        "decode_s",
        "request_s",
    }
    assert engine.histograms["ttft_s"].buckets[float("inf")] == engine.histograms["ttft_s"].count


def test_every_engine_of_a_page_has_its_row() -> None:
    both = page(engine=0, generated=10) + page(engine=1, generated=20)
    rows = EngineRows().rows(read_page(both), 100.0)
    assert [(row.engine, row.totals["generated_tokens_total"]) for row in rows] == [
        (0, 10),
        (1, 20),
    ]
    (first, _) = rows
    assert (first.running, first.waiting, first.kv_cache_usage) == (3, 1, 0.25)
    assert first.finished == {"length": 2, "stop": 12}
    assert first.totals["cached_prompt_tokens_total"] == 1500
    assert first.totals["preemptions_total"] == 7


def test_names_of_older_versions() -> None:
    text = (
        'vllm:gpu_cache_usage_perc{model_name="m"} 0.5\n'
        'vllm:gpu_prefix_cache_queries_total{model_name="m"} 9\n'
        'vllm:time_per_output_token_seconds_count{model_name="m"} 4\n'
    )
    engine = read_page(text).engines[0]
    assert engine.gauges == {"kv_cache_usage": 0.5}
    assert engine.counters == {"prefix_queries_total": 9}
    assert engine.histograms["itl_s"].count == 4


def test_an_old_name_beside_its_successor_counts_once() -> None:
    text = (
        'vllm:time_per_output_token_seconds_count{engine="0"} 4\n'
        'vllm:inter_token_latency_seconds_count{engine="0"} 5\n'
        'vllm:gpu_prefix_cache_hits_total{engine="0"} 3\n'
        'vllm:prefix_cache_hits_total{engine="0"} 3\n'
    )
    engine = read_page(text).engines[0]
    assert engine.histograms["itl_s"].count == 5
    assert engine.counters == {"prefix_hits_total": 3}


@pytest.mark.parametrize("value", ["-1", "nan", "+Inf", "1.5"])
def test_a_value_that_can_be_none_is_absent(value: str) -> None:
    text = f'vllm:kv_cache_usage_perc{{engine="0"}} {value}\nvllm:num_requests_running 2\n'
    assert read_page(text).engines[0].gauges == {"running": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<!doctype html><title>Login</title>", "web page"),
        ("", "no vLLM"),
        ("sglang:num_running_reqs 3\n", "no vLLM"),
        ('vllm:num_requests_running{engine="0" 1\n', "text format"),
        ("vllm:num_requests_running\n", "text format"),
        ('vllm:num_requests_running{engine="0"} many\n', "text format"),
        ('vllm:cache_config_info{engine="0"} 1\n', "no metrics"),
    ],
)
def test_an_invalid_page_says_what_it_is(text: str, said: str) -> None:
    with pytest.raises(PageError, match=said):
        read_page(text)


def test_latencies_are_those_since_the_page_before() -> None:
    rows = EngineRows()
    (first,) = rows.rows(read_page(page(ttft=[0.05] * 100)), 0.0)
    assert first.latencies == {}  # the time of the measurements is unknown
    (second,) = rows.rows(read_page(page(ttft=[0.05] * 100 + [0.9] * 4)), 10.0)
    assert second.latencies["ttft_s"].count == 4
    assert second.latencies["ttft_s"].p50 == pytest.approx(0.875)  # 0.75 … 1.0, its middle


def test_a_server_that_began_between_two_looks_has_all_of_its_latencies() -> None:
    rows = EngineRows()
    rows.absent()
    (row,) = rows.rows(read_page(page(ttft=[0.9] * 4)), 10.0)
    assert row.latencies["ttft_s"].count == 4


def test_a_restart_between_two_looks() -> None:
    """All counters begin again, even one that has grown past its old value already."""
    rows = EngineRows()
    rows.rows(read_page(page(generated=5000, ttft=[0.05])), 0.0)
    (row,) = rows.rows(read_page(page(generated=300, ttft=[0.9] * 4)), 10.0)
    assert row.latencies["ttft_s"].count == 4


def test_the_whole_text_of_a_page_is_not_needed(tmp_path: Path) -> None:
    """Comments and other libraries' metrics may be anything."""
    text = "# TYPE nonsense\nother{ 1\n" + page()
    assert read_page(text).models == {"Tiny-Qwen3"}


@given(st.lists(st.tuples(st.floats(0, 1), st.text(max_size=8)), min_size=1, max_size=8))
@settings(max_examples=100)
def test_a_damaged_page_is_read_or_said_to_be_none(cuts: list[tuple[float, str]]) -> None:
    text = "".join(line for line in PAGE if line.startswith("vllm:"))
    for place, written in cuts:
        at = int(place * len(text))
        text = text[:at] + written + text[at + len(written) :]
    rows = EngineRows()
    rows.absent()
    try:
        found = rows.rows(read_page(text), 0.0)
    except PageError:
        return
    for row in found:
        VALID.validate(row_json(row))
