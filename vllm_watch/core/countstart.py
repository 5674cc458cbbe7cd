"""How long the rate of a run's first stats line held: longer than that of the others.

vLLM counts tokens from when it makes its loggers, just before it writes `Supported tasks: …`. The
loop that writes stats lines begins when the HTTP server is up, and waits one interval first.
"""

from __future__ import annotations

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.records import Event

COUNTING = "counting"
"""Kind of event: the line that vLLM writes just after it has begun to count."""


@dataclass(slots=True)
class CountStart:
    """When a run began to count, and when its loop of stats lines began."""

    counts: float | None = None
    """Epoch seconds, None until a line shows it."""
    up: float | None = None

    def take(self, event: Event) -> bool:
        """Note an event; return True if it has no other use."""
        if event.kind == "server_up" and self.up is None:
            self.up = event.time
        elif event.kind == COUNTING and self.counts is None:
            self.counts = event.time
        return event.kind == COUNTING

    def shift(self, seconds: float) -> None:
        """Move both in time: the zone of the log turned out to be another."""
        self.counts = None if self.counts is None else self.counts + seconds
        self.up = None if self.up is None else self.up + seconds

    def seconds(self, first: float, interval: float, longest: float) -> float | None:
        """Return how long the rate of the first line held, None if it held as long as any other.

        The loop began between `up` and one interval before its first line; stamps are whole
        seconds, so the middle is taken.

        Args:
            first: epoch seconds of the first line.
            interval: seconds between two lines.
            longest: seconds after which a line is not the first of the loop. While nothing runs
                vLLM writes no line, but still restarts its count at each interval.
        """
        if self.counts is None or self.up is None:
            return None
        if not self.counts <= self.up <= first <= self.up + longest:
            return None
        late = max(0.0, first - interval - self.up)
        return first - late / 2 - self.counts
