"""A program in its own terminal: what it sends, when, and its processor time."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pyte

SILENCE = 0.15
"""Seconds without output that end a frame."""
FULL = 3_000
"""Bytes that a full frame has at least."""
_TICKS = os.sysconf("SC_CLK_TCK")


class Terminal:
    """A program in a terminal of a given size."""

    def __init__(self, command: Sequence[str], columns: int = 120, rows: int = 40) -> None:
        """Start the program."""
        self.began = time.perf_counter()
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LANG="C.UTF-8")
            os.execvp(command[0], list(command))
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, size)
        self.sent = 0
        """Bytes that the program has sent."""
        self._cells = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._cells)
        self._undrawn: list[bytes] = []

    def read(self, seconds: float) -> bytes:
        """Return what comes within a time; nothing if nothing does."""
        ready, _, _ = select.select([self._file], [], [], max(0.0, seconds))
        if not ready:
            return b""
        try:
            data = os.read(self._file, 1 << 16)
        except OSError:
            return b""
        self.sent += len(data)
        self._undrawn.append(data)
        return data

    def first_frame(self, timeout: float = 60.0) -> float | None:
        """Return the seconds from the start to the end of the first full frame."""
        newest, until = 0.0, self.began + timeout
        while time.perf_counter() < until:
            if self.read(SILENCE):
                newest = time.perf_counter()
            elif self.sent >= FULL:
                return newest - self.began
        return None

    def until(self, text: str, timeout: float = 5.0, *, gone: bool = False) -> float | None:
        """Return the seconds until a text is on the screen (or `gone` from it), None if never.

        The program sends only the cells that change, so the screen is kept, not the bytes.
        """
        began = time.perf_counter()
        while (left := began + timeout - time.perf_counter()) > 0:
            self.read(left)
            seen = time.perf_counter() - began
            if self.shows(text) is not gone:
                return seen
        return None

    def shows(self, text: str) -> bool:
        """Return whether a text is on the screen now."""
        self._draw()
        return any(text in line for line in self._cells.display)

    def _draw(self) -> None:
        self._stream.feed(b"".join(self._undrawn))
        self._undrawn.clear()

    def quiet(self, seconds: float) -> None:
        """Read until nothing has come for a while, at most ten times as long."""
        until = time.perf_counter() + 10 * seconds
        while self.read(seconds) and time.perf_counter() < until:
            pass

    def drain(self, seconds: float) -> None:
        """Read all that comes for some seconds."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            self.read(left)

    def key(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._file, key)

    def cpu(self) -> float:
        """Return the processor seconds that the program has taken (Linux)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / _TICKS

    def close(self) -> None:
        """End the program."""
        with suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(OSError):
            os.close(self._file)
        with suppress(OSError):
            os.waitpid(self.pid, 0)
