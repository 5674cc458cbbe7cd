"""When a line without vLLM's stamp was written: a wrapper's stamp before it says so.

A wrapper has a clock of its own, perhaps in another zone. The newest line with both stamps shows
how the two clocks differ. Usually the wrapper writes its stamp up to `LATE` seconds after vLLM
wrote the line, and the zones differ by a multiple of a quarter of an hour: then exactly that is
between the clocks. If not (a clock is wrong, or lines waited in a pipe), the line was written as
long after the newest line with both stamps as the wrapper's stamps are apart.

Before any line has both stamps,

- a stamp with a zone counts as it is, if the zone of vLLM's stamps is known or there is none yet;
- a stamp with a date counts as vLLM's own, if it is at most `NEAR` after the newest of those;
- any other says nothing: the line has only the newest stamp before it, as without a wrapper.

Times are whole seconds, like those of vLLM's own stamps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC

from vllm_watch.core.hints import TYPE_CHECKING, NamedTuple
from vllm_watch.parsing.outerstamps import LONGEST, OuterStamp, outer_clock, outer_stamp
from vllm_watch.parsing.timestamps import QUARTER, STAMP_LENGTH, is_stamp, stamp_ends

if TYPE_CHECKING:
    from vllm_watch.parsing.scanner import Scanner

LATE = 10.0
"""Most seconds that a wrapper usually takes until it writes its stamp."""
EARLY = 1.0
"""Seconds by which its clock may be behind vLLM's."""
NEAR = 3600.0
"""A stamp without a zone is from vLLM's clock if it follows vLLM's newest within this time: no two
zones are nearer to each other, but for those that are half or three quarters of an hour apart."""
LONGEST_LINE = 1 << 20
"""Bytes before a position in which the beginning of its line is searched: bars make it long."""


_WITHIN_A_DATE = b"-/"
"""Bytes before a text that looks like vLLM's stamp, but is the end of another."""


class BothStamps(NamedTuple):
    """The stamps of a line that has two."""

    outer: OuterStamp
    """The wrapper's."""
    own: bytes
    """vLLM's."""


class OuterClock:
    """The clock of the wrapper around the lines that a scanner reads."""

    def __init__(self, scanner: Scanner) -> None:
        """Know nothing of the wrapper, if there is one."""
        self._scanner = scanner
        self._strip = scanner.formats.unwrapper.strip
        self._plain = scanner.formats.unwrapper.plain
        self._newest: BothStamps | None = None
        """The stamps of the newest line with both, before `_head`."""
        self._head = b""
        """The beginning of a newer one, until its stamps are needed."""
        self.seen = False
        """Whether there was any such line."""
        self.noted: object = scanner.stamped
        """The newest stamped line whose wrapper was looked for, as the scanner has it."""

        self._sought = b"", 0
        """The block that was searched for such a line in vain, and up to where."""

    @property
    def newest(self) -> BothStamps | None:
        """The stamps of the newest line with both."""
        if self._head:
            self._newest = self._both(self._head) or self._newest
            self._head = b""
        return self._newest

    def continue_from(self, newest: BothStamps | None) -> None:
        """Continue where another clock of the same wrapper was."""
        self._set(newest)
        self.noted = self._scanner.stamped

    def note(self, text: bytes, end: int) -> None:
        """Look for the newest line with both stamps in `text[:end]`, which has been read."""
        stamped = self._scanner.stamped
        if stamped is self.noted:
            return
        self.noted = stamped
        at = text.rfind(stamped[0], 0, end) if stamped[0] else -1
        while at > 0 and text[at - 1] in _WITHIN_A_DATE:
            at = text.rfind(stamped[0], 0, at)
        start = text.rfind(b"\n", 0, max(0, at)) + 1
        if at < 0 or (not self.seen and text.find(b":", start, at) < 0):
            return  # most logs have no wrapper with a clock
        at = _newest(text, stamped[0], at + STAMP_LENGTH)
        if start < at < start + LONGEST and outer_clock(text, start, at):
            self._head, self.seen = text[start : at + STAMP_LENGTH], True
        elif at >= 0:
            self._note(_lines_until(text, at))

    def note_lines(self, newest_first: Iterable[bytes]) -> None:
        """Do the same for lines with vLLM's stamp."""
        if self._scanner.stamped is not self.noted:
            self.noted = self._scanner.stamped
            self._note(newest_first)

    def written(self, block: bytes, position: int) -> float | None:
        """Return when the line at a position was written, None if no wrapper's stamp says so.

        Epoch seconds of vLLM's clock, in whole seconds.
        """
        outer, start = self._before(block, position)
        if outer is None:
            return None
        self.note(block, start)
        self._find(block, start)
        late = self._late(outer)
        return self._alone(outer) if late is None else self._time(outer, late)

    def steady(self, block: bytes, position: int) -> float | None:
        """Return the same, but None unless the clocks differ by a multiple of a quarter.

        Then it does not matter which line with both stamps showed that.
        """
        outer, start = self._before(block, position, LONGEST)
        if outer is None:
            return None
        self._find(block, start)
        late = self._late(outer)
        return None if late is None or late > LATE else self._time(outer, late)

    def known_in(self, block: bytes, end: int) -> bool:
        """Return whether a line with both stamps is known, or stands in `block[:end]`."""
        return self.seen or self._search(block, end) is not None

    def _find(self, block: bytes, end: int) -> None:
        """Find the newest line with both stamps in `block[:end]`, if none was known so far.

        Before, only the newest stamped line of each block was looked at.
        """
        if not self.seen:
            self._set(self._search(block, end))

    def _search(self, block: bytes, end: int) -> BothStamps | None:
        """Return the stamps of that line. No part is searched twice in vain."""
        known, begin = self._sought
        begin = begin if known is block else 0
        ends = reversed([*stamp_ends(block[begin:end])])
        lines = (next(_lines_until(block, begin + at - STAMP_LENGTH)) for at in ends)
        found = next((both for line in lines if (both := self._both(line))), None)
        if found is None:
            self._sought = block, max(begin, end)
        return found

    def _note(self, newest_first: Iterable[bytes]) -> None:
        for line in newest_first:
            found = self._both(line)
            if found is not None:
                self._set(found)
            if found is not None or not self.seen:  # or no line has a wrapper's stamp
                return

    def _set(self, newest: BothStamps | None) -> None:
        self._newest, self._head, self.seen = newest, b"", newest is not None

    def _both(self, line: bytes) -> BothStamps | None:
        """Return both stamps of a line, None if it has only vLLM's."""
        if b'{"' in line[:LONGEST]:
            line = self._plain(line)
        end = next(stamp_ends(line[: 2 * LONGEST]), 0)
        head = line[: max(0, end - STAMP_LENGTH)]
        outer = outer_stamp(head)
        return None if outer is None else BothStamps(outer, line[len(head) : end])

    def _before(
        self, block: bytes, position: int, reach: int = LONGEST_LINE
    ) -> tuple[OuterStamp | None, int]:
        """Return the wrapper's stamp of the line at a position, and where the line begins.

        The line must begin at most `reach` bytes before.
        """
        start = block.rfind(b"\n", max(0, position - reach), position) + 1
        head = block[start : start + LONGEST]
        if (not start and position > reach) or outer_stamp(head) is None:
            return None, start
        text = head.partition(b"\n")[0].partition(b"\r")[0].decode("utf-8", "replace")
        return outer_stamp(text.removesuffix(self._strip(text)).encode()), start

    def _late(self, outer: OuterStamp) -> float | None:
        """Return how much later than vLLM's the wrapper's stamp of the newest line with both is.

        Multiples of a quarter of an hour do not count. None if there is no such line.
        """
        clock, newest = self._scanner.clock, self.newest
        if newest is None or newest.outer.form != outer.form:
            return None
        own, both = clock.again(newest.own), newest.outer.at(UTC, clock.year)
        return None if own is None or both is None else (both - own + EARLY) % QUARTER - EARLY

    def _time(self, outer: OuterStamp, late: float) -> float | None:
        """Return the time of a wrapper's stamp in vLLM's clock."""
        clock, newest = self._scanner.clock, self.newest
        assert newest is not None
        own, passed = clock.again(newest.own), outer.since(newest.outer, clock.year)
        if own is None or passed is None:
            return None
        return own + passed + (late if late <= LATE else 0.0)

    def _alone(self, outer: OuterStamp) -> float | None:
        """Return the time of a stamp of which no line shows how it differs from vLLM's."""
        zone, newest = self._scanner.clock.zone, self._scanner.stamp
        if not outer.year:
            return None
        if outer.zone is not None and (newest is None or not zone.assumed):
            return outer.at(zone.tz)
        time = outer.at(zone.tz)
        near = time is not None and newest is not None and -EARLY <= time - newest <= NEAR
        return time if near else None


def _newest(text: bytes, stamp: bytes, end: int) -> int:
    """Return where the newest stamped line of a text has its stamp, −1 if it is not there."""
    at = text.rfind(stamp, 0, end)
    while at >= 0 and not is_stamp(text, at):
        at = text.rfind(stamp, 0, at + STAMP_LENGTH - 1)
    return at


def _lines_until(text: bytes, at: int) -> Iterator[bytes]:
    """Yield the lines with vLLM's stamp, the newest first: that has its stamp at a position."""
    start = text.rfind(b"\n", max(0, at - LONGEST_LINE), at) + 1
    end = text.find(b"\n", at)
    yield text[start : None if end < 0 else end]
    for found in reversed([*stamp_ends(text[:start])]):
        if found < start:
            end = text.find(b"\n", found)
            start = text.rfind(b"\n", 0, found) + 1
            yield text[start:end]
