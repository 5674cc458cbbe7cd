"""The command line: help, refusals, exit codes, imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.logs import log_of
from vllm_watch import __version__
from vllm_watch.cli import main
from vllm_watch.cli.arguments import COMMANDS, parse

Output = pytest.CaptureFixture[str]


def refusal(capsys: Output, *words: str, code: int = 2) -> str:
    """Run a command that is refused; return its one line."""
    assert main(words) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("vllm-watch: ")
    assert err.count("\n") == 1, err
    return err


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_shows_an_example(command: str, capsys: Output) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    out, err = capsys.readouterr()
    assert "example: vllm-watch " in out
    assert err == ""
    for option in ("--config FILE", "--tz ZONE", "--no-color"):
        assert option in out


def test_the_help_of_all_names_every_command(capsys: Output) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert "example: vllm-watch " in out
    assert all(command in out for command in COMMANDS)


@pytest.mark.parametrize("command", [*COMMANDS, None])
def test_an_unknown_option_is_one_line(command: str | None, capsys: Output) -> None:
    words = [command] if command else []
    paths = [] if command in ("demo", "formats", "config") else ["a.log"]
    paths = ["bash"] if command == "completion" else paths
    paths = ["a.log", "b.log"] if command == "compare" else paths
    rest = ["-o", "-"] if command in ("export", "report", "archive") else []
    if command == "check":  # errors of a plug-in are 3, and on stdout (tests/test_check.py)
        assert main([*words, *paths, "--colour"]) == 3
        return
    assert "--colour" in refusal(capsys, *words, *paths, *rest, "--colour")


def test_no_words_at_all(capsys: Output) -> None:
    assert "--help" in refusal(capsys)


def test_a_bad_zone_names_the_nearest(capsys: Output) -> None:
    line = refusal(capsys, "export", str(log_of("cpu_clean_stop")), "-o", "-", "--tz", "Berlin")
    assert "Europe/Berlin" in line


def test_a_bad_key_of_the_config_file(tmp_path: Path, capsys: Output) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[watch]\npoll_second = 2\n")
    log = str(log_of("cpu_clean_stop"))
    line = refusal(capsys, "export", log, "-o", "-", "--config", str(config))
    assert str(config) in line
    assert "watch.poll_second" in line
    assert "watch.poll_seconds" in line


def test_a_config_file_that_is_not_there(tmp_path: Path, capsys: Output) -> None:
    line = refusal(capsys, "--config", str(tmp_path / "c.toml"), "demo")
    assert str(tmp_path / "c.toml") in line


def test_a_path_as_first_word_means_watch() -> None:
    assert parse(["a.log", "b.log"]).command == "watch"
    assert parse(["a.log", "b.log"]).paths == ["a.log", "b.log"]
    assert parse(["-"]).paths == ["-"]
    assert parse(["--tz", "UTC", "a.log"]).paths == ["a.log"]
    assert parse(["./export"]).command == "watch"


@pytest.mark.parametrize("options", [["--no-color"], ["--tz", "UTC"], ["--config", "export"]])
def test_options_may_stand_before_the_command(options: list[str]) -> None:
    arguments = parse([*options, "export", "a.log", "-o", "-"])
    assert (arguments.command, arguments.paths, arguments.output) == ("export", ["a.log"], "-")


@pytest.mark.parametrize("command", ["watch", "replay"])
def test_targets_of_a_job(command: str, capsys: Output) -> None:
    arguments = parse(
        [command, "a.log", "--target-requests", "908", "--target-tokens", "2,000,000"]
    )
    assert (arguments.target_requests, arguments.target_tokens) == (908, 2_000_000)
    assert parse([command, "a.log"]).target_tokens is None
    for text in ("0", "-3", "1.5", "many"):
        assert main([command, "a.log", f"--target-tokens={text}"]) == 2
        said = capsys.readouterr().err
        assert "--target-tokens" in said
        assert "whole number of at least 1" in said
        assert said.count("\n") == 1


@pytest.mark.parametrize("words", [["watch", "LOG"], ["LOG"], ["replay", "LOG"], ["demo"]])
def test_without_a_terminal_the_screen_is_refused(words: list[str], capsys: Output) -> None:
    log = str(log_of("cpu_clean_stop"))
    assert "terminal" in refusal(capsys, *[log if word == "LOG" else word for word in words])


def test_a_bad_start_of_a_replay(capsys: Output) -> None:
    assert "9 o'clock" in refusal(capsys, "replay", "a.log", "--start", "9 o'clock")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_version_of_the_module() -> None:
    done = run("-m", "vllm_watch", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"vllm-watch {__version__}\n", "")


def test_an_export_imports_nothing_of_the_screen() -> None:
    code = (
        "import sys; from vllm_watch.cli import main;"
        f"main(['export', {str(log_of('cpu_clean_stop'))!r}, '-o', '-']);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = run("-c", code)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 5
    loaded = set(done.stderr.split())
    assert "vllm_watch" in loaded
    assert loaded.isdisjoint({"textual", "rich", "pandas", "numpy", "plotext", "watchfiles"})
