"""The descriptors of all followed files: limited, the least recently used is closed first."""

from __future__ import annotations

import errno
import os

from vllm_watch.core.hints import Protocol

SPARE = 64
"""Descriptors kept free for everything else: the screen, events, exports, archives."""
FEWEST = 4
"""Fewest files open at the same time, however low the limit is."""


class Holder(Protocol):
    """The owner of one descriptor, who can close it for a while."""

    def suspend(self) -> None:
        """Close the descriptor; it is opened again when it is needed."""


class DescriptorPool:
    """Tracks the owners of descriptors; closes the descriptors not used for the longest time."""

    def __init__(self, limit: int | None = None) -> None:
        """Allow `limit` descriptors; by default what RLIMIT_NOFILE leaves."""
        if limit is None:
            soft = os.sysconf("SC_OPEN_MAX")
            limit = 1 << 16 if soft < 0 else soft - SPARE
        self.limit = max(FEWEST, limit)
        self._holders: dict[Holder, None] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def open(self, path: str) -> int:
        """Open a file for reading; if the system has no descriptor left, others are closed.

        Raises:
            OSError: it cannot be opened.
        """
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        while True:
            try:
                return os.open(path, flags)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE) or not self._holders:
                    raise
                self.shrink()

    def shrink(self) -> None:
        """Use fewer descriptors from here on: the system has none left."""
        self.limit = max(FEWEST, len(self._holders) * 3 // 4)
        self._make_room(max(1, len(self._holders) // 4))

    def held(self, holder: Holder) -> None:
        """Note that `holder` uses its descriptor now."""
        self._holders.pop(holder, None)
        if len(self._holders) >= self.limit:
            self._make_room(len(self._holders) - self.limit + 1)
        self._holders[holder] = None

    def released(self, holder: Holder) -> None:
        """Note that `holder` has closed its descriptor."""
        self._holders.pop(holder, None)

    def _make_room(self, count: int) -> None:
        for holder in list(self._holders)[:count]:
            holder.suspend()
            self._holders.pop(holder, None)
