"""Events and lines of the configuration, as a run keeps them; too many events are dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from vllm_watch.core.dataclass import dataclass, field, replace
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.records import Event, FieldValue, Requests

MOST_EVENTS = 2_000
"""Events kept per run; beyond that, the oldest ordinary ones are dropped."""
MOST_TEXT = 2_000_000
"""Characters of events kept per run that is watched: some 200 long tracebacks."""
MOST_ERROR_LINES = 200
"""Lines kept of one error message."""
BURST_SECONDS = 10.0
"""HTTP errors closer together than this are one burst: one stats interval of vLLM."""
HTTP_ERRORS = "http_errors"
"""Kind of the event for a burst of requests answered with an error."""
_FORGETTABLE = frozenset({"error", "spike", "refused", HTTP_ERRORS})


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
    def unstamped_time(self) -> float | None:
        """When a line without a stamp counts, None if unknown.

        The wrapper's stamp before it says so, else its arrival, else the newest stamp before it.
        """
        return self.event.written or self.arrived or self.newest_stamp

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


class KeptEvents(list[KeptEvent]):
    """The events of one run, in the order of the log."""

    def __init__(self, *, bounded: bool) -> None:
        """Start empty; `bounded`: their text is limited, too."""
        super().__init__()
        self._bounded = bounded
        self.characters = 0
        """Characters of all of them."""

    def add(self, kept: KeptEvent) -> None:
        """Keep a new event."""
        self.append(kept)
        self._count_text(len(kept.event.text))
        if len(self) > MOST_EVENTS:
            self._forget()

    def continued_by(self, event: Event) -> bool:
        """Add a line that continues the error before it to that; return whether it does."""
        begun = self._newest_of(own=True) if event.continues else None
        if begun is None or begun.event.twin != event.twin:
            return False
        if len(begun.lines) < MOST_ERROR_LINES:
            begun.lines.append(event.text)
            self._count_text(len(event.text))
        return True

    def add_answers(
        self,
        requests: Requests,
        errors: Mapping[str, int],
        kept: Callable[[Event], KeptEvent],
    ) -> None:
        """Keep answers with an error; those of one burst share one event at its beginning."""
        burst = self._newest_of(own=False)
        if burst is not None and not _near(burst.event.time, requests.time):
            burst = None
        before = {} if burst is None else burst.event.fields
        known = Counter({status: n for status, n in before.items() if isinstance(n, int)})
        total = known + Counter(errors)
        listed = {*str(before.get("routes", "")).split(", "), *requests.failing} - {""}
        routes = ", ".join(sorted(listed))
        text = _answers(total) + (f" at {routes}" if routes else "")
        fields: dict[str, FieldValue] = {**total, **({"routes": routes} if routes else {})}
        if burst is None:
            self.add(kept(Event(HTTP_ERRORS, requests.time, text, fields, "ERROR")))
        else:
            burst.event = replace(burst.event, text=text, fields=fields)

    def forget(self, count: int, fewest: int) -> int:
        """Drop `count` events, the ordinary ones first, but keep `fewest`; return how many went."""
        count = max(0, min(count, len(self) - fewest))
        for _ in range(count):
            self._forget()
        return count

    def forget_text(self) -> None:
        """Drop events until their text is no longer than `MOST_TEXT`."""
        while self.characters > MOST_TEXT and len(self) > 1:
            self._forget()

    def _count_text(self, characters: int) -> None:
        self.characters += characters
        if self._bounded:
            self.forget_text()

    def _forget(self) -> None:
        """Drop the oldest event that says nothing about the state, or else one in the middle."""
        ordinary = (i for i, m in enumerate(self) if m.event.kind in _FORGETTABLE)
        index = next(ordinary, len(self) // 2)
        self.characters -= self.pop(index).size

    def _newest_of(self, *, own: bool) -> KeptEvent | None:
        """Return the newest event: from a line of the log (`own`), or from failed requests."""
        return next((m for m in reversed(self) if (m.event.kind != HTTP_ERRORS) == own), None)


def _near(one: float | None, other: float | None) -> bool:
    """Return whether two times belong to one burst; two unknown times do."""
    if one is None or other is None:
        return one is other
    return abs(other - one) <= BURST_SECONDS


def _answers(errors: Mapping[str, int]) -> str:
    """Return `12 requests answered 500, 1 answered 503`."""
    parts = [f"{n:,} answered {status}" for status, n in sorted(errors.items())]
    first, *rest = parts
    number, _, answered = first.partition(" ")
    noun = "request" if number == "1" else "requests"
    return ", ".join([f"{number} {noun} {answered}", *rest])
