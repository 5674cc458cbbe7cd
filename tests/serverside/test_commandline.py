"""The command that starts a server: the facts in it."""

from __future__ import annotations

import pytest

from vllm_watch.serverside.commandline import log_name, server_command, with_flags


@pytest.mark.parametrize(
    ("words", "model", "port", "log"),
    [
        (
            "vllm serve Qwen/Qwen3-1.7B --port 8001",
            "Qwen/Qwen3-1.7B",
            8001,
            "vllm_Qwen_Qwen3-1.7B_port8001_realtime.log",
        ),
        ("vllm serve /models/Tiny", "/models/Tiny", 8000, "vllm_models_Tiny_port8000_realtime.log"),
        ("vllm serve --enforce-eager M --port=9", "M", 9, "vllm_M_port9_realtime.log"),
        ("vllm serve --tensor-parallel-size 2 M", "M", 8000, "vllm_M_port8000_realtime.log"),
        (
            "python -m vllm.entrypoints.openai.api_server --model org/M --port 7000",
            "org/M",
            7000,
            "vllm_org_M_port7000_realtime.log",
        ),
        ("./start.sh", None, 8000, "vllm_start.sh_port8000_realtime.log"),
        ("vllm serve M --port many", "M", 8000, "vllm_M_port8000_realtime.log"),
    ],
)
def test_model_port_and_log(words: str, model: str | None, port: int, log: str) -> None:
    command = server_command(words.split())
    assert (command.model, command.port, log_name(command, None)) == (model, port, log)


def test_a_name_replaces_the_model() -> None:
    command = server_command(["vllm", "serve", "org/M"])
    assert log_name(command, "night run") == "vllm_night_run_port8000_realtime.log"


def test_flags_have_their_kinds() -> None:
    flags = server_command(
        [
            "vllm",
            "serve",
            "M",
            "-tp",
            "2",
            "--gpu-memory-utilization",
            "0.9",
            "--no-enable-prefix-caching",
            "--dtype",
            "auto",
            "--enforce-eager",
            "--seed",
            "-1",
        ]
    ).flags
    assert flags == {
        "tensor_parallel_size": 2,
        "gpu_memory_utilization": 0.9,
        "enable_prefix_caching": False,
        "dtype": "auto",
        "enforce_eager": True,
        "seed": "-1",
    }


def test_flags_are_added_only_where_there_are_none() -> None:
    command = with_flags(
        server_command(["vllm", "serve", "M", "--max-num-seqs", "64", "-tp", "4"]),
        ("--tensor-parallel-size 2", "--max-num-seqs 256", "--max-num-batched-tokens 8192"),
    )
    assert " ".join(command.words) == (
        "vllm serve M --max-num-seqs 64 -tp 4 --max-num-batched-tokens 8192"
    )
    assert command.flags["tensor_parallel_size"] == 4
