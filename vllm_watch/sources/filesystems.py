"""The file system of a path: the longest mount point above it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from vllm_watch.core.patterns import lazy

MOUNTS = "/proc/self/mountinfo"
FRESH_SECONDS = 30.0
"""Seconds for which the table of mounts is trusted."""

REOPENED = frozenset({"nfs", "nfs4"})
"""Types whose `stat` is answered from a cache; only opening a file asks the server."""
LOCAL = frozenset({"btrfs", "ext2", "ext3", "ext4", "f2fs", "tmpfs", "xfs", "zfs"})
"""Types whose changes are all made on this machine: events and folder times report them."""

_OCTAL = lazy(r"\\([0-7]{3})")


class FileSystems:
    """Answers by folder, from the system's table of mounts."""

    def __init__(self, table: Callable[[], str] | None = None) -> None:
        """Read the table of mounts from `table`, by default the system's own."""
        self._table = table or _system_table
        self._read_at: float | None = None
        self._mounts: list[tuple[str, str]] = []
        self._kinds: dict[str, str] = {}
        self._reopened = False
        """Whether there is any mount whose files have to be opened again."""

    def kind(self, path: str) -> str:
        """Return the type of the file system that a path is on (`ext4`, `nfs4`), "" if unknown."""
        self._refresh()
        folder = os.path.dirname(path)
        kind = self._kinds.get(folder)
        if kind is None or os.path.islink(path):
            place = os.path.realpath(path)
            kind = next((kind for point, kind in self._mounts if _leads(point, place)), "")
            if not os.path.islink(path):
                self._kinds[folder] = kind
        return kind

    def reopens(self, path: str) -> bool:
        """Return whether a file has to be opened again at each look."""
        self._refresh()
        # This is called for thousands of files at each look, and few machines have such a mount.
        return self._reopened and self.kind(path) in REOPENED

    def _refresh(self) -> None:
        """Read the table of mounts, unless it is fresh."""
        now = time.monotonic()
        if self._read_at is None or now - self._read_at > FRESH_SECONDS:
            self._read_at, self._mounts, self._kinds = now, _parsed(self._table()), {}
            self._reopened = any(kind in REOPENED for _, kind in self._mounts)


def _system_table() -> str:
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""  # not Linux: unknown


def _parsed(table: str) -> list[tuple[str, str]]:
    """Return mount points and types, the longest first; of equal mount points the later counts."""
    mounts: dict[str, str] = {}
    for line in table.splitlines():
        left, dash, right = line.partition(" - ")
        fields = left.split(" ")
        if dash and len(fields) > 4 and right:
            point = fields[4]
            if "\\" in point:
                point = _OCTAL.sub(lambda octal: chr(int(octal.group(1), 8)), point)
            mounts[point] = right.split(" ")[0]
    return sorted(mounts.items(), key=lambda mount: -len(mount[0]))


def _leads(point: str, place: str) -> bool:
    return place == point or place.startswith(point.rstrip("/") + "/")
