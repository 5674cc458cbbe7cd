"""Runs counted: a restart appends to the same log, its banner begins a new run."""

from __future__ import annotations

from vllm_watch.core.records import Amendment, Event, Record

_OPENING = frozenset({"version", "args"})
"""Kinds of events that a server writes once, at the very start."""


class RunCounter:
    """Counts the runs of one file as its records pass.

    A log's run begins where an opening line comes a second time; a twin has no banner, its runs
    are told apart by `Started server process`.
    """

    def __init__(self) -> None:
        """Start before the first run."""
        self.run = 0
        self._seen: set[str] = set()

    def feed(self, record: Record) -> int:
        """Return the run of a record, taking notice if it begins a new one."""
        if isinstance(record, Amendment) or not isinstance(record, Event):
            self._seen.add("begun")
            return self.run
        kind = record.kind
        opening = kind == "process_started" if record.twin else kind in _OPENING
        if opening:
            if kind in self._seen:
                self.run += 1
                self._seen.clear()
            self._seen.add(kind)
        return self.run
