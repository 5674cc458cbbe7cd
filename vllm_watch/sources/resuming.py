"""Where to continue if a command writes part of its output again.

When `kubectl logs -f` is started again, it repeats its earlier output or a tail of it. The newest
lines seen are searched in the new output; lines up to there are known.
"""

from __future__ import annotations

from collections.abc import Iterator

from vllm_watch.sources.chunks import Chunk, LineCutter

MARK_BYTES = 1024
"""Newest bytes that are searched for: whole lines; stats lines have a time, so they differ."""
HEAD_BYTES = 1024
QUIET_SECONDS = 2.0
"""After this silence, an output without the newest lines seen counts as a new one."""
QUIET_SECONDS_SAME = 30.0
"""The same for an output that begins as before: the newest lines seen may still come."""
MOST_HELD = 64 << 20
"""Most bytes held back while the mark is searched."""


class Resuming:
    """Remembers the end of an output, and finds it again."""

    def __init__(self) -> None:
        self._head = b""
        self._mark = b""
        self._held: bytes | None = None
        self._newest = 0.0
        self.known = True
        """Whether the mark was found at the last search."""

    @property
    def same(self) -> bool:
        """Return whether the held output begins as the earlier one did."""
        return bool(self._head) and bool(self._held) and (self._held or b"").startswith(self._head)

    @property
    def looking(self) -> bool:
        """Return whether output is held back."""
        return self._held is not None

    def again(self, time: float) -> None:
        """The output begins again, at `time` of a clock that only grows."""
        if self._mark:
            self._held, self._newest = b"", time

    def saw(self, whole: bytes) -> None:
        """Remember whole lines that were passed on."""
        if len(self._head) < HEAD_BYTES:
            self._head = (self._head + whole)[:HEAD_BYTES]
        end = whole.rfind(b"\n") + 1
        if end:
            self._mark = (self._mark + whole[:end])[-MARK_BYTES:]

    def feed(self, data: bytes, time: float) -> bytes | None:
        """Add output; return its new part, None while that is unknown.

        `b""` means that the mark was found and nothing follows it yet.
        """
        if self._held is None:
            return data
        if data:
            self._newest = time
        self._held += data
        at = self._held.rfind(self._mark)
        if at >= 0:
            held, self._held, self.known = self._held, None, True
            return held[at + len(self._mark) :]
        quiet = time - self._newest >= (QUIET_SECONDS_SAME if self.same else QUIET_SECONDS)
        if len(self._held) > MOST_HELD and self.same:
            self._held = self._held[-MARK_BYTES:]  # known: it began as before
        elif self._held and (quiet or len(self._held) > MOST_HELD):
            return self.give_up()
        return None

    def give_up(self) -> bytes:
        """Return the held output: it is another output, and all of it is new."""
        held, self._held, self.known = self._held or b"", None, False
        self._head = self._mark = b""
        return held


class RepeatedLines:
    """Yields the whole lines of an output, each once, even when the output begins again."""

    def __init__(self, number: int) -> None:
        """Begin; `number` distinguishes the outputs of one command."""
        self._cutter = LineCutter((0, number))
        self._resuming = Resuming()

    def again(self, time: float) -> None:
        """The output begins again, at `time` of a clock that only grows."""
        self._resuming.again(time)

    def feed(self, data: bytes, time: float) -> Iterator[Chunk]:
        """Yield the whole lines that were not there before the output began again."""
        looking = self._resuming.looking
        if not data and not looking:
            return
        new = self._resuming.feed(data, time)
        if new is None:
            return
        if looking and self._resuming.known:
            self._cutter.rest = b""  # half a line from before comes again
        elif looking:
            new = self._after_the_end(new)
        yield from self._handed(self._cutter.feed(new))

    def end(self) -> Iterator[Chunk]:
        """Yield the held lines of a different output: it has ended."""
        if self._resuming.looking and not self._resuming.same:
            new = self._after_the_end(self._resuming.give_up())
            yield from self._handed(self._cutter.feed(new))

    def finish(self) -> Iterator[Chunk]:
        """Yield a last line that lacks its newline."""
        return self._cutter.finish()

    def _after_the_end(self, new: bytes) -> bytes:
        """Return the next output, which begins after the unfinished line of the one before."""
        return b"\n" + new if self._cutter.rest else new

    def _handed(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        for chunk in chunks:
            self._resuming.saw(chunk.data)
            yield chunk
