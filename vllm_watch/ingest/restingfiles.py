"""Which of many files a poll may skip: quiet files whose growth an event would report.

Looking at a file costs about 20 µs, so polling 5,000 of them each second would use a tenth of a
core. In a watched folder of a local file system, files that have not grown for a while, or whose
growth is reported by events, are looked at in every tenth poll only, and not if an event had them
read within ten polls. If such a file grew without an event, the events of its folder are no longer
trusted, and each poll looks at all of its files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection

from vllm_watch.sources.filesystems import LOCAL

MANY = 200
"""Fewest files of which some may rest: fewer cost almost nothing."""
QUIET_SECONDS = 60.0
"""Seconds without growth after which a file rests."""
RARELY = 10
"""A resting file is checked in one of this many polls."""


class RestingFiles:
    """Decides which files are checked in a poll."""

    def __init__(self, kind: Callable[[str], str], clock: Callable[[], float]) -> None:
        """`kind` returns the type of a path's file system; `clock` only grows."""
        self._kind = kind
        self._clock = clock
        self._polls = 0
        self._quiet_from: dict[str, float] = {}
        """When each file last grew, or was first seen."""
        self._without_events: set[str] = set()
        """Folders in which a file grew without an event while it rested."""
        self._turns: dict[str, tuple[str, int]] = {}
        """The folder of each file, and in which polls it is looked at while it rests."""
        self._by_event: dict[str, int] = {}
        """Files whose newest growth an event reported: the next one will be reported as well. With
        the number of polls before it."""

    def due(self, paths: Collection[str], watched: Collection[str]) -> set[str]:
        """Return which of all files to look at in this poll.

        `watched` are the folders, as absolute paths, from which events are expected now.
        """
        self._polls += 1
        if len(paths) < MANY or not watched:
            return set(paths)
        now = self._clock()
        folders: dict[str, bool] = {}
        due = set()
        for path in paths:
            quiet_from = self._quiet_from.setdefault(path, now)
            folder, turn = self._turns.get(path) or self._placed(path)
            if folder not in folders:
                folders[folder] = self._tells(folder, path, watched)
            read = self._by_event.get(path)
            its_turn = (turn + self._polls) % RARELY == 0
            if read is None:
                looks = its_turn or now - quiet_from < QUIET_SECONDS
            else:
                looks = its_turn and self._polls - read >= RARELY
            if looks or not folders[folder]:
                due.add(path)
        return due

    def grew(self, path: str, *, by_event: bool) -> None:
        """Note that a file had grown when it was read, after an event or in a poll."""
        now = self._clock()
        rested = now - self._quiet_from.get(path, now) >= QUIET_SECONDS
        if rested and not by_event:
            self._without_events.add(os.path.dirname(path))
        if by_event:
            self._by_event[path] = self._polls
        else:
            self._by_event.pop(path, None)
        self._quiet_from[path] = now

    def _tells(self, folder: str, path: str, watched: Collection[str]) -> bool:
        return (
            os.path.abspath(folder) in watched
            and folder not in self._without_events
            and self._kind(path) in LOCAL
        )

    def _placed(self, path: str) -> tuple[str, int]:
        """Return the folder of a file, and a number that spreads resting files over the polls."""
        import zlib  # only for logs that are followed

        known = self._turns[path] = os.path.dirname(path), zlib.crc32(os.fsencode(path))
        return known
