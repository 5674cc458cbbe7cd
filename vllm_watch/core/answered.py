"""How long requests took, one by one, where a log says when each came and was answered."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class AnsweredTable:
    """Requests that were answered, in the order of their answers."""

    ends: array[float]
    """Epoch seconds of each answer's stamp."""
    seconds: array[float]
    """From the request's stamp to the answer's; both are whole seconds."""

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.ends)

    def moved(self, seconds: float) -> AnsweredTable:
        """Return the table with its times moved."""
        return replace(self, ends=array("d", (end + seconds for end in self.ends)))


@dataclass(slots=True)
class Answered:
    """Requests of a run that were answered, added up."""

    count: int = 0
    seconds: float = 0.0

    @property
    def mean(self) -> float | None:
        """Seconds that a request took, None without any; whole seconds of stamps even out."""
        return self.seconds / self.count if self.count else None

    def add(self, seconds: float) -> None:
        """Take in a request."""
        self.count += 1
        self.seconds += seconds
