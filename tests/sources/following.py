"""Shared by the tests of the follower."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vllm_watch.sources.follower import Follower


def lines_of(follower: Follower) -> list[bytes]:
    return b"".join(chunk.data for chunk in follower.read()).splitlines()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def refuse(patch: pytest.MonkeyPatch, name: str) -> None:
    """Make one file unreadable, also for the superuser."""
    real = os.open

    def refused(path: str, *rest: int) -> int:
        if path == name:
            raise PermissionError(13, "Permission denied")
        return real(path, *rest)

    patch.setattr(os, "open", refused)
