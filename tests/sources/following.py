"""Shared by the tests of the follower."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.failing import denied
from tests.processes import PATIENCE
from vllm_watch.sources.follower import Follower


def lines_of(follower: Follower) -> list[bytes]:
    return b"".join(chunk.data for chunk in follower.read()).splitlines()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def followed(log: Path, begin: bytes = b"one\n") -> Follower:
    """Return a follower of a log that has read its first line, `one`."""
    follower = Follower(str(log))
    append(log, begin)
    assert lines_of(follower) == [b"one"]
    return follower


def refuse(patch: pytest.MonkeyPatch, name: str) -> None:
    """Make one file unreadable, also for the superuser."""
    real = os.open

    def refused(path: str, *rest: int) -> int:
        return denied() if path == name else real(path, *rest)

    patch.setattr(os, "open", refused)


def told_of(items: Iterator[set[str] | None], log: Path) -> bool:
    """Write to a log until a wake-up names it, or the time limit is reached."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        append(log, b"x\n")
        if str(log) in (next(items) or ()):
            return True
    return False
