"""Requests counted from one stamped line to the next.

Access lines have no stamp: requests get the time of the newest stamped line before them. Behind a
wrapper with a clock, those answered with an error get their own time, since an error has a "since
when"; the others are too many for that.
"""

from __future__ import annotations

from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.parsing.access import AccessCounter, Answer, requests_of

if TYPE_CHECKING:
    from vllm_watch.parsing.outerclock import OuterClock
    from vllm_watch.parsing.scan import BlockCursor, Scan


class RequestCounts:
    """Counts requests, and makes records of them."""

    def __init__(self, access: AccessCounter, outer: OuterClock) -> None:
        """Count what `access` finds; `outer` is the clock of the wrapper, if there is one."""
        self._access = access
        self._outer = outer
        self.waiting: dict[Answer, int] = {}
        """Requests since the newest stamped line, from texts that were read before."""

    def count(self, cursor: BlockCursor, end: int, stamp: float | None) -> None:
        """Turn the requests up to `end` that are not counted yet into records."""
        self.hold(cursor, end)
        self.say(cursor.scan, stamp)

    def say(self, scan: Scan, stamp: float | None) -> None:
        """Turn the counted requests into a record; they came after a stamp."""
        counted = requests_of(self.waiting, stamp)
        if counted is not None:
            scan.items.append(counted)
            self.waiting.clear()

    def hold(self, cursor: BlockCursor, end: int) -> None:
        """Count the requests since the last count, up to `end`."""
        counts, failed = self.waiting, False
        for answer, number in self._access.count(cursor.block, cursor.counted, end).items():
            counts[answer] = counts.get(answer, 0) + number
            failed = failed or answer.route != ""
        if failed and self._outer.known_in(cursor.block, end):
            self._take_timed(cursor, end)
        cursor.counted = end
        while cursor.removed and cursor.removed[-1][0] <= end:
            _, answer, number = cursor.removed.pop()
            counts[answer] = counts.get(answer, 0) + number

    def _take_timed(self, cursor: BlockCursor, end: int) -> None:
        """Make records of the failing requests up to `end` whose wrapper says when."""
        timed: dict[float, dict[Answer, int]] = {}
        for position, answer in self._access.failing(cursor.block, cursor.counted, end):
            time = self._outer.steady(cursor.block, position)
            if time is not None:
                same = timed.setdefault(time, {})
                same[answer] = same.get(answer, 0) + 1
                self.waiting[answer] -= 1
                if not self.waiting[answer]:
                    del self.waiting[answer]
        records = (requests_of(same, time) for time, same in timed.items())
        cursor.scan.items += [one for one in records if one is not None]
