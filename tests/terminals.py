"""The real program in a real terminal of the kernel: keys go in, bytes come out."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.processes import PATIENCE, as_process


class Terminal:
    """A pseudo-terminal in which a program runs as its session's leader."""

    def __init__(
        self,
        arguments: Sequence[str | bytes],
        *,
        size: tuple[int, int] = (120, 40),
        stdin: int | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Start `python -m vllm_watch ARGUMENTS`; without `stdin` it reads the terminal."""
        self._master, slave = os.openpty()
        columns, rows = size
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        name = os.ttyname(slave)

        def take_terminal() -> None:
            os.setsid()
            os.close(os.open(name, os.O_RDWR))  # the first that a leader opens is its own

        self.process = subprocess.Popen(
            as_process(*arguments),
            stdin=slave if stdin is None else stdin,
            stdout=slave,
            stderr=slave,
            preexec_fn=take_terminal,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
            | (environment or {}),
        )
        os.close(slave)
        self.shown = b""
        """All bytes that have reached the terminal."""

    def read(self, seconds: float) -> bool:
        """Take the output of some seconds; False once the program has closed the terminal."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:
            return False  # on Linux the end looks like this
        self.shown += data
        return bool(data)

    def until(self, text: str, *, after: int = 0) -> int:
        """Wait until a text is shown after a position, and return where it ends."""
        end = time.monotonic() + PATIENCE
        wanted = text.encode()
        while (at := self.shown.find(wanted, after)) < 0:
            alive = self.read(0.2)
            if not alive or time.monotonic() > end:
                raise AssertionError(f"{text!r} was not shown: ...{self.shown[-500:]!r}")
        return at + len(wanted)

    def press(self, keys: str) -> int:
        """Type keys, and return how much has been shown so far."""
        os.write(self._master, keys.encode())
        return len(self.shown)

    def still(self) -> None:
        """Wait until drawing stops for a moment: only for output that is optional."""
        end = time.monotonic() + PATIENCE
        size = -1
        while len(self.shown) != size and time.monotonic() < end:
            size = len(self.shown)
            if not self.read(0.15):
                return

    def ended(self) -> int:
        """Wait until the program has ended and return its exit code."""
        end = time.monotonic() + PATIENCE
        while self.read(0.1) and time.monotonic() < end:
            if self.process.poll() is not None and not select.select([self._master], [], [], 0)[0]:
                break
        return self.process.wait(timeout=PATIENCE)

    def close(self) -> None:
        """End the program if it still runs, and close the terminal."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._master)


@contextlib.contextmanager
def in_terminal(
    *arguments: str | bytes | Path,
    size: tuple[int, int] = (120, 40),
    stdin: int | None = None,
) -> Iterator[Terminal]:
    """Run `vllm-watch ARGUMENTS` in a terminal, within a block."""
    words = [str(one) if isinstance(one, Path) else one for one in arguments]
    terminal = Terminal(words, size=size, stdin=stdin)
    try:
        yield terminal
    finally:
        terminal.close()
