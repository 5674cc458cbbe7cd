"""Stats lines read by an earlier one: they differ only in their digits.

A stats line is remembered with its digits zero, once it was read in full. A line of the same shape
needs no search, only its numbers are read. What is read does not depend on this memory, only how
long it takes. All logs share it.
"""

from __future__ import annotations

from collections.abc import Callable

from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.records import Sample
from vllm_watch.parsing.access import PROTOCOL
from vllm_watch.parsing.envelope import Envelope
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.parts import Spans
from vllm_watch.parsing.skippedlines import LONGEST, place_of
from vllm_watch.parsing.text import STATS_LIKE, ZEROS
from vllm_watch.parsing.timestamps import STAMP_LENGTH

MOST_LINES = 4_096
"""Most shapes of stats lines remembered: a number has one to five digits."""
_ANCHOR = b".py:"
_OTHERS = (b'{"', b"\r", b"\0", b"\x1b")
"""Text of JSON objects, of lines that were rewritten, of colours."""


class StatsLine(NamedTuple):
    """Where the parts of all stats lines are that differ only in their digits."""

    stamp: slice
    body: int
    """Where the message begins."""
    spans: Spans
    """Where the numbers are in the message."""
    writer: slice | None
    """Where the name of a numbered API server is."""
    stats_like: int
    """How often such a line has the words by which stats lines are counted: 0 or 1."""
    clocked: bool
    """Whether there may be a wrapper's clock before its stamp."""

    def sample(self, line: bytes, time: float) -> Sample:
        """Return the sample of a line that was written at `time`."""
        engine, values = self.spans.parts(line[self.body :])
        writer = "" if self.writer is None else line[self.writer].decode()
        return Sample(time, engine or 0, values, writer=writer)


class StatsLines:
    """Knows stats lines again."""

    def __init__(self, formats: Formats, silent: Callable[[bytes], bool]) -> None:
        """`silent` returns whether a text has nothing of lines read without an envelope."""
        self._formats = formats
        self._silent = silent
        self.known: dict[bytes, StatsLine] = formats.stats_lines
        """By lines with zeros for their digits."""

    def learn(self, block: bytes, at: tuple[int, int, int], envelope: Envelope) -> None:
        """Remember a stats line that was read in full, if nothing else can be in it.

        `at` as for `place_of`.
        """
        place = place_of(block, at, envelope)
        line, file = place.line, envelope.file
        if len(line) > LONGEST or (zeros := line.translate(ZEROS)) in self.known:
            return
        more = line.count(_ANCHOR) > 1 or line.count(STATS_LIKE) > 1
        if more or any(word in line.rstrip(b"\r") for word in _OTHERS) or not self._silent(line):
            return
        spans = self._spans_of(file, line[place.body : place.end])
        if spans is None or file in self._formats.opaque_files or self._is_read_beside(zeros):
            return
        writer, process = None, envelope.process.encode()
        if process[-1:].isdigit():
            begin = line.find(process, envelope.start)
            writer = slice(begin, begin + len(process))
        if len(self.known) >= MOST_LINES:
            self.known.clear()
        stamp = slice(place.stamp, place.stamp + STAMP_LENGTH)
        like, clocked = line.count(STATS_LIKE), b":" in line[: place.stamp]
        self.known[zeros] = StatsLine(stamp, place.body, spans, writer, like, clocked)

    def _is_read_beside(self, zeros: bytes) -> bool:
        """Return whether a line, its digits zero, may count a request or a step as well."""
        steps, requests = self._formats.iterations, self._formats.requests
        words = [PROTOCOL, *([] if steps is None else [steps.contains])]
        if requests is not None:
            words += [b" %b " % one for one in (*requests.begins, *requests.ends, *requests.drops)]
        return any(word.translate(ZEROS) in zeros for word in words)

    def _spans_of(self, file: str, body: bytes) -> Spans | None:
        for form in self._formats.stats:
            spans = form.reader.spans_of(body) if form.fits(file, body) else None
            if spans is not None and form.is_whole(name for name, *_ in spans.picks):
                return spans
        return None
