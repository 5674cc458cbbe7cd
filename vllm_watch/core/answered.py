"""How long requests took, one by one, where a log says when each came and was answered."""

from __future__ import annotations

from array import array

from vllm_watch.core.dataclass import dataclass, replace


@dataclass(frozen=True, slots=True)
class AnsweredTable:
    """Requests that were answered, in the order of their answers."""

    ends: array[float]
    """Epoch seconds of each answer's stamp."""
    seconds: array[float]
    """From the request's stamp to the answer's; both are whole seconds."""
    aborted: array[float]
    """Epoch seconds at which requests ended that had run for a while and got no answer."""

    def __len__(self) -> int:
        """Return the number of requests answered."""
        return len(self.ends)

    def moved(self, seconds: float) -> AnsweredTable:
        """Return the table with its times moved."""
        ends, aborted = (
            array("d", (time + seconds for time in times)) for times in (self.ends, self.aborted)
        )
        return replace(self, ends=ends, aborted=aborted)


@dataclass(slots=True)
class Answered:
    """Requests of a run that were answered, added up."""

    count: int = 0
    seconds: float = 0.0
    aborted: int = 0
    """Those that ended without an answer."""

    @property
    def mean(self) -> float | None:
        """Seconds that a request took, None without any; whole seconds of stamps even out."""
        return self.seconds / self.count if self.count else None

    def add(self, seconds: float) -> None:
        """Take in a request."""
        self.count += 1
        self.seconds += seconds
