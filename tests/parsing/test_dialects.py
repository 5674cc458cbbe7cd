"""Every dialect of docs/formats.md, with values calculated by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.parsing.dialects import READY, STATS, events, said, scan
from tests.parsing.scanning import scanner
from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.core.records import Sample

V0 = (
    "Avg prompt throughput: 12.5 tokens/s, Avg generation throughput: 35.1 tokens/s, "
    "Running: 2 reqs, Swapped: 1 reqs, Pending: 3 reqs, GPU KV cache usage: 4.2%, "
    "CPU KV cache usage: 0.1%."
)
V0_VALUES = {
    "prompt_tps": 12.5,
    "generation_tps": 35.1,
    "running": 2.0,
    "swapped": 1.0,
    "waiting": 3.0,
    "kv_cache_usage": 0.042,
    "cpu_kv_cache_usage": 0.001,
}
V1_VALUES = {
    "prompt_tps": 1.0,
    "generation_tps": 2.0,
    "running": 3.0,
    "waiting": 4.0,
    "kv_cache_usage": 0.05,
    "prefix_cache_hit_rate": 0.06,
}


def samples(text: str) -> list[Sample]:
    return [record for record in scan(text).records if isinstance(record, Sample)]


def only(text: str) -> Sample:
    (sample,) = samples(text)
    return sample


# --- V0 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "envelope",
    [
        "INFO 02-20 18:40:12 metrics.py:455] ",
        "INFO 02-20 18:40:12 [metrics.py:486] ",
        "INFO 02-20 18:40:12 llm_engine.py:720] ",
        "DEBUG 02-20 18:40:12 [engine/metrics.py:455] ",
    ],
)
def test_v0_stats(envelope: str) -> None:
    sample = only(f"{envelope}{V0}\n")
    assert sample.time == datetime(2026, 2, 20, 18, 40, 12, tzinfo=UTC).timestamp()
    assert (sample.engine, sample.values) == (0, V0_VALUES)


def test_v0_companions() -> None:
    head = "INFO 02-20 18:40:12 [metrics.py:486] "
    sample = only(
        f"{head}{V0}\n"
        f"{head}Prefix cache hit rate: GPU: 72.10%, CPU: 0.00%\n"
        f"{head}Speculative metrics: Draft acceptance rate: 0.700, System efficiency: 0.600, "
        "Number of speculative tokens: 3, Number of accepted tokens: 100\n"
    )
    assert sample.values == {
        **V0_VALUES,
        "prefix_cache_hit_rate": 0.721,
        "spec_acceptance_rate": 0.7,
    }


# --- V1 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["GPU", "CPU", "XPU", "TPU", "HPU", "Cuda_0"])
def test_the_name_of_the_device_is_any_word(device: str) -> None:
    assert only(STATS.replace("GPU", device) + "\n").values == V1_VALUES


def test_the_aggregated_line_counts_for_all_engines() -> None:
    sample = only(STATS.replace("Engine 000:", "2 Engines Aggregated:") + "\n")
    assert (sample.engine, sample.values) == (ALL_ENGINES, V1_VALUES)


@pytest.mark.parametrize("number", ["000", "013", "1024"])
def test_the_number_of_the_engine(number: str) -> None:
    assert only(STATS.replace("000", number, 1) + "\n").engine == int(number)


def test_parts_that_come_and_go() -> None:
    parts = (
        "Deferred: 2 reqs, KV fetch: 1 waiting to start, 2 in progress, 0 completed waiting, "
        "Preemptions: 7, Corrupted: 1 reqs, External prefix cache hit rate: 12.0%, "
        "MM cache hit rate: 40.0%, Something new: 3.5 apples"
    )
    assert only(f"{STATS}, {parts}\n").values == {
        **V1_VALUES,
        "deferred": 2.0,
        "kv_fetch_waiting": 1.0,
        "kv_fetch_in_progress": 2.0,
        "kv_fetch_completed": 0.0,
        "preemptions": 7.0,
        "corrupted": 1.0,
        "external_prefix_cache_hit_rate": 0.12,
        "mm_cache_hit_rate": 0.4,
    }


@pytest.mark.parametrize("word", ["nan", "inf", "-inf", "-nan", "9" * 400])
def test_what_is_no_finite_number_is_absent(word: str) -> None:
    values = dict(V1_VALUES)
    del values["prompt_tps"]
    assert only(STATS.replace("1.0 tokens", f"{word} tokens") + "\n").values == values


@pytest.mark.parametrize(
    "odd",
    [
        "Engine 0.0:",
        "Engine 0000000:",
        f"Engine {'9' * 3000}:",
        "Engine .0:",
        "Engine :",
        "Engine 00 0:",
    ],
)
def test_an_odd_line_does_not_spoil_those_that_look_like_it(odd: str) -> None:
    fresh = scanner(fresh=True)
    line = STATS.replace("Engine 000:", odd) + "\n"
    for text, count in ((line, 0), (STATS, 1), (line, 0)):
        found = fresh.scan(f"{text}\n".encode()).records
        assert sum(isinstance(record, Sample) for record in found) == count


def test_a_zero_byte_in_the_place_of_a_number_is_no_number() -> None:
    fresh = scanner(fresh=True)
    lines = f"{STATS}\n{STATS.replace('Running: 3', 'Running: ' + chr(0))}\n".encode()
    first, second = fresh.scan(lines).records
    assert isinstance(first, Sample)
    assert isinstance(second, Sample)
    assert first.values == V1_VALUES
    assert second.values == {name: V1_VALUES[name] for name in V1_VALUES if name != "running"}


@pytest.mark.parametrize("odd", ["Running: .3 reqs", "Running: 3. reqs", "Running: 3..1 reqs"])
def test_a_damaged_part_is_missing_only_where_it_is_damaged(odd: str) -> None:
    fresh = scanner(fresh=True)
    found = fresh.scan(f"{STATS.replace('Running: 3 reqs', odd)}\n{STATS}\n".encode()).records
    assert isinstance(found[-1], Sample)
    assert found[-1].values == V1_VALUES
    assert isinstance(found[0], Sample)
    assert "running" not in found[0].values


@pytest.mark.parametrize("device", ["GPU", "device"])
def test_mfu_in_both_wordings(device: str) -> None:
    sample = only(
        f"{STATS}\n" + said("perf.py", f"Engine 000: MFU: 12.3 TF/s/{device} 456.7 GB/s/{device}")
    )
    assert sample.values == {**V1_VALUES, "mfu_tflops": 12.3, "mfu_gbps": 456.7}


def test_speculation_with_commas_in_a_part_and_with_nan() -> None:
    line = (
        "SpecDecoding metrics: Mean acceptance length: 2.63, Accepted throughput: 76.80 tokens/s, "
        "Drafted throughput: 235.49 tokens/s, Accepted: 768 tokens, Drafted: 2355 tokens, "
        "Per-position acceptance rate: 0.726, 0.467, 0.240, Avg Draft acceptance rate: {}%"
    )
    spec = {
        "spec_mean_acceptance_length": 2.63,
        "spec_accepted_tps": 76.8,
        "spec_drafted_tps": 235.49,
    }
    found = only(f"{STATS}\n" + said("metrics.py", line.format("32.6")))
    assert found.values == {**V1_VALUES, **spec, "spec_acceptance_rate": 0.326}
    found = only(f"{STATS}\n" + said("metrics.py", line.format("nan")))
    assert found.values == {**V1_VALUES, **spec}


@pytest.mark.parametrize(
    "lines",
    [
        said(
            "core.py",
            "Engine 000: Iteration(12): 1 context requests, 60 context tokens, 3 generation "
            "requests, 3 generation tokens, iteration elapsed time: 12.34 ms, "
            "GPU KV cache usage: 1.2%",
        ),
        said("loggers.py", "Engine 000: Iteration(12): 1 context requests, KV cache usage: 1.2%"),
        said("cudagraph_logging.py", "**CUDAGraph Stats:**")
        + said("cudagraph_logging.py", "| Unpadded Tokens | Padded Tokens | Count |")
        + said("cudagraph_logging.py", "|-----------------|---------------|-------|")
        + said("cudagraph_logging.py", "| 17              | 24            | 3     |"),
        said("metrics.py", "KV Transfer metrics: Num successful transfers=12, Avg xfer time=3.1"),
    ],
)
def test_lines_of_figures_that_are_no_stats(lines: str) -> None:
    assert scan(lines).records == []
    assert [s.values for s in samples(f"{STATS}\n{lines}{STATS}\n")] == [V1_VALUES, V1_VALUES]


# --- SGLang --------------------------------------------------------------------------------------


def test_sglang() -> None:
    first, second = samples(
        "[2026-05-12 08:01:39 TP0] Decode batch. #running-req: 12, #token: 20480, token usage: "
        "0.35, cuda graph: True, gen throughput (token/s): 1234.56, #queue-req: 0\n"
        "[2025-12-31 23:59:59 DP3 TP0] Prefill batch. #new-seq: 4, #new-token: 8192, "
        "#cached-token: 1024, token usage: 0.12, #running-req: 8, #queue-req: 3\n"
    )
    assert first.time == datetime(2026, 5, 12, 8, 1, 39, tzinfo=UTC).timestamp()
    assert second.time == datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
    assert (first.engine, second.engine) == (0, 3)
    assert first.values == {
        "running": 12.0,
        "kv_cache_usage": 0.35,
        "generation_tps": 1234.56,
        "waiting": 0.0,
    }
    assert second.values == {"running": 8.0, "kv_cache_usage": 0.12, "waiting": 3.0}


def test_sglang_words_without_its_envelope_are_nothing() -> None:
    assert scan("Decode batch. #running-req: 12, token usage: 0.35\n").records == []


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "around",
    [
        "{}\n",
        "{}\r\n",
        "{}   \n",
        "{} \t \n",
        "{}\0\0\0\n",
        "\0\0\0{}\n",
        "no newline here{}\n",
        "INFO:     Waiting for application startup.{}\n",
        "\rbar:  10%|#  | 1/9\rbar: 100%|###| 9/9{}\n",
        "bar: 100%|###| 9/9\r{}\n",
        "\r" * 2_000 + "{}\n",
        "bar: 10%|#| 1/9\r" * 5_000 + "{}\n",
        "\ufeff{}\n",
        "\n\n{}\n\n",
        "{}",
        "{}INFO:     Application startup complete.\n",
        "\x1b[0m\x1b[K{}\x1b[0m\n",
    ],
)
@pytest.mark.parametrize("line", [STATS, STATS.partition(") ")[2]], ids=["named", "plain"])
def test_text_around_a_stats_line(line: str, around: str) -> None:
    assert only(around.replace("{}", line)).values == V1_VALUES


def test_two_lines_glued_are_two() -> None:
    assert [s.values for s in samples(f"{STATS}{STATS}\n")] == [V1_VALUES, V1_VALUES]


def test_a_line_cut_off_anywhere_raises_nothing_and_reads_no_wrong_number() -> None:
    for end in range(len(STATS)):
        for sample in samples(f"{STATS[:end]}\n"):
            assert set(sample.values.items()) <= set(V1_VALUES.items())


@pytest.mark.parametrize(
    "around",
    ["{}\n", "{}\r\n", "{}  \n", "bar: 100%|###| 9/9\r{}\n", "\0\0{}\n", "{}\0\n", "{}\r"],
)
def test_text_around_a_line_without_prefix(around: str) -> None:
    assert [event.kind for event in events(around.replace("{}", READY))] == ["ready"]
