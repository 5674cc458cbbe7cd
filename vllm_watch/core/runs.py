"""Runs counted: a restart appends to the same log, its banner begins a new run."""

from __future__ import annotations

from vllm_watch.core.records import Event, Item

_OPENING = frozenset({"version", "args"})
"""Kinds of events that a server writes once, at the very start."""
_AT_WORK = "at work"
"""Stands for records that only a server writes that is up."""


class RunCounter:
    """Counts the runs of one file as its records pass.

    A log's run begins where an opening line comes a second time, or after stats lines or requests
    of a run whose own opening is not in the file; a twin has no banner, its runs are told apart by
    `Started server process`.
    """

    def __init__(self) -> None:
        """Start before the first run."""
        self.run = 0
        self._seen: set[str] = set()

    def feed(self, record: Item) -> int:
        """Return the run of a record, taking notice if it begins a new one."""
        if not isinstance(record, Event):
            self._seen.add(_AT_WORK)
            return self.run
        kind = record.kind
        opening = kind == "process_started" if record.twin else kind in _OPENING
        if opening:
            if kind in self._seen or _AT_WORK in self._seen:
                self.run += 1
                self._seen.clear()
            self._seen.add(kind)
        return self.run
