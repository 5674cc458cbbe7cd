"""A pipe full of key letters beside a terminal: only the terminal's keys count."""

from __future__ import annotations

import gzip
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zstandard

from tests.logs import log_of
from tests.processes import PATIENCE, as_process
from tests.terminals import in_terminal
from vllm_watch.cli import main


def test_a_q_in_the_pipe_is_text_and_a_q_on_the_terminal_quits() -> None:
    child, terminal = pty.fork()
    if child == 0:  # its terminal is the controlling one: /dev/tty
        program = (
            f"{{ yes q | head -500; cat '{log_of('h100_optimised')}'; }} "
            f"| '{sys.executable}' -m vllm_watch -"
        )
        os.environ.update(TERM="xterm-256color", COLUMNS="120", LINES="40")
        os.execvp("sh", ["sh", "-c", program])
    shown = b""
    deadline = time.monotonic() + PATIENCE
    # The end of input is shown on the screen: all letters have been read by then.
    while b"has ended" not in shown and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                break
    assert b"has ended" in shown
    assert os.waitpid(child, os.WNOHANG) == (0, 0)  # it stands
    os.write(terminal, b"q")
    status: int | None = None
    while status is None and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                os.read(terminal, 65536)
            except OSError:
                status = os.waitpid(child, 0)[1]
        done, code = os.waitpid(child, os.WNOHANG) if status is None else (0, 0)
        status = code if done else status
    os.close(terminal)
    assert status == 0


def test_without_a_terminal_it_is_one_line() -> None:
    found = subprocess.run(
        as_process("-"),
        input=b"q\n",
        capture_output=True,
        start_new_session=True,
        check=False,
    )
    assert found.returncode == 2
    assert found.stderr.count(b"\n") == 1


def test_following_a_pipe_ends_with_it() -> None:
    found = subprocess.run(
        as_process("export", "--follow", "-o", "-", "-"),
        input=log_of("h100_optimised").read_bytes(),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert found.returncode == 0
    written = log_of("h100_optimised").read_bytes().count(b"Avg generation throughput")
    assert found.stdout.count(b"\n") == written


@pytest.mark.parametrize("words", [["-"], ["replay", "-"]], ids=" ".join)
def test_a_pipe_that_stays_open_keeps_nobody(words: list[str]) -> None:
    """`kubectl logs -f` of a silent server, and the user wants to quit."""
    source, sink = os.pipe()
    os.write(sink, log_of("h100_optimised").read_bytes()[:50_000] + b"\nq\n\x03\n")
    with in_terminal(*words, stdin=source) as terminal:
        os.close(source)
        terminal.until("8001" if words == ["-"] else "vllm-watch")
        assert terminal.process.poll() is None
        terminal.press("q")
        assert terminal.ended() == 0
    os.close(sink)


COMMANDS = [
    ["summary"],
    ["summary", "--json"],
    ["compare", "{}"],
    ["check"],
    ["status"],
    ["wait", "--no-new-run", "--timeout", "1"],
    ["export", "-o", "-"],
    ["export", "--events", "-o", "-"],
]


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_compressed_log_says_what_the_plain_one_says(
    tmp_path: Path,
    command: list[str],
    ending: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Except for its name, in all commands."""
    data = log_of("h100_saturated_then_killed").read_bytes()
    told: list[tuple[int, str, str]] = []
    for name, packed in (
        ("plain", data),
        ("packed", gzip.compress(data) if ending == ".gz" else zstandard.compress(data)),
    ):
        folder = tmp_path / name
        folder.mkdir()
        path = folder / ("vllm_m_port1_realtime.log" + (ending if name == "packed" else ""))
        path.write_bytes(packed)
        os.utime(path, (1_800_000_000, 1_800_000_000))
        words = [word.replace("{}", str(path)) for word in command]
        code = main([words[0], str(path), *words[1:]])
        out, err = capfd.readouterr()
        # A path is wrapped where the column ends.
        said = [re.sub(r"\s+", "", each).replace(str(path), "PATH") for each in (out, err)]
        told.append((code, said[0], said[1]))
    plain, packed_said = told
    assert plain[1] + plain[2]
    assert packed_said == plain
