"""`vllm-watch presets`: the guide's table, applied to the available GPUs."""

from __future__ import annotations

import json

import pytest

from vllm_watch.cli import main
from vllm_watch.serverside.presets import fitted, preset_table

Output = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("model", "gpus", "flags"),
    [
        (
            "Qwen/Qwen3-1.7B",
            4,
            "--data-parallel-size 4 --max-num-seqs 512 --max-num-batched-tokens 8192 "
            "--gpu-memory-utilization 0.95",
        ),
        ("Qwen/Qwen3-14B", 4, "--tensor-parallel-size 2 --data-parallel-size 2 --max-num-seqs 256"),
        ("Qwen/Qwen3-30B-A3B", 4, "--tensor-parallel-size 4 --max-num-seqs 128"),
        ("meta/Llama-3-70B", 8, "--tensor-parallel-size 8 --max-num-seqs 128"),
        ("7B", 8, "--tensor-parallel-size 2 --data-parallel-size 4 --max-num-seqs 256"),
        ("14B", 3, "--tensor-parallel-size 2 --max-num-seqs 256"),
        ("32B", 8, "--tensor-parallel-size 4 --data-parallel-size 2 --max-num-seqs 128"),
        ("32B", 1, "--max-num-seqs 128"),
    ],
)
def test_flags_for_a_model(model: str, gpus: int, flags: str, capsys: Output) -> None:
    assert main(["presets", model, "--gpus", str(gpus), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (found,) = document["presets"]
    assert " ".join(found["flags"]) == flags
    assert (document["gpus"], document["source"]) == (gpus, "presets guide")


def test_three_gpus_leave_one_free(capsys: Output) -> None:
    assert main(["presets", "14B", "--gpus", "3"]) == 0
    assert "1 of the 3 GPUs stays free: each copy of the model takes 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "head"),
    [
        ("70B", "70B, huge (70B and more), on 4 GPUs"),
        ("Qwen/Qwen3-72B", "Qwen/Qwen3-72B: 72B, huge (70B and more), on 4 GPUs"),
    ],
)
def test_a_size_is_said_once(model: str, head: str, capsys: Output) -> None:
    assert main(["presets", model]) == 0
    assert capsys.readouterr().out.splitlines()[0] == head


def test_fewer_gpus_than_the_guide_has(capsys: Output) -> None:
    assert main(["presets", "32B", "--gpus", "2"]) == 0
    out = capsys.readouterr().out
    assert "--tensor-parallel-size 2 --max-num-seqs 128" in out
    assert "uses 4 GPUs" in out


def test_the_whole_table_without_a_model(capsys: Output) -> None:
    assert main(["presets"]) == 0
    out = capsys.readouterr().out
    for text in ("under 7B", "7B to 20B", "20B to 70B", "70B and more", "no flags", "1,600–2,000"):
        assert text in out
    assert main(["presets", "--json"]) == 0
    names = [one["name"] for one in json.loads(capsys.readouterr().out)["presets"]]
    assert names == [preset.name for preset in preset_table().presets]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["my-finetune"], "my-finetune: its name has no size; give the size instead"),
        (["0B"], "0B: a size must be above 0, such as 7B or 30B"),
        (["7B", "--gpus", "0"], "--gpus 0: there must be at least one GPU"),
        (["--gpus", "-2"], "--gpus -2: there must be at least one GPU"),
        (["7B", "--gpus", "many"], "--gpus"),
    ],
)
def test_refusals(words: list[str], said: str, capsys: Output) -> None:
    assert main(["presets", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_every_size_has_a_preset() -> None:
    table = preset_table()
    for billions in (0.5, 6.9, 7.0, 19.9, 20.0, 69.0, 70.0, 405.0):
        preset = table.for_size(billions)
        assert preset.name != "default"
        for gpus in range(1, 17):
            assert fitted(preset, gpus).unused < gpus


def test_the_reasons_are_true_for_any_number_of_gpus(capsys: Output) -> None:
    """Two GPUs leave no rest for further copies, and four are fewer than a huge model needs."""
    assert main(["presets", "14B", "--gpus", "2"]) == 0
    assert "the guide splits the model over two GPUs; each further pair" in capsys.readouterr().out
    assert main(["presets", "70B", "--gpus", "4"]) == 0
    shown = capsys.readouterr().out
    assert "--tensor-parallel-size 4" in shown
    assert "the model usually needs eight GPUs" in shown
