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

    def count(self, block: bytes, start: int, end: int, stamp: float | None) -> Requests | None:
        """Return the requests in `block[start:end]`, None if there are none."""
        if self._access is None:
            return None
        total = block.count(_PROTOCOL, start, end)
        if total == 0:
            return None
        if self._usual and block.count(self._usual, start, end) == total:
            counts = Counter({self._usual_key: total})
        else:
            counts = self._one_by_one(block, start, end)
        served = {status: n for (what, status), n in counts.items() if what == "served"}
        polls = sum(n for (what, _), n in counts.items() if what == "polls")
        other = sum(n for (what, _), n in counts.items() if what == "other")
        return Requests(stamp, served, polls, other) if served or polls or other else None

    def _one_by_one(self, block: bytes, start: int, end: int) -> Counter[tuple[str, str]]:
        counts: Counter[tuple[str, str]] = Counter()
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
            line = found.group()
            self._usual, self._usual_key = line[line.index(b' - "') :], key
        return counts
