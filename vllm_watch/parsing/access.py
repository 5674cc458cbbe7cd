"""Access lines counted by status, without looking at each where they are all alike."""

from __future__ import annotations

from collections import Counter

from vllm_watch.core.records import Requests
from vllm_watch.parsing.formats import Access

_PROTOCOL = b" HTTP/1."


class AccessCounter:
    """Counts the access lines between two stamped lines.

    Requests come in long rows of the same method, route and status. The newest such text is
    counted first; only if that does not account for every access line are they read one by one.
    """

    def __init__(self, access: Access | None) -> None:
        """Count lines of the form `access`; None counts nothing."""
        self._access = access
        self._usual = b""
        self._usual_key = ("", "")
        self._usual_route = ""

    def count(self, block: bytes, start: int, end: int, stamp: float | None) -> Requests | None:
        """Return the requests in `block[start:end]`, None if there are none."""
        if self._access is None:
            return None
        total = block.count(_PROTOCOL, start, end)
        if total == 0:
            return None
        if self._usual and block.count(self._usual, start, end) == total:
            counts = Counter({self._usual_key: total})
            what, status = self._usual_key
            failing = {self._usual_route: total} if what == "served" and status >= "400" else {}
        else:
            counts, failing = self._one_by_one(block, start, end)
        served = {status: n for (what, status), n in counts.items() if what == "served"}
        polls = sum(n for (what, _), n in counts.items() if what == "polls")
        other = sum(n for (what, _), n in counts.items() if what == "other")
        if not (served or polls or other):
            return None
        return Requests(stamp, served, polls, other, failing)

    def _one_by_one(
        self, block: bytes, start: int, end: int
    ) -> tuple[Counter[tuple[str, str]], dict[str, int]]:
        """Return requests by what they were and status, and the routes of those that failed."""
        counts: Counter[tuple[str, str]] = Counter()
        failing: Counter[str] = Counter()
        access = self._access
        assert access is not None
        for found in access.pattern.finditer(block, start, end):
            method, route, status = found.group("method", "route", "status")
            if method == b"POST" and route in access.inference:
                key = ("served", status.decode())
            elif route in access.polls:
                key = ("polls", status.decode())
            else:
                key = ("other", status.decode())
            counts[key] += 1
            if key[0] == "served" and key[1] >= "400":
                failing[route.decode()] += 1
            line = found.group()
            self._usual, self._usual_key = line[line.index(b' - "') :], key
            self._usual_route = route.decode("utf-8", "replace")
        return counts, dict(failing)
