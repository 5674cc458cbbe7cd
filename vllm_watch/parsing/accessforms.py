"""Forms of usual access lines, compared with many lines together by numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from vllm_watch.core.hints import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

Ints: TypeAlias = "NDArray[np.int64]"
Flags: TypeAlias = "NDArray[np.bool_]"
IPV4, IPV6 = 22, 46
"""Most bytes of an address and port."""
MOST_TEXTS = 8
"""Most repeated texts that are kept."""
WORD = 8
"""Bytes at a line's end that are compared first."""
PIECE = 2 << 20
"""Bytes that are searched together: their copies fit the cache that all cores share."""
_FIRST, _SPAN = ord("."), ord("f") - ord(".")
"""Bytes that an address may contain: no blank and no quote, so hardly ever a word."""
View: TypeAlias = Callable[[int], Any]
"""Returns pieces of a block, all of one size: one begins at each of its bytes."""


def view_of(block: bytes) -> View:
    """Return the view of a block."""
    return lambda size: np.ndarray((len(block) - size + 1,), f"V{size}", block, strides=(1,))


def foreign_in(text: bytes) -> int:
    """Return how many bytes of a text cannot belong to an address."""
    pieces = pieces_of(np.frombuffer(text, np.uint8))
    return sum(int(np.count_nonzero(piece - np.uint8(_FIRST) > _SPAN)) for piece in pieces)


def pieces_of(text: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield a text in pieces, of which copies fit the caches; at least one, which may be empty."""
    return (text[at : at + PIECE] for at in range(0, max(1, len(text)), PIECE))


class AccessForm:
    """Access lines that differ only in the address, and in digits before it."""

    def __init__(self, prefix: bytes, suffix: bytes, room: int) -> None:
        self.prefix, self.suffix = prefix, suffix
        self._newest = prefix
        """The beginning of the lines of the newest block, if all are alike."""
        self._texts: dict[bytes, bytes] = {}
        """Texts many times in a row, to be compared with those of a block."""
        self._room = room
        self.shortest = len(prefix) + len(suffix) + 1
        self.longest = len(prefix) + len(suffix) + room
        self.last = int.from_bytes(suffix[-WORD:], "little")
        self.foreign = foreign_in(prefix + suffix + b"\n")
        """Number of bytes of each line that cannot belong to an address."""
        text = np.frombuffer(prefix, np.uint8)
        self._zeros = np.where(_digit(text), np.uint8(48), text)
        own = [[column >= room - size for column in range(room)] for size in range(room + 1)]
        self._own = np.array(own, np.uint8).view(f"V{room}")[:, 0]
        """For each length of an address: which bytes before its end belong to the form."""

    def all_match(self, view: View, likely: Flags, starts: Ints, ends: Ints) -> bool:
        """Return whether all `likely` lines have this form, and the beginning of those read before.

        Their length is possible for this form. The text in place of the address is not checked. If
        two such lines follow each other, the end of one and the beginning of the next are compared
        as one piece.
        """
        begin, end = self._newest, self.suffix
        first, last = likely.copy(), likely.copy()
        first[1:] &= ~likely[:-1]
        last[:-1] &= ~likely[1:]
        pairs = np.flatnonzero(likely & ~last)
        for text, at in (
            (end + b"\n" + begin, ends[pairs] - len(end)),
            (begin, starts[first]),
            (end, ends[last] - len(end)),
        ):
            if not self._repeated(text, len(at)).startswith(view(len(text))[at]):
                return False
        return True

    def _repeated(self, text: bytes, count: int) -> bytes:
        """Return a text so many times, or more often: it is kept for the next block."""
        known = self._texts.get(text, b"")
        if len(known) < count * len(text):
            self._texts = {} if len(self._texts) > MOST_TEXTS else self._texts
            known = self._texts[text] = text * (count + count // 8)
        return known

    def matches(self, view: View, starts: Ints, ends: Ints) -> Flags:
        """Return which lines have this form; all have a length that is possible for it."""
        good = self._equal(view(len(self.suffix))[ends - len(self.suffix)], self.suffix)
        good &= self._begins(view(len(self.prefix))[starts])
        room = self._room
        at = ends - (len(self.suffix) + room)
        lengths = ends - starts - (len(self.prefix) + len(self.suffix))
        # The first line of a block may begin in the block before: it is read one by one.
        good &= at >= 0
        rows = _rows(view(room)[np.maximum(at, 0)], room)
        foreign = (rows - _FIRST > _SPAN) & _rows(self._own[lengths], room).view(bool)
        if foreign.any():
            good &= ~foreign.any(axis=1)
        return good

    @staticmethod
    def _equal(found: NDArray[np.void], wanted: bytes) -> Flags:
        if found.tobytes() == wanted * len(found):
            return np.ones(len(found), bool)
        rows: Flags = _rows(found, len(wanted)) == np.frombuffer(wanted, np.uint8)
        return np.asarray(np.logical_and.reduce(rows, axis=1))

    def _begins(self, found: NDArray[np.void]) -> Flags:
        text = found.tobytes()
        if text == self._newest * len(found):
            return np.ones(len(found), bool)
        self._newest = text[: len(self.prefix)]
        rows = np.frombuffer(text, np.uint8).reshape(-1, len(self.prefix))
        same: Flags = np.where(_digit(rows), np.uint8(48), rows) == self._zeros
        good: Flags = np.logical_and.reduce(same, axis=1)
        if not good[0]:
            self._newest = self.prefix
        return good


def _digit(text: NDArray[np.uint8]) -> Flags:
    return np.asarray(text - np.uint8(48) < 10)


def _rows(found: Any, size: int) -> NDArray[np.uint8]:
    """Return joined pieces as a table of bytes."""
    return np.frombuffer(found.tobytes(), np.uint8).reshape(-1, size)
