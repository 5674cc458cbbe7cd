"""Composed logs with the expected output: `fixtures/cases`, one test for each."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path

import pytest

import vllm_watch.parsing.formatfiles
from tests.caseanswers import Answers, Ran, wrong
from tests.casefiles import Case, load
from vllm_watch.cli import main
from vllm_watch.parsing.formatfiles import load_formats
from vllm_watch.parsing.formats import Formats

Output = pytest.CaptureFixture[str]
CASES = load(Path(__file__).parents[1] / "fixtures" / "cases")
_formats: dict[tuple[Path, ...], Formats] = {}


def once(paths: list[Path]) -> Formats:
    """Load format files once for all cases."""
    key = tuple(paths)
    if key not in _formats:
        _formats[key] = load_formats(paths)
    return _formats[key]


def run(words: list[str], capsys: Output) -> Ran:
    """Run one command within this process."""
    code = main(words)
    captured = capsys.readouterr()
    return Ran(shlex.join(words), code, captured.out, captured.err)


def written(case: Case, folder: Path) -> list[str]:
    """Write the files of a case and return the paths for the commands."""
    made = case.files(time.time())
    for name, (text, at) in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        os.utime(path, (at, at))
    logs = [name for name in made if name.endswith(".log")] or list(made)
    return [str(folder / name) for name in case.table.get("paths", logs)]


def ask(case: Case, folder: Path, capsys: Output) -> Answers:
    """Run the commands on a case."""
    paths = written(case, folder)
    expect = case.table["expect"]
    zone = case.table.get("tz", "UTC")
    zoned = [*paths, "--tz", zone] if zone else paths
    check = run(["check", *zoned], capsys)
    live = run(["check", *zoned, "--json"], capsys)
    summary = run(["summary", *zoned, "--json"], capsys)
    wait = None
    if "wait" in expect:
        wait = run(["wait", *zoned, "--timeout", "1", "--no-new-run"], capsys)
    others = [run(_words(line, paths, folder), capsys) for line in expect.get("commands", [])]
    ran = [live, summary, *others]
    return Answers(folder, check, live.document(), summary.document(), wait, ran)


def _words(line: str, paths: list[str], folder: Path) -> list[str]:
    """Return a further command line of a case, `{log}` and `{folder}` filled in."""
    words = [word.replace("{folder}", str(folder)) for word in shlex.split(line)]
    return [each for word in words for each in (paths if word == "{log}" else [word])]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.name}")
def test_says_what_an_operator_says(
    case: Case, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_watch.parsing.formatfiles, "load_formats", once)
    answers = ask(case, tmp_path, capsys)
    expect = {key: wanted for key, wanted in case.table["expect"].items() if key != "commands"}
    assert wrong(expect, answers) == [], case.table["why"]
    assert all(ran.code in range(4) for ran in answers.others)


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
