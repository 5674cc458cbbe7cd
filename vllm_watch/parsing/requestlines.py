"""Lines with the arrival or the end of a request: their stamps and ids."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from vllm_watch.core.answered import AnsweredTable
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.parsing.timestamps import StampClock

if TYPE_CHECKING:
    import re

GROUPS = ("stamp", "word", "id")
"""Groups that the pattern must have."""
MOST_OPEN = 10_000
"""Most open requests; beyond that, the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class RequestForm:
    """The form of lines about single requests."""

    pattern: re.Pattern[bytes]
    """Matches from the beginning of a line; its groups are `GROUPS`."""
    begins: tuple[bytes, ...]
    """Words for the arrival of a request."""
    ends: tuple[bytes, ...]
    """Words for its answer."""
    drops: tuple[bytes, ...]
    """Words for its end without an answer."""


class RequestLines:
    """Pairs the lines of one log, block by block."""

    def __init__(self, form: RequestForm) -> None:
        self._form = form
        self._open: dict[bytes, float] = {}
        """Id to the time at which the request came."""

    def concerns(self, text: bytes) -> bool:
        """Return whether a text may begin requests, or end open ones."""
        return bool(self._open) or any(b" %b " % word in text for word in self._form.begins)

    def read(self, text: bytes, clock: StampClock) -> AnsweredTable | None:
        """Return the requests that ended in a text of whole lines, None if none did.

        `clock` has resolved the stamps of these lines before.
        """
        form = self._form
        ends, lasted, aborted = array("d"), array("d"), array("d")
        for start in sorted(set(self._starts(text))):
            found = form.pattern.match(text, start)
            time = None if found is None else clock.again(found["stamp"])
            if found is None or time is None:
                continue
            word, name = found["word"], found["id"]
            if word in form.begins:
                self._begin(name, time)
                continue
            for one in name.split(b","):
                began = self._open.pop(one, None)
                if began is None or time < began:
                    continue
                if word in form.ends:
                    ends.append(time)
                    lasted.append(time - began)
                elif time > began:
                    aborted.append(time)
        return AnsweredTable(ends, lasted, aborted) if ends or aborted else None

    def _begin(self, name: bytes, time: float) -> None:
        self._open.setdefault(name, time)
        if len(self._open) > MOST_OPEN:
            del self._open[next(iter(self._open))]

    def _starts(self, text: bytes) -> Iterable[int]:
        """Yield the beginnings of lines that hold one of the words."""
        form = self._form
        for word in (*form.begins, *form.ends, *form.drops):
            at = text.find(b" %b " % word)
            while at >= 0:
                yield text.rfind(b"\n", 0, at) + 1
                end = text.find(b"\n", at)
                at = text.find(b" %b " % word, end) if end >= 0 else -1


class RequestsLater(RequestLines):
    """Collects the lines; they are paired once the requests open before them are known."""

    def __init__(self, form: RequestForm) -> None:
        super().__init__(form)
        self.lines = b""
        """Those of the newest text."""

    def concerns(self, text: bytes) -> bool:
        """Return whether a text holds any of the lines."""
        self.lines = b""
        return next(iter(self._starts(text)), None) is not None

    def read(self, text: bytes, clock: StampClock) -> None:
        """Gather the lines of a text."""
        starts = sorted(set(self._starts(text)))
        ends = (text.find(b"\n", start) + 1 or len(text) for start in starts)
        pairs = zip(starts, ends, strict=True)
        self.lines = b"".join(text[start:end] for start, end in pairs)
