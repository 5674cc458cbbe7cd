"""Removes the usual access lines of a block together, so that only the other lines are read.

In a busy server's log, 90 to 99 % of the lines are access lines that differ only in the client's
address. numpy finds the ends of all lines and compares their beginnings and ends with those of
lines that were read before. The rest is a small text, with the number of removed lines between its
lines. A line is removed only if the access pattern would give the same result: its beginning and
end are equal to those of a known line, up to digits in the beginning, and the text between can only
be an address.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import TYPE_CHECKING, Any, NamedTuple
from vllm_watch.core.patterns import lazy
from vllm_watch.parsing.access import AccessCounter, Answer
from vllm_watch.parsing.accessforms import (
    IPV4,
    IPV6,
    WORD,
    AccessForm,
    Ints,
    foreign_in,
    pieces_of,
    view_of,
)
from vllm_watch.parsing.outerstamps import outer_stamp
from vllm_watch.parsing.text import ZEROS

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_FORMS = 12
"""Most forms of lines known at the same time."""
LEARNT_FROM = 64 * 1024
"""Bytes of a block's rest from which further forms are learnt."""
SMALLEST = 4_096
"""From this size in bytes on, removing lines from a block pays."""
SHORT_LINE = 24
"""Average bytes of a line below which a block has short lines."""
MAIN_SHARE = 0.75
"""From this share of lines on, nearly all lines have a form."""
CLOSELY = 8
"""Blocks that are compared line by line after a block of mixed lines."""
FEWEST = 8
"""Fewest lines of a piece that make their form usual."""
WORTH_LEARNING = 4
"""Further forms are searched when more than one in this many bytes is left."""
_ADDRESS = lazy(rb"[.-f]{1,%d}\Z" % IPV6)


class Gaps(NamedTuple):
    """Usual lines before the remaining lines, as columns."""

    lines: Ints
    """Indexes of the remaining lines, in order; their number stands for the end of the block."""
    forms: Ints
    """The form of each, as an index of `Filtered.forms`."""
    sizes: Ints

    def part(self, start: int, stop: int) -> Gaps:
        """Return those before the lines `start` … `stop` − 1, counted from `start`."""
        if not len(self.lines):
            return self
        first, last = np.searchsorted(self.lines, (start, stop)).tolist()
        some = slice(first, last)
        return Gaps(self.lines[some] - start, self.forms[some], self.sizes[some])

    def by_line(self) -> dict[int, list[tuple[int, int]]]:
        """Return form and size of each, by line."""
        found: dict[int, list[tuple[int, int]]] = {}
        for line, form, size in zip(*(column.tolist() for column in self), strict=True):
            found.setdefault(line, []).append((form, size))
        return found


NO_GAPS = Gaps(*(np.zeros(0, np.int64) for _ in range(3)))


class UsualLine(NamedTuple):
    """A form of usual lines."""

    answer: Answer
    """The content of each line."""
    example: bytes
    """One line of this form, with its newline."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """A block without its usual lines."""

    rest: bytes
    """All other lines, in order; the last one may lack its newline."""
    gaps: Gaps
    lines: int
    """Newlines in the whole block."""
    forms: Sequence[UsualLine] = ()
    """The known forms."""


class AccessFilter:
    """Removes usual access lines from blocks; learns from the rest which lines are usual."""

    def __init__(self, access: AccessCounter, plain: Callable[[bytes], bool]) -> None:
        """Remove lines that `access` would count; `plain`: a text has no other lines."""
        self._access = access
        self._plain = plain
        self._forms: list[AccessForm] = []
        self._usual: list[UsualLine] = []
        self._main: int | None = None
        """The form that nearly all lines have."""
        self._closely = 0
        """Further blocks in which each line is compared by itself."""
        self._vain = 0
        self._wait = 0

    def remove_usual(self, block: bytes) -> Filtered | None:
        """Return a block without its usual lines.

        None if the lines are so short on average that hardly any can be vLLM's: comparing them in
        columns would cost more than searching the block as a small one.
        """
        ends = _line_ends(block)
        if len(ends) * SHORT_LINE > len(block):
            return None
        filtered = self._remove(block, ends)
        if len(filtered.rest) * WORTH_LEARNING > len(block) and self._learn(filtered.rest):
            filtered = self._remove(block, ends)
        return filtered

    def _remove(self, block: bytes, ends: Ints) -> Filtered:
        count = len(ends)
        if not count or not self._forms or len(block) < SMALLEST:
            return Filtered(block, NO_GAPS, count)
        starts = np.empty_like(ends)
        starts[0], starts[1:] = 0, ends[:-1] + 1
        if self._main is not None:
            filtered = self._remove_main(block, self._main, starts, ends)
            if filtered is not None:
                return filtered
        forms = self._forms_of(block, starts, ends)
        self._find_main(forms)
        left = np.flatnonzero(forms < 0)
        rest = _joined(block, starts, ends, left)
        return Filtered(rest, self._gaps(forms, left), count, self._usual)

    def _remove_main(self, block: bytes, main: int, starts: Ints, ends: Ints) -> Filtered | None:
        """Do the same if nearly all lines have one form; return None if they do not.

        One count over the whole block proves that the text between is only addresses.
        """
        form, lengths = self._forms[main], ends - starts
        likely = (lengths >= form.shortest) & (lengths <= form.longest)
        if not form.all_match(view_of(block), likely, starts, ends):
            self._main, self._closely = None, CLOSELY
            return None
        forms = np.where(likely, np.int8(main), np.int8(-1))
        left = np.flatnonzero(~likely)
        if len(self._forms) > 1:
            forms[left] = self._forms_of(block, starts[left], ends[left])
            left = left[forms[left] < 0]
        rest = _joined(block, starts, ends, left)
        known = sum(np.count_nonzero(forms == n) * f.foreign for n, f in enumerate(self._forms))
        if foreign_in(block) != known + foreign_in(rest):
            self._main, self._closely = None, CLOSELY
            return None
        return Filtered(rest, self._gaps(forms, left), len(ends), self._usual)

    def _find_main(self, forms: NDArray[np.int8]) -> None:
        """Find the form that nearly all lines have; if there is none, do not search again soon."""
        self._closely -= 1
        if self._closely <= 0:
            sizes = np.bincount(forms + 1).tolist()[1:] or [0]
            most = max(sizes)
            self._main = sizes.index(most) if most > MAIN_SHARE * len(forms) else None

    def _forms_of(self, block: bytes, starts: Ints, ends: Ints) -> NDArray[np.int8]:
        """Return the form of each line, −1 if it is not a usual one."""
        view = view_of(block)
        words: Any = np.ndarray((len(block) - WORD + 1,), "<u8", block, strides=(1,))
        last = words[np.maximum(ends - WORD, 0)]
        lengths = ends - starts
        found = np.full(len(ends), -1, np.int8)
        for number, form in enumerate(self._forms):
            likely = (last == form.last) & (lengths >= form.shortest) & (lengths <= form.longest)
            if number:
                likely &= found < 0
            lines = np.flatnonzero(likely)
            if len(lines):
                good = form.matches(view, starts[lines], ends[lines])
                found[lines if good.all() else lines[good]] = number
        return found

    @staticmethod
    def _gaps(forms: NDArray[np.int8], left: Ints) -> Gaps:
        ends = np.append(left, len(forms))
        parts = []
        known = [form for form in range(int(forms.max()) + 1) if (forms == form).any()]
        for form in known:
            if len(known) == 1:
                counts = np.diff(ends, prepend=-1) - 1
            else:
                before = np.concatenate(([0], np.cumsum(forms == form)))[ends]
                counts = np.diff(before, prepend=0)
            lines = np.flatnonzero(counts)
            parts.append(Gaps(lines, np.full(len(lines), form), counts[lines]))
        if len(parts) < 2:
            return parts[0] if parts else NO_GAPS
        joined = Gaps(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
        order = np.argsort(joined.lines, kind="stable")
        return Gaps(*(column[order] for column in joined))

    def _learn(self, rest: bytes) -> bool:
        """Learn further forms from the rest of a block; return whether there were any."""
        if self._wait > 0:
            self._wait -= 1
            return False
        seen: Counter[tuple[bytes, bytes]] = Counter()
        answers: dict[tuple[bytes, bytes], Answer] = {}
        rooms: dict[tuple[bytes, bytes], int] = {}
        for line, method, answer in self._access.lines(rest[:LEARNT_FROM]):
            head = line[:method].removesuffix(b' - "')
            address = _ADDRESS.search(head)
            if address is None or len(head) == method or (answer.failing and outer_stamp(head)):
                continue  # a wrapper says when the request was answered with an error
            form = head[: address.start()].translate(ZEROS), line[len(head) :]
            seen[form] += 1
            answers[form] = answer
            rooms[form] = max(rooms.get(form, IPV4), len(address.group()))
        known = {(one.prefix.translate(ZEROS), one.suffix) for one in self._forms}
        fresh = [form for form, n in seen.most_common() if n >= FEWEST and form not in known]
        fresh = [form for form in fresh if len(form[1]) >= WORD and self._plain(b"".join(form))]
        fresh = fresh[: MOST_FORMS - len(self._forms)]
        for form in fresh:
            self._forms.append(AccessForm(*form, IPV4 if rooms[form] == IPV4 else IPV6))
            example = b"0.0.0.0:0".join(form) + b"\n"
            self._usual.append(UsualLine(answers[form], example))
        self._vain = 0 if fresh else min(self._vain + 1, 6)
        self._wait = 0 if fresh else 2**self._vain
        return bool(fresh)


def _joined(block: bytes, starts: Ints, ends: Ints, left: Ints) -> bytes:
    """Return the remaining lines, and the text after the last newline."""
    tail = int(ends[-1]) + 1
    if len(left) == len(ends):
        return block
    first = np.flatnonzero(np.diff(left, prepend=-2) > 1)  # lines in a row are one piece
    last = np.append(first[1:] - 1, len(left) - 1) if len(first) else first
    begin, end = starts[left[first]].tolist(), (ends[left[last]] + 1).tolist()
    pieces = [block[a:b] for a, b in zip(begin, end, strict=True)]
    return b"".join([*pieces, block[tail:]])


def _line_ends(block: bytes) -> Ints:
    """Return where the newlines are.

    They are searched 64 bytes at a time, a bit for each. This takes half as long as byte by byte,
    but gives the place only if there is one newline in 64 bytes.
    """
    text, whole = np.frombuffer(block, np.uint8), len(block) // 64 * 64
    flags = [np.packbits(piece == 10, bitorder="little") for piece in pieces_of(text[:whole])]
    words = np.concatenate(flags).view("<u8")
    places = np.flatnonzero(words != 0)  # truth values are found in half the time of numbers
    below = words[places] - np.uint64(1)
    if (words[places] & below).any():
        return np.flatnonzero(text == 10)
    within = np.bitwise_count(below)
    return np.concatenate((places * 64 + within, np.flatnonzero(text[whole:] == 10) + whole))
