"""docs/notebook.md: its commands and its code run, in the order of the page."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from tests.logs import FIXTURES, stats_by_hand
from vllm_watch.cli import main

PAGE = Path(__file__).parents[1] / "docs" / "notebook.md"
CAPTURES = ("cpu_two_engines", "h100_saturated_then_killed")


def test_the_page_loads_and_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = tmp_path / "pbs_results"
    logs.mkdir()
    for capture in CAPTURES:
        for file in (FIXTURES / capture).glob("vllm_*"):
            (logs / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "svg")
    text = PAGE.read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        if language == "python" and "Popen" not in block:
            if "samples.csv" in block:
                for name in ("samples.csv", "samples.jsonl"):
                    assert main(["export", "pbs_results", "-o", name]) == 0
            exec(compile(block, str(PAGE), "exec"), names)
        elif not language:
            for line in block.splitlines():
                _, *words = shlex.split(line)
                assert main(words) == 0
    steps = names["by_server"]
    assert isinstance(steps, pd.DataFrame)
    # Ten seconds each, engines combined: counted from the logs by hand.
    assert len(steps) == sum(
        len({str(row["time"])[:18] for row in stats_by_hand(capture)}) for capture in CAPTURES
    )
    assert "<svg" in (tmp_path / "run.svg").read_text(encoding="utf-8")
