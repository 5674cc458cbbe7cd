"""Something may have changed: told by the file system, backed up by a poll.

Folders are watched, not files: after a rotation the watch on a file is dead. On NFS, Lustre and
FUSE no events come at all, so every file is looked at once in a while whatever happens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

STEP_MS = 20
"""Milliseconds of quiet after which collected events are handed on."""
DEBOUNCE_MS = 100
"""Longest time for which events are collected."""


class StopEvent(Protocol):
    """Whatever can say that it is time to stop (`threading.Event`, a worker's event)."""

    def is_set(self) -> bool:
        """Return True when reading should stop."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for it."""
        ...


def wakeups(
    folders: Callable[[], set[str]], stop: StopEvent, poll_seconds: float, *, events: bool
) -> Iterator[set[str] | None]:
    """Yield paths that changed, or None when it is time to look at everything.

    `folders` is asked again after each poll, so that folders that appear are watched too.
    Ends when `stop` is set.
    """
    while not stop.is_set():
        watched = folders() if events else set()
        if not watched:
            yield None
            stop.wait(poll_seconds)
            continue
        yield from _watched(watched, folders, stop, poll_seconds)


def _watched(
    watched: set[str], folders: Callable[[], set[str]], stop: StopEvent, poll_seconds: float
) -> Iterator[set[str] | None]:
    """Yield wake-ups until the set of folders changes or watching them fails."""
    from watchfiles import watch  # 57 ms, and only following needs it

    polled = time.monotonic()
    yield None
    try:
        for changes in watch(
            *watched,
            watch_filter=None,
            recursive=False,
            stop_event=stop,
            step=STEP_MS,
            debounce=DEBOUNCE_MS,
            rust_timeout=max(50, int(poll_seconds * 1000)),
            yield_on_timeout=True,
            raise_interrupt=True,
        ):
            if changes:
                paths = {path for _, path in changes}
                yield paths
                if not paths.isdisjoint(watched):
                    return  # a folder itself changed: one that was made again is another
            if time.monotonic() - polled >= poll_seconds:
                yield None
                polled = time.monotonic()
                if folders() != watched:
                    return
    except (FileNotFoundError, OSError, RuntimeError):
        # A folder vanished or the system has no watches left: polling goes on by itself.
        yield None
        stop.wait(poll_seconds)
