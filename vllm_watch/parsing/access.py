"""Access lines, counted by route and status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.records import Requests
from vllm_watch.parsing.formats import Access

PROTOCOL = b" HTTP/1."
"""A text in every access line."""


class Answer(NamedTuple):
    """The content of an access line."""

    what: str
    """`served` (an inference route), `polls` or `other`."""
    status: str
    route: str
    """The route of an inference request answered with status 400 or above; empty for others."""

    @property
    def failing(self) -> bool:
        """Whether an inference request was answered with an error."""
        return self.what == "served" and self.status >= "400"


_NO_REQUESTS: Mapping[Answer, int] = MappingProxyType({})


class AccessCounter:
    """Counts the access lines between two stamped lines."""

    def __init__(self, access: Access | None) -> None:
        """Count lines of the form `access`; None counts nothing."""
        self._access = access

    def count(self, block: bytes, start: int, end: int) -> Mapping[Answer, int]:
        """Return the requests in `block[start:end]`, counted by route and status."""
        if self._access is None or block.find(PROTOCOL, start, end) < 0:
            return _NO_REQUESTS
        pattern = self._access.pattern
        places = [pattern.groupindex[name] - 1 for name in ("method", "route", "status")]
        counts: Counter[Answer] = Counter()
        for groups, number in Counter(pattern.findall(block, start, end)).items():
            counts[self._answer_of(*(groups[place] for place in places))] += number
        return counts

    def lines(self, text: bytes) -> Iterator[tuple[bytes, int, Answer]]:
        """Yield each line that holds one request, the position of its method, and its content."""
        if self._access is None:
            return
        for found in self._access.pattern.finditer(text):
            start = text.rfind(b"\n", 0, found.start()) + 1
            end = text.find(b"\n", found.end())
            line = text[start:end] if end >= 0 else b""
            if line.count(PROTOCOL) == 1:
                answer = self._answer_of(*found.group("method", "route", "status"))
                yield line, found.start("method") - start, answer

    def failing(self, block: bytes, start: int, end: int) -> Iterator[tuple[int, Answer]]:
        """Yield place and content of each request in `block[start:end]` answered with an error."""
        if self._access is None:
            return
        for found in self._access.pattern.finditer(block, start, end):
            answer = self._answer_of(*found.group("method", "route", "status"))
            if answer.failing:
                yield found.start(), answer

    def _answer_of(self, method: bytes, route: bytes, status: bytes) -> Answer:
        access = self._access
        assert access is not None
        if method == b"POST" and route in access.inference:
            what = "served"
        else:
            what = "polls" if route in access.polls else "other"
        answer = Answer(what, status.decode(), "")
        return answer._replace(route=route.decode("utf-8", "replace")) if answer.failing else answer


def requests_of(counts: Mapping[Answer, int], stamp: float | None) -> Requests | None:
    """Return requests counted by their answers as a record, None if there are none."""
    if not counts:
        return None
    served: dict[str, int] = {}
    failing: dict[str, int] = {}  # a Counter takes longer to make than to fill
    polls = 0
    for answer, number in counts.items():
        if answer.what == "served":
            served[answer.status] = served.get(answer.status, 0) + number
            if answer.failing:
                failing[answer.route] = failing.get(answer.route, 0) + number
        elif answer.what == "polls":
            polls += number
    return Requests(stamp, served, polls, failing)
