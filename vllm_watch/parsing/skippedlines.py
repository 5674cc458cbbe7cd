"""Lines without information, recognised by their shape and skipped.

A shape is a line whose digits are all zero. A line is learnt after it has been read in full and
gave nothing; one of the same shape can differ only in digits, so it would give nothing either.
What is read does not depend on this memory, only how long it takes.
"""

from __future__ import annotations

from collections.abc import Callable

from vllm_watch.core.hints import NamedTuple
from vllm_watch.parsing.access import PROTOCOL
from vllm_watch.parsing.envelope import Envelope
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.text import ZEROS, without_escapes

LONGEST = 512
"""Most bytes of a remembered line: long lines rarely repeat."""
MOST = 4_096
"""Most shapes remembered."""


class Place(NamedTuple):
    """Where the parts of a line are."""

    line: bytes
    """The line without its newline."""
    stamp: int
    """Where its stamp begins."""
    body: int
    """Where its message begins."""
    end: int
    """Where its message ends."""


def place_of(block: bytes, at: tuple[int, int, int], envelope: Envelope) -> Place:
    """Return the parts of a line; `at` is where it begins, where its message begins, its end."""
    start, body, end = at
    line, body = block[start:end], body - start
    return Place(line, line.rfind(envelope.stamp, 0, body), body, len(line.rstrip(b"\r\n \0")))


class SkippedLines:
    """Shapes of lines that give no record, with the position of their stamp."""

    def __init__(self, formats: Formats, silent: Callable[[bytes], bool]) -> None:
        """Remember lines that `formats` do not read.

        `silent` returns True if a text has nothing of the lines that are read without an envelope.
        """
        self._formats = formats
        self._silent = silent
        self.stamps: dict[bytes, int] = {}
        """The shapes, each with the position of its stamp."""

    def learn(self, block: bytes, at: tuple[int, int, int], envelope: Envelope) -> None:
        """Remember a line that gave no record; `at` as for `place_of`."""
        start, body, end = at
        if (
            end - start > LONGEST
            or len(self.stamps) >= MOST
            or envelope.level in ("ERROR", "CRITICAL")
            or block.find(b".py:", body, end) >= 0
            or block.find(PROTOCOL, start, end) >= 0
            or not self._silent(block[start:end])
            or not self._formats.is_skippable(without_escapes(block[body:end]))
        ):
            return
        stamp = block.rfind(envelope.stamp, start, body)
        if stamp >= 0:
            self.stamps[block[start:end].translate(ZEROS)] = stamp - start
