"""Options for reading logs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import tzinfo

from vllm_watch.core.dataclass import dataclass, field


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How logs are read."""

    tz: tzinfo | None = None
    """Zone of the stamps as the user gave it."""
    live: bool = False
    """Following growing files (True) or reading them once."""
    poll_seconds: float = 1.0
    """Seconds between two looks at everything, with or without events."""
    events: bool = True
    """Whether to watch folders for events."""
    newest_first: bool = False
    """Show the newest part of large logs immediately and then read their past (following only)."""
    newest_only: bool = False
    """Read only beginning and newest part of large logs (reading once): for a quick answer."""
    ends: bool = False
    """Whether following ends with standard input if it is the only source."""
    rotated: bool = False
    """Whether to start with the rotated files beside each log."""
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The words of each command whose output is a log, by its path (`command:NAME`)."""
    begins: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Where to begin in a log, by its path: the number of a run, and where its first line is."""
    report_begins: bool = False
    """Whether to report where in the file each run begins."""
    now: Callable[[], float] = time.time
    """The wall clock."""
    clock: Callable[[], float] = time.monotonic
    """A clock that only grows, for the next look at resting files."""
    stopped: Callable[[], bool] = lambda: False
    """Whether to stop early: a pipe that is read to its end may never end."""
