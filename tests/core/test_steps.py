"""Iteration details: one line for each step, counted second by second."""

from __future__ import annotations

from array import array
from datetime import UTC
from pathlib import Path

import pandas as pd
import pytest

from tests.logs import formats
from tests.serverlog import NAME, begun, busy, line, ready
from tests.summaries import summary_of
from vllm_watch.cli import main
from vllm_watch.core.news import Block, ZoneFound
from vllm_watch.core.records import COUNTS, Event, StepTable
from vllm_watch.core.steps import Steps, second_of
from vllm_watch.core.store import Server, Store
from vllm_watch.ingest import Ingest
from vllm_watch.parsing import scanner

START = 1_795_420_000.0
Output = pytest.CaptureFixture[str]


def step(at: float, number: int, prompt: int = 0, running: int = 3, *, engine: int = 0) -> str:
    """Return the line of a step that takes in `prompt` tokens, with `running` requests."""
    text = (
        f"Engine {engine:03d}: Iteration({number}): {int(prompt > 0)} context requests, {prompt} "
        f"context tokens, {running} generation requests, {running} generation tokens, "
        "iteration elapsed time: 0.37 ms, GPU KV cache usage: 1.2%"
    )
    return line(at, "core.py:560", text).replace("APIServer pid=27447", "EngineCore pid=9")


def written(folder: Path, text: str) -> Path:
    args = "Chunked prefill is enabled with max_num_batched_tokens=2048."
    log = folder / NAME
    log.write_text(begun(START) + line(START, "x.py:1", args) + ready(START + 1) + text)
    return log


def steps_of(*logs: Path) -> Server:
    store = Store()
    for batch in Ingest([str(log) for log in logs], formats()).read_once():
        store.apply(batch)
    (server,) = store.servers.values()
    return server


def seconds(rates: list[int], prompt: int = 0, running: int = 3) -> str:
    """Return steps, so many in each second from 10 s on; each second's first takes in a prompt."""
    return "".join(
        step(START + 10 + second, second * 1000 + n, prompt if n == 0 else 0, running)
        for second, rate in enumerate(rates)
        for n in range(rate)
    )


def test_tokens_sum_to_the_last_one(tmp_path: Path) -> None:
    server = steps_of(written(tmp_path, seconds([200, 250, 185], prompt=517)))
    steps = server.run.steps[0]
    assert list(steps.times) == [START + 10, START + 11, START + 12]
    total = steps.total()
    assert (total.steps, total.context_tokens) == (635, 3 * 517)
    assert total.generation_tokens == 635 * 3
    assert (total.decode_steps, total.most_tokens) == (632, 520)
    assert (total.at_budget, total.at_seqs) == (0, 0)
    assert not [m for m in server.run.events if "Iteration" in m.event.text]


def test_the_summary_shows_them(tmp_path: Path, capsys: Output) -> None:
    text = seconds([200, 250, 100, 50], prompt=1992, running=7) + busy(START + 60)
    log = written(tmp_path, text)
    (told,) = summary_of(capsys, log)["iterations"]
    # Of the seconds amid work one has 250 steps, one 100: 4 and 10 ms.
    assert told["step_time_s"] == pytest.approx(0.007)
    assert told["decode_step_time_s"] is None
    assert (told["steps"], told["seconds"], told["steps_per_second"]) == (600, 4, 150.0)
    assert told["context_tokens"] == 4 * 1992
    assert told["prefill_share"] == pytest.approx(7968 / (7968 + 4200), abs=1e-6)
    assert told["decode_only_share"] == pytest.approx(596 / 600, abs=1e-6)
    assert told["most_tokens"] == 1999
    assert told["budget_share"] == pytest.approx(4 / 600, abs=1e-6)  # 95 % of 2048 is 1945.6
    assert told["max_num_seqs_share"] == pytest.approx(4 / 600, abs=1e-6)  # 8, with the prompt
    assert main(["summary", str(log)]) == 0
    assert "600 in 4 s (150 a second)" in " ".join(capsys.readouterr().out.split())


def test_a_log_without_them_has_none(tmp_path: Path, capsys: Output) -> None:
    log = written(tmp_path, busy(START + 60))
    assert summary_of(capsys, log)["iterations"] is None


def test_engines_and_dummy_steps_are_distinguished(tmp_path: Path) -> None:
    text = "".join(step(START + 10, n, 10, 1, engine=n % 2) for n in range(9))
    text += step(START + 10, 10, 0, 0, engine=1).replace("0.37 ms", "0.37 ms (dummy)")
    steps = steps_of(written(tmp_path, text)).run.steps
    assert [(engine, one.total().steps) for engine, one in sorted(steps.items())] == [
        (0, 5),
        (1, 5),
    ]
    assert steps[1].total().decode_steps == 0
    assert steps[1].total().context_tokens == 40


def test_before_the_line_named_its_engine_the_process_did(tmp_path: Path) -> None:
    lines = "".join(step(START + 10, n, 10) for n in range(3)).replace("Engine 000: ", "")
    text = lines + lines.replace("EngineCore pid", "EngineCore_DP2 pid")
    steps = steps_of(written(tmp_path, text)).run.steps
    assert {engine: one.total().context_tokens for engine, one in steps.items()} == {0: 30, 2: 30}


def test_blocks_of_any_size_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = seconds([185 + n % 200 for n in range(40)], prompt=321)
    log = written(tmp_path, text + busy(START + 60))
    whole = steps_of(log).run.steps[0]
    monkeypatch.setattr(scanner, "WORTH_IT", 0)
    monkeypatch.setattr(scanner, "LARGE_BLOCK", 4096)
    large = steps_of(log).run.steps[0]
    assert (whole.times, whole.rows) == (large.times, large.rows)
    assert whole.total().context_tokens == 40 * 321


def test_steps_belong_to_the_run_in_which_they_were(tmp_path: Path) -> None:
    log = written(tmp_path, seconds([5, 5]))
    later = begun(START + 100) + ready(START + 101) + step(START + 102, 0, 7)
    log.write_text(log.read_text() + later + begun(START + 200))
    first, second, third = steps_of(log).runs
    assert first.steps[0].total().steps == 10
    assert second.steps[0].total().context_tokens == 7
    assert third.steps == {}


def test_a_prompt_that_quotes_a_step_is_not_a_step(tmp_path: Path) -> None:
    quoted = step(START + 10, 1, 99).strip()
    text = line(START + 10, "logger.py:40", f'Received request cmpl-1: prompt: "{quoted}"')
    text += quoted[: quoted.index("generation tokens")] + "\n"  # cut off
    assert steps_of(written(tmp_path, text)).run.steps == {}


def test_a_second_that_comes_in_parts_is_one() -> None:
    table = StepTable(
        *(array("d", [5.0, 5.0, 6.0]), array("q", [0, 1, 0])),
        {name: array("q", [1, 2, 3]) for name in COUNTS},
    )
    store = Store()
    for _ in range(2):
        store.apply(Block("a.log", (Event("x", 4.0, ""), table), newest_stamp=6.0))
    (server,) = store.servers.values()
    assert [row.steps for row in server.run.steps[0].rows] == [2, 2]
    assert [row.steps for row in server.run.steps[1].rows] == [2]
    store.apply(ZoneFound("a.log", UTC, shift=3600.0))
    assert list(server.run.steps[0].times) == [3605.0, 3606.0]


def test_what_is_watched_for_weeks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vllm_watch.core.steps.MOST_SECONDS", 100)
    steps = Steps()
    row = {name: array("q", [1, 1]) for name in COUNTS}
    for second in range(1000):
        steps.add(float(second), second_of(row, None, None), bounded=True)
    assert len(steps.rows) <= 100
    assert len(steps.rows) + steps.dropped_seconds == 1000
    assert steps.total().context_tokens == 2000
    assert steps.total().at_budget is None


def test_the_present_time_of_a_step_is_of_whole_seconds() -> None:
    steps = Steps()
    for second, count in ((0.0, 5), (10.0, 20), (11.0, 30), (12.0, 1)):
        row = {name: array("q", [1] * count) for name in COUNTS}
        steps.add(second, second_of(row, None, None))
    assert steps.pace_at(12.0, 10.0) == pytest.approx(2 / 50)  # the last second is not over
    assert steps.pace_at(60.0, 10.0) is None


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_seconds_are_exported(tmp_path: Path, ending: str) -> None:
    log = written(tmp_path, seconds([20, 25], prompt=517) + busy(START + 60))
    path = tmp_path / f"steps.{ending}"
    assert main(["export", str(log), "--iterations", "-o", str(path)]) == 0
    if ending == "jsonl":
        rows = pd.read_json(path, lines=True)
    else:
        rows = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
    assert list(rows["steps"]) == [20, 25]
    assert rows["context_tokens"].sum() == 2 * 517
    assert list(rows["most_tokens"]) == [520, 520]
    assert list(map(str, rows["engine"])) == ["0", "0"]


def test_steps_to_export_are_those_that_are_there(tmp_path: Path, capsys: Output) -> None:
    log = written(tmp_path, seconds([20]))
    for more in (["--follow"], ["--resample", "1min"], ["--events"]):
        assert main(["export", str(log), "--iterations", "-o", "-", *more]) == 2
        assert "--iterations" in capsys.readouterr().err
