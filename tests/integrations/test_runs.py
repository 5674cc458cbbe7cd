"""`runs`: comparable runs, the best flags, tables, sorting, grouping."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.logs import log_of
from vllm_watch.cli import main
from vllm_watch.config import CompareSettings
from vllm_watch.integrations.runrows import COLUMNS
from vllm_watch.integrations.runtable import STANDING, by_columns, ordered, standings

Output = pytest.CaptureFixture[str]
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/runs.json").read_text())
LOGS = [
    str(log_of(capture))
    for capture in ("h100_optimised", "h100_baseline_eager", "h100_long_context", "cpu_clean_stop")
]


def row(**values: Any) -> dict[str, Any]:
    known = {"model": "M", "busy_samples": 50, "running": 100.0, "generation_tps_per_gpu": 1000.0}
    return {**dict.fromkeys(COLUMNS), **known, **values}


def runs(capsys: Output, *words: str) -> str:
    assert main(["runs", *LOGS, *words]) == 0
    return capsys.readouterr().out


def test_documents_have_the_fields_of_their_schema(capsys: Output) -> None:
    checker = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
    document = json.loads(runs(capsys, "--json", "--gpu-hourly", "3.89"))
    checker.validate(document)
    fields = {*SCHEMA["$defs"]["run"]["properties"]}
    assert fields == {*COLUMNS, STANDING}
    assert [{*each} for each in document["runs"]] == [fields] * len(LOGS)
    checker.validate(json.loads(runs(capsys, "--json", "--by", "model,enforce_eager,port")))
    del document["runs"][0]["gpus"]
    assert not checker.is_valid(document)


def test_what_a_log_does_not_count_is_null_and_never_zero(tmp_path: Path, capsys: Output) -> None:
    lines = log_of("h100_optimised").read_text().splitlines(keepends=True)
    (tmp_path / "a.log").write_text("".join(line for line in lines if "HTTP/1.1" not in line))
    assert main(["runs", str(tmp_path), str(log_of("cpu_startup_failure")), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    names = ("generated_tokens", "prompt_tokens", "requests", "requests_failed")
    told = {one["state"]: [one[name] for name in names] for one in document["runs"]}
    assert told["dead"] == [None, None, 0, 0]
    assert told["stopped"][0] > 1_000_000
    assert told["stopped"][2:] == [None, None]


def test_only_about_equal_loads_stand_side_by_side() -> None:
    rows = [
        row(running=120.0, generation_tps_per_gpu=900.0),
        row(running=70.0, generation_tps_per_gpu=1200.0),
        row(running=6.0, generation_tps_per_gpu=2000.0),
        row(model="other", running=100.0, generation_tps_per_gpu=5.0),
        row(busy_samples=9),
        row(model=None),
        row(generation_tps_per_gpu=None),
    ]
    assert standings(rows, CompareSettings()) == [
        "75% of the best",
        "best of 2",
        "no run with a similar load: 6 requests at once",
        "no run with a similar load: 100 requests at once",
        "not compared: 9 busy samples, 10 needed",
        "not compared: its model is unknown",
        "not compared: its number of GPUs is unknown",
    ]


def test_only_requests_of_about_one_length_stand_side_by_side(capsys: Output) -> None:
    """By hand: 0.524 × 649,792 ÷ 20.0 = 17,028 tokens, 0.754 × 79,168 ÷ 38.6 = 1,545 tokens."""
    logs = [str(log_of(name)) for name in ("h100_long_context", "h100_saturated_then_killed")]
    assert main(["runs", *logs, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["runs"]
    assert [(one["server"][-4:], one["standing"]) for one in told] == [
        ("8002", "no run with a similar load: 20 requests of 17,028 tokens at once"),
        ("8003", "no run with a similar load: 39 requests of 1,545 tokens at once"),
    ]


def test_the_highest_first_and_the_unknown_last() -> None:
    rows = [row(gpus=1), row(gpus=None), row(gpus=8)]
    assert [each["gpus"] for each in ordered(rows, "gpus")] == [8, 1, None]


def test_means_by_columns() -> None:
    rows = [row(gpus=2, running=10.0), row(gpus=2, running=30.0), row(gpus=4, running=None)]
    two, four = by_columns(rows, ["gpus"])
    assert (two["gpus"], two["runs"], two["running"]) == (2, 2, 20.0)
    assert (four["gpus"], four["runs"], four["running"]) == (4, 1, None)


def test_of_real_logs(capsys: Output) -> None:
    told = json.loads(runs(capsys, "--json", "--gpu-hourly", "3.89"))["runs"]
    best = told[0]
    assert best["server"] == "Random-Qwen3-1.7B:8001"
    assert best["generation_tps"] == pytest.approx(12438.525)
    assert best["first"] == "2026-11-23T08:52:30+00:00"
    assert best["cost"] == pytest.approx(3.89 * 324 / 3600)
    assert best["request_s"] == pytest.approx(9.46, abs=0.01)
    by_server = {each["server"]: each["standing"] for each in told}
    assert (
        by_server["Random-Qwen3-1.7B:8000"]
        == "no run with a similar load: 6 requests of 809 tokens at once"
    )


def test_as_text_and_markdown(capsys: Output) -> None:
    text = runs(capsys, "--model", "Random*", "--sort", "running")
    assert text.splitlines()[0].split()[:3] == ["server", "state", "gen"]
    assert len(text.splitlines()) == 4
    table = runs(capsys, "--by", "model,gpus", "--markdown")
    assert table.startswith("| model | GPUs | runs |")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--sort", "speed"], 2, "unknown column speed: "),
        (["--by", "findings"], 2, "unknown column findings: "),
        (["--model", "Llama*"], 1, "--model Llama*: no run of a model with such a name"),
    ],
)
def test_what_is_not_there(words: list[str], code: int, told: str, capsys: Output) -> None:
    assert main(["runs", *LOGS, *words]) == code
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_a_folder_that_is_no_archive(tmp_path: Any, capsys: Output) -> None:
    assert main(["runs", str(tmp_path)]) == 2
    assert "the folder has no *.log" in capsys.readouterr().err
