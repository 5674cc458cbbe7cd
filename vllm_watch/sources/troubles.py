"""One line about a file that cannot be read: its name, the reason, and how to fix it."""

from __future__ import annotations

import errno
import os
import stat

from vllm_watch.core.mistakes import why_failed


def open_trouble(path: str, error: OSError) -> str:
    """Return one line about a file that cannot be opened, with what to do about it."""
    reason = why_failed(error)
    if isinstance(error, PermissionError):
        return f"{path}: {reason}; make it readable (chmod u+r), then it is read"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{path}: {reason}; raise the limit (ulimit -n); trying again"
    return f"{path}: {reason}; once that is fixed it is read"


def list_trouble(path: str, error: OSError) -> str:
    """Return one line about a log whose folder cannot be listed, with what to do about it."""
    folder = os.path.dirname(path) or "."
    if isinstance(error, PermissionError):
        reason = why_failed(error)
        return f"{folder}: {reason}; make it readable (chmod u+rx), then rotated logs are found"
    return read_trouble(folder, error)


def read_trouble(path: str, error: OSError) -> str:
    """Return one line about a file of which no more can be read, with what to do about it."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return open_trouble(path, error)
    return f"{path}: {why_failed(error)}; check its file system; trying again"


def kind_trouble(path: str, mode: int) -> str:
    """Return one line about a path that is not a plain file, with what to do about it."""
    if stat.S_ISDIR(mode):
        return f"{path}: is a folder; name the logs in it"
    if stat.S_ISFIFO(mode):
        return f"{path}: is a pipe; read it as standard input: - < {path}"
    return f"{path}: is a device, not a file; name a log"
