"""A server as a process group: started with two logs, stopped with all its children."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from vllm_watch.core.mistakes import why_failed

_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER (prctl.h): children whose parents end become ours."""
_STEP = 0.05
"""Seconds between two checks whether a process has ended."""
KILL_SECONDS = 5.0
"""Seconds that the kernel may take to end killed processes."""


class StartError(Exception):
    """A server that cannot be started; the message is one line that says what to do."""


def check_port(host: str, port: int) -> None:
    """Refuse a port that is taken: the server would find out after minutes of loading.

    Raises:
        StartError: something listens there already.
    """
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno is None:
            return  # a host name that only the server can resolve
        if error.errno == errno.EADDRINUSE:
            raise StartError(f"port {port}: is taken; give another with --port") from error
        if error.errno == errno.EACCES:
            raise StartError(f"port {port}: is not allowed; give one above 1023") from error


def open_logs(log: str) -> tuple[int, int]:
    """Open a server's two logs for appending and return their descriptors.

    Raises:
        StartError: the folder or a file cannot be written.
    """
    opened: list[int] = []
    for path in (log, log.removesuffix(".log") + ".err"):
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            mode = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            opened.append(os.open(path, mode, 0o644))
        except OSError as error:
            for descriptor in opened:
                os.close(descriptor)
            reason = why_failed(error)
            raise StartError(f"{path}: {reason}; choose another --log-dir") from error
    if is_full(os.path.dirname(log) or "."):
        for descriptor in opened:
            os.close(descriptor)
        raise StartError(f"{log}: no space left on device; choose another --log-dir")
    return opened[0], opened[1]


def is_full(folder: str) -> bool:
    """Return whether the file system of a folder has no room left."""
    try:
        system = os.statvfs(folder)
    except OSError:
        return False
    return system.f_blocks > 0 and system.f_bavail == 0


def find_program(word: str) -> str:
    """Return where a program is.

    Raises:
        StartError: it is not found, or may not be run.
    """
    found = shutil.which(word)
    if found is None:
        raise StartError(f"{word}: command not found; activate its environment, or give its path")
    return found


class ServerProcess:
    """A running server."""

    def __init__(self, words: Sequence[str], log: str, more: Mapping[str, str]) -> None:
        """Start a command with its output appended to `log` and its `.err` twin.

        Raises:
            StartError: it cannot be started.
        """
        program = find_program(words[0])
        _adopt_orphans()
        out, err = open_logs(log)
        self.fresh = not any(os.fstat(file).st_size for file in (out, err))
        """Whether the logs were empty, so that they begin with this server."""
        try:
            self._process = subprocess.Popen(
                [program, *words[1:]],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **more},
            )
        except OSError as error:
            reason = why_failed(error)
            if error.errno == errno.ENOENT:
                reason = "its Python interpreter is missing; was its environment moved or removed?"
            raise StartError(f"{words[0]}: {reason}") from error
        finally:
            os.close(out)
            os.close(err)

    @property
    def pid(self) -> int:
        """Its process id, and that of its group."""
        return self._process.pid

    def code(self) -> int | None:
        """Return the exit code as in a shell (128 + signal), None while it runs."""
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait for its end, for at most so many seconds; return its exit code."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.code()

    def signal(self, number: int) -> None:
        """Send a signal to the server itself, which passes it on to its own processes."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    def stop(self, seconds: float) -> int:
        """End the server and all processes that it started; return its exit code.

        TERM first; processes that remain after `seconds`, or have left the group, are killed.
        """
        known = _descendants(self.pid)
        self.signal(signal.SIGTERM)
        self.wait(seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._end(known)
        return self.code() or 0

    def sweep(self) -> None:
        """End the processes that a server has left behind."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._end({})

    def _end(self, known: Mapping[int, str]) -> None:
        """Kill the known processes that remain, and the orphans that became ours."""
        until = time.monotonic() + KILL_SECONDS
        while time.monotonic() < until:
            left = {pid for pid, began in known.items() if _began(pid) == began}
            left |= {pid for pid, group in _children(os.getpid()) if group not in _OURS}
            left.discard(self.pid)
            if not left:
                return
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            time.sleep(_STEP)


_OURS: set[int] = set()
"""Process groups of ours that are not a server's: the recorder's."""


def keep_group(pid: int) -> None:
    """Note a child of ours that no server started."""
    _OURS.add(pid)


def _adopt_orphans() -> None:
    """Let processes whose parents end become ours, so that none can hide (Linux only)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def _descendants(ancestor: int) -> dict[int, str]:
    """Return all processes that descend from one, each with its start."""
    found: dict[int, str] = {}
    todo = [ancestor]
    while todo:
        for pid, _ in _children(todo.pop()):
            began = _began(pid)
            if pid not in found and began:
                found[pid] = began
                todo.append(pid)
    return found


def _children(parent: int) -> list[tuple[int, int]]:
    """Return the children of a process and their groups; none where /proc is missing."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            fields = _stat(name) if name.isdigit() else None
            if fields is not None and int(fields[1]) == parent:
                found.append((int(name), int(fields[2])))
    return found


def _began(pid: int) -> str:
    """Return when a process began, in ticks since the boot; empty if it is gone or a zombie."""
    fields = _stat(str(pid))
    return "" if fields is None or fields[0] == "Z" else fields[19]


def _stat(name: str) -> list[str] | None:
    """Return the fields of a process after its name: state, parent, group and so on."""
    try:
        text = Path("/proc", name, "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()
