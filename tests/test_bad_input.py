"""Mistakes in scripts: each command ends with one line, its exit code, and no traceback."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests import serverlog as log
from tests.logs import log_of
from tests.processes import as_process
from vllm_watch.cli import main

Output = pytest.CaptureFixture[str]
LOG = log_of("h100_optimised")
WRITERS = {
    "export": (["export", str(LOG), "-o", "-"], 1),
    "check": (["check", str(LOG)], 3),
    "check --json": (["check", str(LOG), "--json"], 3),
    "status": (["status", str(LOG)], 1),
    "config": (["config", "show"], 1),
    "completion": (["completion", "bash"], 1),
    "formats": (["formats"], 1),
    "help": (["--help"], 1),
    "help of a command": (["check", "--help"], 3),
    "version": (["--version"], 1),
}
"""Commands that write to stdout, with their code when that fails."""


def run(words: list[str], **streams: object) -> subprocess.CompletedProcess[bytes]:
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        as_process(*words),
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
        **streams,  # type: ignore[call-overload]
    )
    return done


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
@pytest.mark.parametrize("command", WRITERS)
def test_a_full_disk(command: str) -> None:
    words, code = WRITERS[command]
    with open("/dev/full", "wb") as full:
        done = run(words, stdout=full)
    assert done.returncode == code
    assert done.stderr.count(b"\n") == 1
    assert b"no space left on device" in done.stderr


@pytest.mark.parametrize("command", WRITERS)
def test_a_reader_that_has_gone(command: str) -> None:
    """`… | head -0`: nobody reads, nothing is printed."""
    words, code = WRITERS[command]
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        done = run(words, stdout=gone)
    assert (done.returncode, done.stderr) == (code, b"")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["export", "gone*.log", "-o", "-"], 2),
        (["export", "gone*.log", "-o", "x.csv"], 2),
        (["check", "gone*.log"], 3),
        (["status", "gone*.log"], 2),
        (["wait", "gone*.log", "--timeout", "0"], 124),
    ],
)
def test_nothing_matched(
    words: list[str], code: int, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == code
    out, err = capsys.readouterr()
    assert "gone*.log" in out + err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "code"), [(["export", "-o", "-"], 1), (["check"], 3), (["status"], 1)]
)
def test_half_of_the_logs_cannot_be_read(
    words: list[str], code: int, tmp_path: Path, capsys: Output
) -> None:
    now = time.time()
    well = log.write(
        tmp_path, log.begun(now - 90) + log.ready(now - 60) + log.busy(now - 3), modified=now - 3
    )
    pipe = tmp_path / "pipe.log"
    os.mkfifo(pipe)
    assert main([words[0], str(pipe), str(well), *words[1:]]) == code
    out, err = capsys.readouterr()
    assert "Tiny-Qwen3:9101" in out, "the other half is read"
    assert "pipe.log: is a pipe" in out + err


def test_a_pattern_that_is_hostile_is_no_crash(capsys: Output) -> None:
    for words in (["status", "a\0b"], ["export", "a\0b", "-o", "-"], ["check", "[\0"]):
        assert main(words) in (2, 3)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err


@pytest.mark.parametrize("name", ["", "x/", "no/such/folder/x.csv"])
def test_an_invalid_target(name: str, tmp_path: Path, capsys: Output) -> None:
    assert main(["export", str(LOG), "-o", f"{tmp_path}/{name}"]) in (1, 2)
    assert capsys.readouterr().err.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_a_mistake_of_ours_is_not_called_one_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only errors that say what to fix are lines; a ValueError of the code is a traceback."""

    def fail(*_: object, **__: object) -> None:
        raise ValueError("a slip in the code")

    monkeypatch.setattr("vllm_watch.reports.snapshot.look", fail)
    with pytest.raises(ValueError, match="a slip"):
        main(["status", str(LOG)])


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["summary", "a.log", "--jsno"], "--jsno: did you mean --json? `vllm-watch summary --"),
        (["formats", "check", "a.log", "--foo"], "--foo: `vllm-watch formats check --help` lists"),
        (["a.log", "--speed", "3"], "--speed: `vllm-watch watch --help` lists them all"),
        (["export", "a.log", "--fol", "-o", "-"], "--fol: did you mean --follow? `"),
        (["export", "a.log", "--re", "5s"], "--re: did you mean --resample or --recorded? `"),
        (["export", "a.log", "--out=a.csv"], "--out: did you mean --output? `"),
        (["run", "--str", "--", "vllm", "serve", "--por"], "--str: did you mean --strict? `"),
    ],
)
def test_an_unknown_or_shortened_option_names_the_nearest_ones_of_its_command(
    words: list[str], hint: str, capsys: Output
) -> None:
    assert main(words) == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["summary", "a", "--gpu-hourly", "-3"], "must be a price above 0, such as 3.89, not '-3'"),
        (["replay", "a", "--speed", "fast"], "must be a number, not 'fast'; see"),
        (["a.log", "--target-tokens", "0"], "must be a whole number of at least 1, not '0'; see"),
        (["presets", "--gpus", "two"], "must be a whole number, not 'two'; see"),
        (
            ["run", "--grace", "9h", "--", "x"],
            "must be a time of 0.5s to 1h, such as 10s, not '9h'",
        ),
        (["archive", "--processes", "0"], "must be a whole number from 1 to 1024, not '0'; see"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_with_what_it_must_be(
    words: list[str], said: str, capsys: Output
) -> None:
    assert main(words) == 2
    assert f": {said}" in capsys.readouterr().err


def test_the_help_of_formats_shows_that_it_needs_no_further_word(capsys: Output) -> None:
    with pytest.raises(SystemExit):
        main(["formats", "--help"])
    assert "[check ...]" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--recorded", "--iterations", "--times"])
def test_an_export_without_rows_tells_why(option: str, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "a.log").write_text(log.begun(time.time()))
    assert main(["export", str(tmp_path / "a.log"), option, "-o", "-"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert f"there is nothing for {option}: " in err


def test_a_log_that_cannot_be_read_is_not_called_foreign(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.log").write_bytes(LOG.read_bytes())
    opened = os.open

    def refuse(path: str, *words: int, **how: int) -> int:
        if str(path).endswith("a.log"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *words, **how)

    monkeypatch.setattr(os, "open", refuse)
    assert main(["summary", str(tmp_path / "a.log")]) == 1
    err = capsys.readouterr().err
    assert "permission denied" in err
    assert "is it a vLLM log?" not in err
    assert main(["wait", str(tmp_path / "a.log"), "--timeout", "0"]) == 124
    err = capsys.readouterr().err
    assert "permission denied" in err
    assert "timed out after 0 s: a could not be read; see above" in err
