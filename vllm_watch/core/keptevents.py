"""Events and lines of the configuration, as a run keeps them."""

from __future__ import annotations

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.records import Event


@dataclass(slots=True)
class KeptEvent:
    """An event that a run keeps."""

    event: Event
    arrived: float | None
    """Wall clock of its arrival, if it came while we watched."""
    newest_stamp: float | None
    """vLLM's newest stamp when the event was read: the best estimate if nothing else is known."""
    lines: list[str] = field(default_factory=list)
    """Further lines of the same message: a traceback."""

    @property
    def about(self) -> bool:
        """Whether its time is only about right: nothing on the line says when it was written."""
        return self.event.time is None and self.event.written is None

    @property
    def size(self) -> int:
        """Characters of text."""
        return len(self.event.text) + sum(map(len, self.lines))


class ConfigurationLine(NamedTuple):
    """A line that showed the configuration."""

    time: float
    """Its time: its stamp, else the wrapper's, else the newest one before it; −∞ before any."""
    event: Event

    @property
    def stamped(self) -> bool:
        """Whether the time is its own stamp."""
        return self.event.time is not None
