"""Signals that something may have changed: by file events, backed up by polling.

Folders are watched, not files: after a rotation the watch on a file is dead. On NFS, Lustre and
FUSE no events come at all, so every file is looked at once in a while whatever happens.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator

from vllm_watch.core.hints import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from watchfiles import Change

STEP_MS = 20
"""Milliseconds of quiet after which collected events are passed on."""
DEBOUNCE_MS = 100
"""Longest time for which events are collected."""
READS_PER_POLL = 4
"""Reads per poll of a file that has just grown without an event."""
HOT_SECONDS = 5.0
"""Seconds for which it is read so often, after a change that no event reported."""
RETRY_SECONDS = 30.0
"""Seconds before a folder that could not be watched is tried again."""


class StopEvent(Protocol):
    """Anything that can request a stop (`threading.Event`, a worker's event)."""

    def is_set(self) -> bool:
        """Return True if reading should stop."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the request."""
        ...


class PollSchedule:
    """How soon files that grow without events are read again: soon after a change."""

    def __init__(self, poll_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Look at everything each `poll_seconds`, in between only at files that have just grown."""
        self.slow = poll_seconds
        self.by_event = False
        """Whether the newest wake-up came from an event."""
        self.watched: frozenset[str] = frozenset()
        """The folders, as absolute paths, from which events are expected now."""
        self.clock = clock
        self._hot: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        """Seconds until the next look."""
        return self.slow / READS_PER_POLL if self.hot() else self.slow

    def hot(self) -> set[str]:
        """Return the files that grew recently without an event."""
        now = self.clock()
        self._hot = {path: until for path, until in self._hot.items() if until > now}
        return set(self._hot)

    def grew(self, path: str) -> None:
        """Note that a look found new bytes in a file."""
        if self.by_event:
            self._hot.pop(path, None)
        else:
            self._hot[path] = self.clock() + HOT_SECONDS


def wakeups(
    folders: Callable[[], set[str]],
    stop: StopEvent,
    schedule: PollSchedule,
    *,
    events: bool,
) -> Iterator[set[str] | None]:
    """Yield paths that changed, or None when it is time to look at everything.

    `folders` is asked again after each poll, so that folders that appear are watched too. A folder
    that cannot be watched is left to the poll, the others keep their events. Between two polls the
    hot files of `schedule` are yielded. When events stop, they are yielded once more, because a
    record may be complete only after a second look and should not wait for the poll. Ends when
    `stop` is set.
    """
    unwatchable: dict[str, float] = {}
    while not stop.is_set():
        now = schedule.clock()
        unwatchable = {folder: until for folder, until in unwatchable.items() if until > now}
        watched = (folders() if events else set()) - unwatchable.keys()
        if not watched:
            schedule.by_event, schedule.watched = False, frozenset()
            yield None
            yield from _polls(stop, schedule)
            continue
        failed = yield from _watched(watched, unwatchable.keys(), folders, stop, schedule)
        unwatchable.update(dict.fromkeys(failed, schedule.clock() + RETRY_SECONDS))


def _polls(stop: StopEvent, schedule: PollSchedule) -> Iterator[set[str] | None]:
    """Wait for one poll; hot files are yielded meanwhile."""
    end = schedule.clock() + schedule.slow
    while not stop.is_set() and (left := end - schedule.clock()) > 0:
        stop.wait(min(left, schedule.seconds))
        if not stop.is_set() and schedule.clock() < end and (hot := schedule.hot()):
            yield hot


def _watched(
    watched: set[str],
    unwatchable: Collection[str],
    folders: Callable[[], set[str]],
    stop: StopEvent,
    schedule: PollSchedule,
) -> Generator[set[str] | None, None, set[str]]:
    """Yield wake-ups until the set of folders changes; return those that cannot be watched."""
    polled = schedule.clock()
    identities = _identities(watched)
    schedule.by_event, schedule.watched = False, frozenset()
    yield None
    schedule.watched = frozenset(map(os.path.abspath, watched))
    event_came = False
    try:
        for changes in _changes(watched, stop, schedule):
            if changes:
                event_came = True
                paths = {path for _, path in changes}
                schedule.by_event = True
                yield paths
                if not paths.isdisjoint(watched):
                    return set()  # the folder itself changed: a folder made again is another one
            schedule.by_event = False
            if schedule.clock() - polled >= schedule.slow:
                yield None
                polled = schedule.clock()
                if folders() - set(unwatchable) != watched or _identities(watched) != identities:
                    return set()  # another folder, or another one with that name: a new mount
            elif not changes:
                hot = schedule.hot()
                if hot or event_came:
                    yield hot
                event_came = False
    except (OSError, RuntimeError):
        # A folder vanished, or the system has no watches left: polls cover those.
        return _unwatchable(watched)
    return set()


def _changes(
    watched: Collection[str], stop: StopEvent, schedule: PollSchedule
) -> Iterator[set[tuple[Change, str]]]:
    """Yield the kernel's events of folders; nothing after a while without changes."""
    from watchfiles import watch  # 57 ms, after the first look

    return watch(
        *watched,
        watch_filter=None,
        recursive=False,
        stop_event=stop,
        step=STEP_MS,
        debounce=DEBOUNCE_MS,
        rust_timeout=max(50, int(schedule.slow * 1000 / READS_PER_POLL)),
        yield_on_timeout=True,
        raise_interrupt=True,
    )


def _identities(folders: Collection[str]) -> dict[str, tuple[int, int] | None]:
    """Return device and inode of each folder, None if unknown."""
    found: dict[str, tuple[int, int] | None] = {}
    for folder in folders:
        try:
            status = os.stat(folder)
        except OSError:
            found[folder] = None
        else:
            found[folder] = (status.st_dev, status.st_ino)
    return found


def _unwatchable(folders: set[str]) -> set[str]:
    """Return the folders that cannot be watched.

    If each one can be watched, but not all of them at the same time, return half of them.
    """
    from watchfiles import watch

    done = threading.Event()
    done.set()
    failed = set()
    for folder in folders:
        try:
            for _ in watch(folder, recursive=False, stop_event=done, rust_timeout=1):
                break
        except (OSError, RuntimeError):
            failed.add(folder)
    return failed or set(sorted(folders)[len(folders) // 2 :])
