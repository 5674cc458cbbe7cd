"""Runs the user's command for an alert: an argument list, no shell, always with a time limit."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from threading import Event

from vllm_watch.actions.payload import Alert, as_bytes, as_environment, plain
from vllm_watch.core.hints import IO
from vllm_watch.core.mistakes import why_failed

_LOOK_SECONDS = 0.05
_MOST_KEPT = 2_000


def run_command(
    arguments: Sequence[str], alert: Alert, seconds: float, cancel: Event
) -> str | None:
    """Run a command for an alert and wait for its end.

    The alert is in its environment and, as one JSON object, on its standard input. It has no
    terminal. Its output is discarded, except for the last line on standard error if it fails.

    Args:
        arguments: program and arguments, passed on as they are.
        alert: the content of the message.
        seconds: time limit; after it the program is killed with its children (all of its process
            group; one that leaves the group escapes).
        cancel: kills the program immediately when set.

    Returns:
        Why it failed, in one line; None if it did not.
    """
    name = plain(os.path.basename(arguments[0]) or arguments[0])
    with tempfile.TemporaryFile() as given:  # a pipe could fill up, or break
        given.write(as_bytes(alert))
        given.seek(0)
        try:
            process = subprocess.Popen(
                list(arguments),
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, **as_environment(alert)},
                start_new_session=True,  # a separate process group, and no terminal to write on
            )
        except (OSError, ValueError) as error:
            return f"{name}: cannot be run: {why_failed(error)}"
    try:
        said, in_time = _wait(process, time.monotonic() + seconds, cancel)
    finally:
        if process.stderr is not None:
            process.stderr.close()
    if not in_time:
        return None if cancel.is_set() else f"{name}: took longer than {seconds:g} s and was killed"
    return _failure(name, process.returncode, said)


def _wait(process: subprocess.Popen[bytes], deadline: float, cancel: Event) -> tuple[bytes, bool]:
    """Return the newest bytes on standard error, and whether the process ended in time."""
    said = b""
    pipe: IO[bytes] | None = process.stderr
    while process.poll() is None:
        if time.monotonic() >= deadline or cancel.is_set():
            _kill_group(process)
            return said, False
        said, pipe = _listen(said, pipe, _LOOK_SECONDS)
    # A child that continues may keep the pipe open forever: only present bytes are read.
    said, _ = _listen(said, pipe, 0.0)
    return said, True


def _listen(said: bytes, pipe: IO[bytes] | None, seconds: float) -> tuple[bytes, IO[bytes] | None]:
    """Read standard error and keep the newest bytes; without a pipe just wait."""
    if pipe is None:
        time.sleep(seconds)
        return said, None
    descriptor = pipe.fileno()
    if not select.select([descriptor], [], [], seconds)[0]:
        return said, pipe
    more = os.read(descriptor, 65_536)
    return (said + more)[-_MOST_KEPT:], pipe if more else None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _failure(name: str, code: int, said: bytes) -> str | None:
    if code == 0:
        return None
    how = f"exit {code}"
    if code < 0:
        with suppress(ValueError):
            how = f"killed by {signal.Signals(-code).name}"
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return f"{name}: {how}" + (f": {plain(lines[-1])[:200]}" if lines else "")
