"""The output of a command as a source: `kubectl logs -f`, `ssh`, `docker`, `journalctl`.

No shell is used. While logs are followed, a command that ends is started again, with growing
pauses; when they are read once, it is read to its end. It is stopped when we exit.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence

from vllm_watch.core.mistakes import why_failed
from vllm_watch.sources.chunks import BLOCK, Chunk
from vllm_watch.sources.resuming import RepeatedLines

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a command is started again; doubled each time, up to the longest."""
STEADY_SECONDS = 30.0
"""After a command ran this long, its next pause is the shortest again."""
_STEP = 0.2
_MOST_AT_ONCE = 64
"""Blocks per look, so that a fast command does not block the others."""
_TERM_SECONDS = 2.0
_LONGEST_ERROR = 300
_OF_A_LOG = re.compile(
    rb"^(?:\x1b\[[0-9;]{0,8}m){0,4}(?:\([^()\n]{1,80} pid=\d{1,9}\)|"
    rb"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)(?:\x1b\[[0-9;]{0,8}m){0,4}(?::    | \d\d-\d\d \d\d:))",
    re.MULTILINE,
)
"""A line of vLLM or uvicorn on standard error: not an error message of the command."""


class CommandOutput:
    """Reads the lines that a command writes, with the interface of a `Follower`."""

    def __init__(
        self,
        path: str,
        words: Sequence[str],
        *,
        wait: bool,
        stopped: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Read the command `words`, which is started at the first read.

        With `wait` one read continues to the command's end, or until `stopped`; without, each read
        takes what is there, and a command that has ended is started again.
        """
        self.path = path
        self.trouble: str | None = None
        self.trouble_since: float | None = None
        self.ended = False
        self._words = tuple(words)
        self._wait = wait
        self._stopped = stopped
        self._clock, self._now = clock, now
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._again_at = 0.0
        self._pause = FIRST_PAUSE
        self._errors = b""
        self._output, self._logged = RepeatedLines(0), RepeatedLines(1)
        self._logs = False
        """Whether standard error holds lines of a log: `docker logs` writes both streams."""

    def read(self) -> Iterator[Chunk]:
        """Yield the whole lines that are there now, or all of them."""
        if self.ended or not self._started():
            return
        process = self._process
        assert process is not None
        for _ in range(_MOST_AT_ONCE if not self._wait else 1 << 62):
            ready = self._readable(process)
            if ready is None:
                yield from self._new(b"")
                yield from self._logged.feed(b"", self._clock())
                return
            if process.stderr in ready:
                yield from self._take_errors(process)
            if process.stdout in ready:
                assert process.stdout is not None
                data = os.read(process.stdout.fileno(), BLOCK)
                if not data:
                    yield from self._end(process)
                    return
                yield from self._new(data)
                self._tell(None)

    def finish(self) -> Iterator[Chunk]:
        """Yield last lines that lack their newline."""
        yield from self._output.finish()
        yield from self._logged.finish()

    def close(self) -> None:
        """End the command and all processes that it started."""
        process, self._process = self._process, None
        self.ended = True
        if process is None:
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_TERM_SECONDS)
                if sign == signal.SIGTERM:
                    continue  # its children may still run: the second signal goes to the group
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()

    def _new(self, data: bytes) -> Iterator[Chunk]:
        """Yield the whole lines that were not there before the command was started again."""
        return self._output.feed(data, self._clock())

    def _started(self) -> bool:
        """Start the command if it is time; return whether it runs."""
        if self._process is not None:
            return True
        if self._clock() < self._again_at:
            return False
        try:
            self._process = subprocess.Popen(
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = why_failed(error)
            self._tell(f"{self._words[0]}: {reason}; check that it is installed and in PATH")
            self._rest()
            return False
        self._began, self._errors, self._logs = self._clock(), b"", False
        self._output.again(self._began)
        self._logged.again(self._began)
        return True

    def _readable(self, process: subprocess.Popen[bytes]) -> list[object] | None:
        """Return the pipes with something to read, None if there is nothing now."""
        pipes = [pipe for pipe in (process.stdout, process.stderr) if pipe and not pipe.closed]
        while True:
            ready: list[object] = list(select.select(pipes, [], [], _STEP if self._wait else 0)[0])
            if ready:
                return ready
            if not self._wait or self._stopped():
                return None

    def _take_errors(self, process: subprocess.Popen[bytes]) -> Iterator[Chunk]:
        """Keep the newest words of the command's standard error; yield log lines in it."""
        assert process.stderr is not None
        data = os.read(process.stderr.fileno(), BLOCK)
        if not data:
            process.stderr.close()
        if self._logs or _OF_A_LOG.search(data):
            self._logs = True
            yield from self._logged.feed(data, self._clock())
            return
        self._errors = (self._errors + data)[-BLOCK:]
        line = self._last_error()
        if line:
            self._tell(line)

    def _last_error(self) -> str:
        lines = self._errors.decode("utf-8", "replace").split("\n")
        written = [line.strip() for line in lines if line.strip()]
        shown = "".join(c if c.isprintable() else "?" for c in written[-1]) if written else ""
        return shown[:_LONGEST_ERROR]

    def _end(self, process: subprocess.Popen[bytes]) -> Iterator[Chunk]:
        """Note that the command has ended; it is started again later, unless it is read once."""
        errors = process.stderr
        while errors is not None and not errors.closed and select.select([errors], [], [], 0)[0]:
            yield from self._take_errors(process)
        if self._wait:
            yield from self.finish()
        else:
            yield from self._output.end()
            yield from self._logged.end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            # It has closed its output: use its own exit code, if there is one.
            process.wait(_TERM_SECONDS)
        self.close()
        self.ended = self._wait
        code = process.returncode
        why = self._last_error() or f"ended with exit code {code}"
        if code or not self._wait:
            self._tell(why if self._wait else f"{why}; starting it again")
        if self._clock() - self._began >= STEADY_SECONDS:
            self._pause = FIRST_PAUSE
        self._rest()

    def _rest(self) -> None:
        """Wait longer before each new start; a command that is read once is not started again."""
        self._again_at = self._clock() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self.ended = self._wait

    def _tell(self, trouble: str | None) -> None:
        text = None if trouble is None else f"{self.path}: {trouble}"
        if text != self.trouble:
            self.trouble = text
            self.trouble_since = None if text is None else self._now()
