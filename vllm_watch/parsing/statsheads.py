"""Stats lines read by the head of an earlier one: they differ only in their numbers.

A head is remembered with its digits zero, once a stats line with it was read in full. A line with
the same head then needs no search for its envelope, only its numbers are read. What is read does
not depend on this memory, only how long it takes.
"""

from __future__ import annotations

from vllm_watch.core.hints import NamedTuple
from vllm_watch.parsing.envelope import Envelope
from vllm_watch.parsing.formats import Formats, LineForm
from vllm_watch.parsing.parts import Parts
from vllm_watch.parsing.text import LONGEST_MESSAGE, ZEROS
from vllm_watch.parsing.timestamps import STAMP_LENGTH

MOST_HEADS = 64
"""Most heads remembered of one log: each of its API servers has a few."""
_ANCHOR = b".py:"
_ENDS = b"] "
_LONGEST_ANCHOR = len(b".py:123456] ")


class StatsLine(NamedTuple):
    """What a stats line holds."""

    end: int
    """Where its head ends in the block."""
    stamp: bytes
    parts: Parts
    writer: str
    """The numbered API server that wrote the line, empty if there is only one server."""


class _Head(NamedTuple):
    stamp: int
    """Where the stamp begins in the head."""
    writer: slice | None
    """Where the name of a numbered API server is."""
    forms: tuple[LineForm, ...]


class StatsHeads:
    """The heads of the stats lines of one log."""

    def __init__(self, formats: Formats) -> None:
        self._formats = formats
        self._heads: dict[bytes, _Head] = {}

    def learn(self, block: bytes, at: tuple[int, int, int], envelope: Envelope) -> None:
        """Remember the head of a stats line.

        `at`: where the line begins, where the head begins, where the head ends. Nothing is
        remembered if the first two differ, because then the line holds more than one message.
        """
        start, head_start, end = at
        head = block[start:end]
        file, process = envelope.file, envelope.process.encode()
        if (
            start != head_start
            or len(self._heads) >= MOST_HEADS
            or not head.endswith(_ENDS)
            or head.count(_ANCHOR) != 1
            or b"\x1b" in head
            or file in self._formats.opaque_files
        ):
            return
        forms = tuple(form for form in self._formats.stats if file in form.files)
        writer = None
        if process[-1:].isdigit():
            begin = head.find(process, envelope.start)
            writer = slice(begin, begin + len(process))
        stamp = head.rfind(envelope.stamp)
        self._heads[head.translate(ZEROS)] = _Head(stamp, writer, forms)

    def read(self, block: bytes, start: int, anchor: int, stop: int) -> StatsLine | None:
        """Return the content of the line `block[start:stop]`, None if it must be read in full.

        `anchor` is where its first `.py:` is.
        """
        end = block.find(_ENDS, anchor, anchor + _LONGEST_ANCHOR) + len(_ENDS)
        head = self._heads.get(block[start:end].translate(ZEROS)) if end > anchor else None
        if head is None or stop - end > LONGEST_MESSAGE:
            return None
        body = block[end:stop].rstrip(b"\r\n \x00")
        if _ANCHOR in body or b"\x1b" in body:
            return None
        for form in head.forms:
            if form.contains in body:
                parts = form.reader.read(body)
                if parts and form.is_whole(parts.values):
                    at, writer = start + head.stamp, head.writer
                    name = "" if writer is None else block[start:end][writer].decode()
                    return StatsLine(end, block[at : at + STAMP_LENGTH], parts, name)
        return None
