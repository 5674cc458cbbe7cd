"""A pipe full of keys' letters beside a terminal: only the terminal's keys are keys."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time

from tests.logs import log_of

PATIENCE = 40.0


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
    # The end of input is said on the screen: all the letters have been read by then.
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
        [sys.executable, "-m", "vllm_watch", "-"],
        input=b"q\n",
        capture_output=True,
        start_new_session=True,
        check=False,
    )
    assert found.returncode == 2
    assert found.stderr.count(b"\n") == 1


def test_following_a_pipe_ends_with_it() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "vllm_watch", "export", "--follow", "-o", "-", "-"],
        input=log_of("h100_optimised").read_bytes(),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert found.returncode == 0
    written = log_of("h100_optimised").read_bytes().count(b"Avg generation throughput")
    assert found.stdout.count(b"\n") == written
