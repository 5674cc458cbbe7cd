"""Findings about parallelism name the preset that fits the model and its GPUs."""

from __future__ import annotations

import pytest

from vllm_watch.config import Settings
from vllm_watch.core.run import Run
from vllm_watch.health.advice import data_parallel, over_pcie
from vllm_watch.health.situation import Situation


def at(**facts: float) -> Situation:
    return Situation(Run(0), None, 0.0, Settings(), facts)


def test_a_small_model_on_several_gpus() -> None:
    advice = data_parallel(at(tensor_parallel_size=2, data_parallel_size=2, model_billions=1.7))
    assert advice is not None
    assert advice.flags == ("--tensor-parallel-size 1", "--data-parallel-size 4")
    assert advice.expect.endswith(
        "preset small (under 7B) on 4 GPUs: --data-parallel-size 4 --max-num-seqs 512 "
        "--max-num-batched-tokens 8192 --gpu-memory-utilization 0.95"
    )


@pytest.mark.parametrize(
    ("billions", "tensor", "words"),
    [
        (14, 4, "preset medium (7B to 20B) on 4 GPUs: --tensor-parallel-size 2 "
                "--data-parallel-size 2 --max-num-seqs 256"),
        (14, 3, "on 3 GPUs: --tensor-parallel-size 2 --max-num-seqs 256; 1 of them stays free"),
        (72, 8, "preset huge (70B and more) on 8 GPUs: --tensor-parallel-size 8 --max-num-seqs 128"),
    ],
)  # fmt: skip
def test_gpus_without_a_fast_link(billions: float, tensor: float, words: str) -> None:
    advice = over_pcie(at(tensor_parallel_size=tensor, model_billions=billions))
    assert advice is not None
    assert advice.expect.endswith(words)
    assert advice.flags == ()


def test_a_size_that_the_name_does_not_tell_names_no_preset() -> None:
    assert over_pcie(at(tensor_parallel_size=2)) is None
    assert data_parallel(at(tensor_parallel_size=2)) is None
