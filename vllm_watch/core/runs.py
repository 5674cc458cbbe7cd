"""Counts runs: a restart appends to the same log, and its banner begins a new run."""

from __future__ import annotations

from vllm_watch.core.records import Event, Item

OPENING = frozenset({"version", "args"})
"""Kinds of events that a server writes once, at the very start."""
_AT_WORK = "at work"
"""Kind of records that only a ready server writes."""
_READING_ARGUMENTS = frozenset({*OPENING, "model", "config", "eager"})
"""Kinds of events before the engine starts."""
ANEW_SECONDS = 120.0
"""A launcher that restarts in another process does so within this time."""


class RunCounter:
    """Counts the runs of one file as its records pass.

    A log's run begins where an opening line comes a second time, or after stats lines or requests
    of a run whose own opening is not in the file; a twin has no banner, its runs are separated by
    `Started server process`. Some platforms start the server in another process as soon as the
    arguments are read: once, that is the same run.
    """

    def __init__(self, run: int = 0) -> None:
        """Start before the first line of a run."""
        self.run = run
        self._seen: set[str] = set()
        self._opened: float | None = None
        self._anew = False
        """Whether this run has already restarted in another process."""

    def feed(self, record: Item) -> int:
        """Return the run of a record; an opening line begins a new one."""
        if not isinstance(record, Event):
            self._seen.add(_AT_WORK)
            return self.run
        kind = record.kind
        opening = kind == "process_started" if record.twin else kind in OPENING
        if opening:
            if kind in self._seen or _AT_WORK in self._seen:
                self._anew = not record.twin and not self._anew and self._only_opened(record)
                self.run += not self._anew
                self._seen.clear()
            if not self._seen:
                self._opened = record.time
        if opening or not record.twin:
            self._seen.add(kind)
        return self.run

    def _only_opened(self, record: Event) -> bool:
        """Return whether the run so far has only read its arguments and the model's."""
        if self._opened is None or record.time is None or "config" not in self._seen:
            return False
        return self._seen <= _READING_ARGUMENTS and record.time - self._opened <= ANEW_SECONDS
