"""The file of a recording: appended line by line, by one recorder, rotated with its log."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
from pathlib import Path

from vllm_watch.core.mistakes import why_failed
from vllm_watch.core.recorded import Recorded, recording_of, row_json

_LOCKED = (errno.EWOULDBLOCK, errno.EACCES)


class SecondRecorderError(Exception):
    """Another recorder writes this file."""


class RecordError(Exception):
    """The file cannot be written; the message says why and what to do."""


class RecordFile:
    """Appends rows to a recording; each line is written immediately and completely."""

    def __init__(self, log: str) -> None:
        """Write the recording of `log`.

        Raises:
            SecondRecorderError: another recorder writes it.
            RecordError: it cannot be written.
        """
        self.path = recording_of(log)
        self._log = log
        self._identity = _identity(log)
        self._descriptor = self._open()

    def write(self, row: Recorded) -> None:
        """Append a row.

        Raises:
            OSError: the disk is full, or the like; a later row may succeed.
        """
        line = json.dumps(row_json(row), separators=(",", ":"), allow_nan=False) + "\n"
        data = line.encode()
        if not _ends_whole(self._descriptor):
            data = b"\n" + data  # an earlier recorder was killed, or the disk was full
        written = os.write(self._descriptor, data)
        if written < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)

    def rotate(self) -> bool:
        """Rename the recording if its log was rotated or emptied; return whether it was.

        `X.metrics.jsonl` becomes `X.metrics.jsonl.1`, an older `.1` becomes `.2`. As many are kept
        as the log has, but at least one.

        Raises:
            SecondRecorderError: another recorder began meanwhile.
            RecordError: the new file cannot be written.
        """
        known, self._identity = self._identity, _identity(self._log) or self._identity
        rotated = (
            known is not None
            and self._identity is not None
            and (self._identity[0] != known[0] or self._identity[1] < known[1])
        )
        if rotated and os.fstat(self._descriptor).st_size and self._is_ours():
            _shift(Path(self.path), max(1, len(_numbered(Path(self._log)))))
        if not self._is_ours():  # just now by us, or by another process
            os.close(self._descriptor)
            self._descriptor = self._open()
        return rotated

    def close(self) -> None:
        """Close the file; another recorder may use it."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def _is_ours(self) -> bool:
        """Return whether the path still leads to the open file."""
        status, there = os.fstat(self._descriptor), _identity(self.path)
        return there is not None and there[0] == (status.st_dev, status.st_ino)

    def _open(self) -> int:
        try:
            descriptor = os.open(
                self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644
            )
        except OSError as error:
            reason = why_failed(error)
            raise RecordError(f"{self.path}: {reason}; make its folder writable") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _LOCKED:
                os.close(descriptor)
                raise SecondRecorderError(self.path) from error
            # Some network file systems have no locks: then a second recorder is not refused.
        return descriptor


def _ends_whole(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"


def _identity(path: str) -> tuple[tuple[int, int], int] | None:
    """Return the identity of the file at a path, and its size."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino), status.st_size


def _numbered(path: Path) -> dict[int, Path]:
    """Return the rotated files of a path by their number: `X.1`, `X.2.gz`."""
    pattern = re.compile(re.escape(path.name) + r"\.(\d{1,4})(?:\.gz|\.zst)?")
    found = {}
    with contextlib.suppress(OSError):
        for entry in os.listdir(path.parent):
            if match := pattern.fullmatch(entry):
                found[int(match[1])] = path.with_name(entry)
    return found


def _shift(path: Path, keep: int) -> None:
    """Rename a file to `.1`, and the older ones to the next number; drop those beyond `keep`."""
    with contextlib.suppress(OSError):
        for number, old in sorted(_numbered(path).items(), reverse=True):
            if number >= keep:
                old.unlink()
            else:
                old.rename(path.with_name(f"{path.name}.{number + 1}"))
        path.rename(path.with_name(f"{path.name}.1"))
