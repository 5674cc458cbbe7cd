"""Counts the runs in a log: a restarted server appends its lines, and its banner begins a run."""

from __future__ import annotations

from vllm_watch.core.records import Event, Item

OPENING = frozenset({"version", "args"})
"""Kinds of events that a server writes once, at the very start: opening lines."""
_AT_WORK = "at work"
"""Stands for records that only a ready server writes: stats lines and requests."""
_READING_ARGUMENTS = frozenset({*OPENING, "model", "config", "eager"})
"""Kinds of events before the engine starts."""
REOPENED_SECONDS = 120.0
"""A launcher that starts the server again in another process does so within this time."""


class RunCounter:
    """Counts the runs of one file from its records, which it sees in their order.

    A new run begins at an opening line if the same kind was seen before in the present run, or if
    stats lines or requests were seen. A twin (the `.err` file beside a log) has no banner: there
    `Started server process` separates runs. Some platforms start the server in another process as
    soon as the arguments are read, and then write the opening lines again. The first such
    repetition does not begin a new run.
    """

    def __init__(self, run: int) -> None:
        """Start before the first line of run number `run`."""
        self.run = run
        self._seen: set[str] = set()
        self._opened: float | None = None
        self._reopened = False
        """Whether this run has already been started again in another process."""

    def feed(self, record: Item) -> int:
        """Return the run of a record; an opening line begins a new one."""
        if not isinstance(record, Event):
            self._seen.add(_AT_WORK)
            return self.run
        kind = record.kind
        opening = kind == "process_started" if record.twin else kind in OPENING
        if opening:
            if kind in self._seen or _AT_WORK in self._seen:
                again = not record.twin and not self._reopened and self._only_opened(record)
                self._reopened = again
                self.run += not again
                self._seen.clear()
            if not self._seen:
                self._opened = record.time
        if opening or not record.twin:
            self._seen.add(kind)
        return self.run

    def _only_opened(self, record: Event) -> bool:
        """Return whether the run has only read its arguments and the model's configuration.

        `record` must come within `REOPENED_SECONDS` of the first opening line.
        """
        if self._opened is None or record.time is None or "config" not in self._seen:
            return False
        return self._seen <= _READING_ARGUMENTS and record.time - self._opened <= REOPENED_SECONDS
