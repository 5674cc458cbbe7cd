"""Where to continue if a command writes part of its output again.

`kubectl logs -f` that is started again repeats what it said before, all of it or a tail of it.
The newest lines seen are looked for in the new output; earlier lines are known.
"""

from __future__ import annotations

from collections.abc import Iterator

from vllm_watch.sources.chunks import Chunk, LineCutter

MARK_BYTES = 1024
"""How much of the newest whole lines is looked for: stats lines carry their time, so it is rare."""
HEAD_BYTES = 1024
QUIET_SECONDS = 2.0
"""Silence after which an output without the mark is a new one."""
QUIET_SECONDS_SAME = 30.0
"""The same for an output that begins as before: its mark is still to come."""
MOST_HELD = 64 << 20
"""Bytes held back at most while the mark is looked for."""


class Resuming:
    """Remembers what was seen of an output, and finds the place again."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._head = b""
        self._mark = b""
        self._held: bytes | None = None
        self._newest = 0.0
        self.known = True
        """Whether the place was found, when it was looked for last."""

    @property
    def same(self) -> bool:
        """Tell whether what is held back begins as the output did before."""
        return bool(self._head) and bool(self._held) and (self._held or b"").startswith(self._head)

    @property
    def looking(self) -> bool:
        """Tell whether output is held back."""
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
        """Take in output; return what is new of it, None while that is not known.

        `b""` says that the place was found and nothing is behind it yet.
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
        """Return what is held back: it is another output, all of it new."""
        held, self._held, self.known = self._held or b"", None, False
        self._head = self._mark = b""
        return held


class RepeatedLines:
    """The whole lines of one output, each once, also when the output begins again."""

    def __init__(self, number: int) -> None:
        """Begin; `number` tells the outputs of one command apart."""
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
            self._cutter.rest = b""  # half a line of before comes again
        elif looking:
            new = self._after_the_end(new)
        yield from self._handed(self._cutter.feed(new))

    def end(self) -> Iterator[Chunk]:
        """Yield what was held back of another output than before: it has ended."""
        if self._resuming.looking and not self._resuming.same:
            new = self._after_the_end(self._resuming.give_up())
            yield from self._handed(self._cutter.feed(new))

    def finish(self) -> Iterator[Chunk]:
        """Yield a last line that lacks its newline."""
        return self._cutter.finish()

    def _after_the_end(self, new: bytes) -> bytes:
        """Return another output, behind the end of the half line that the one before left."""
        return b"\n" + new if self._cutter.rest else new

    def _handed(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        for chunk in chunks:
            self._resuming.saw(chunk.data)
            yield chunk
