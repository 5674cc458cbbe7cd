"""`completion`: the scripts, run by their shells."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from vllm_watch.cli import main
from vllm_watch.cli.arguments import COMMANDS
from vllm_watch.cli.completion_command import SHELLS, script

Output = pytest.CaptureFixture[str]


def bash(folder: Path, *words: str) -> set[str]:
    """Return what bash offers for the last of the words."""
    bash_path = shutil.which("bash")
    if bash_path is None:
        pytest.skip("bash is not installed")
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in ("vllm-watch", *words))
    program = (
        f"{script('bash')}\n"
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _shtab_vllm_watch\n"
        "printf '%s\\n' \"${COMPREPLY[@]}\"\n"
    )
    done = subprocess.run(
        [bash_path, "--norc", "-u", "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return set(done.stdout.splitlines()) - {""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "server-one.log").touch()
    (tmp_path / "settings.toml").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("che",), {"check"}),
        (("st",), {"status"}),
        (("wait", "--t"), {"--tz", "--timeout"}),
        (("export", "a.log", "--re"), {"--resample", "--recorded"}),
        (("check", "ser"), {"server-one.log"}),
        (("check", "--config", "set"), {"settings.toml"}),
        (("check", "--since", "s"), set()),
        (("--tz", "UTC", "wait", "--no-n"), {"--no-new-run"}),
        (("completion", ""), set(SHELLS)),
        (("config", "i"), {"init"}),
        (("formats", "check", "--a"), {"--all"}),
    ],
)
def test_bash(words: tuple[str, ...], offered: set[str], folder: Path) -> None:
    options = {"-h", "--help", "--config", "--tz", "--no-color"}
    assert bash(folder, *words) - options == offered - options


def test_bash_offers_files_where_no_command_fits() -> None:
    assert "complete -o bashdefault -o default -F _shtab_vllm_watch vllm-watch" in script("bash")


def test_bash_offers_all_commands(folder: Path) -> None:
    assert set(COMMANDS) <= bash(folder, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_is_in_every_script(shell: str, capsys: Output) -> None:
    assert main(["completion", shell]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(command in out for command in COMMANDS)
    assert "resample" in out


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_shell_reads_its_script(shell: str, tmp_path: Path) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    file = tmp_path / "script"
    file.write_text(script(shell))
    done = subprocess.run([path, "-n", str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_fish_offers_what_fits(folder: Path) -> None:
    path = shutil.which("fish")
    if path is None:
        pytest.skip("fish is not installed")
    (folder / "c.fish").write_text(script("fish"))
    program = "source c.fish; complete -C 'vllm-watch wait --ti'; complete -C 'vllm-watch sta'"
    done = subprocess.run(
        [path, "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    assert {line.partition("\t")[0] for line in done.stdout.splitlines()} >= {"--timeout", "status"}


def test_another_shell_is_refused(capsys: Output) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "bash" in capsys.readouterr().err
