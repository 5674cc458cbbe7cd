"""The guides' worked examples, by hand, and what is missing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_watch.config import Settings
from vllm_watch.core.dataclass import replace
from vllm_watch.core.figures import rough_span
from vllm_watch.core.run import Run
from vllm_watch.health.calculators import (
    CALCULATORS,
    Calculator,
    batch_estimate,
    inputs_of,
    job_seconds,
    power_of_two,
    recommended_batch,
)
from vllm_watch.health.jobs import JobWatch, Targets


def calculator(name: str) -> Calculator:
    return next(one for one in CALCULATORS if one.id == name)


def test_decode_rate_of_the_guide() -> None:
    result = calculator("decode").result({"generation_tps": 315.2, "at_once": 8.0})
    assert (result.text, result.formula) == ("39.4 tok/s per request", "315.2 ÷ 8 = 39.4")


def test_batch_size_of_the_guide() -> None:
    assert batch_estimate(8, 0.016, 0.60) == 300
    assert power_of_two(300) == 256
    inputs = {"running": 8.0, "kv_cache_usage": 0.016, "target_kv": 0.60, "kv_growth": 0.0}
    result = calculator("batch").result(inputs)
    assert result.flag == "--max-num-seqs 256"
    assert result.formula == "8 × 60 ÷ 1.6 = 300; the power of two below: 256"
    assert result.text == "300 requests; 256 fill it to about 51 %"  # 256 × 1.6 ÷ 8 = 51.2


def test_no_batch_is_advised_while_contexts_grow() -> None:
    # h100_long_context early on: 20 running at 7.3 % would make 128, and ended at 81 % with 20.
    inputs = {"running": 20.0, "kv_cache_usage": 0.073, "target_kv": 0.60, "kv_growth": 0.5}
    result = calculator("batch").result(inputs)
    assert (result.flag, result.value) == ("", 164.0)
    assert "wait until they stop growing" in result.text
    unknown = calculator("batch").result({**inputs, "kv_growth": None})
    assert unknown.flag == "--max-num-seqs 128"
    assert "is not known" in unknown.text
    # A smaller one is: 20 at 81.2 % make 14, and they grow.
    smaller = calculator("batch").result({**inputs, "kv_cache_usage": 0.812})
    assert smaller.flag == "--max-num-seqs 8"


def test_capacity_of_the_guide() -> None:
    assert recommended_batch(8.49 * 4, 0.90) == 30
    inputs = {"max_concurrency": 8.49, "engines": 4.0, "capacity_share": 0.9}
    result = calculator("capacity").result(inputs)
    assert result.flag == "--max-num-seqs 7", "30 ÷ 4 engines"
    assert result.text.startswith("34 requests of full length; 30 recommended")
    assert result.formula == "8.49 × 4 = 33.96; × 90 % = 30.56 → 30"
    assert "vLLM applies the flag per engine: 7 each" in result.text


def test_job_of_the_guide() -> None:
    seconds = job_seconds(908, 32_000, 24, 650, 0.20)
    assert seconds == pytest.approx(2235.08, abs=0.01)  # 37.8333 × 49.2308 × 1.2
    assert rough_span(seconds) == "37 min"
    # All tokens at 650 tok/s for the whole server: 908 × 32000 ÷ 650 × 1.2 s
    assert rough_span(job_seconds(908, 32_000, 24, 650 / 24, 0.20)) == "14 h 54 min"


def test_what_is_left_of_a_job_of_tokens() -> None:
    result = calculator("tokens").result(
        {"target_tokens": 1_000_000, "generated": 610_000, "generation_tps": 464.0}
    )
    assert result.text == "about 14 min left, 61 % done"  # 390,000 ÷ 464 = 840.5 s


def test_missing_inputs_are_named() -> None:
    result = calculator("capacity").result({"engines": 4.0, "capacity_share": 0.9})
    assert (result.text, result.flag, result.value) == ("needs maximum concurrency", "", None)


@given(st.integers(1, 10**6))
def test_the_power_of_two_never_exceeds(number: int) -> None:
    assert power_of_two(number) <= number < 2 * power_of_two(number)


@pytest.mark.parametrize("name", ["capacity_share", "job_overhead"])
def test_settings_are_inputs(name: str) -> None:
    change: dict[str, Any] = {name: 0.5}
    settings = replace(Settings(), advice=replace(Settings().advice, **change))
    given_inputs = inputs_of("x.log", Run(0), 0.0, settings, JobWatch(Targets()))
    assert given_inputs[name] == 0.5
