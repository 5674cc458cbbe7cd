"""Lines of a known shape: their content is derived from a line that was read before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vllm_watch.core.hints import TypeAlias
from vllm_watch.core.records import Amendment, Record, Sample
from vllm_watch.parsing.access import PROTOCOL
from vllm_watch.parsing.envelope import Envelope
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.parts import DIGITS
from vllm_watch.parsing.shapes import Shape, shape_of
from vllm_watch.parsing.skippedlines import LONGEST, MOST, Place, SkippedLines
from vllm_watch.parsing.text import STATS_LIKE, ZEROS

NOTHING = -1
"""A line without any information, even without a time."""
_MOST_ALIKE = 8
"""Shapes of stats lines that differ only in their digits: processes, API servers."""
_MOST_SHAPES = 256
"""Most shapes of stats lines: learning one takes as long as reading a hundred lines."""
_OFTEN = 4
"""A shape is learnt when it occurs this often."""

Kind: TypeAlias = "list[Shape] | int"
"""The possible shapes of a line, or the position of its stamp if it has no other information."""


class KnownLines:
    """The known shapes of one log's lines."""

    def __init__(
        self, formats: Formats, skipped: SkippedLines, plain: Callable[[bytes], bool]
    ) -> None:
        """Begin empty; `plain` returns whether a text has no part of another line."""
        self._formats = formats
        self._skipped = skipped
        self._plain = plain
        self._shapes: dict[bytes, list[Shape]] = {}
        self._times: dict[bytes, int] = {}
        """Unknown shapes, and how many lines of each were read."""
        self._nothing: set[bytes] = set()
        self._heads: dict[int, dict[bytes, int]] = {}
        """By length: beginnings of lines whose rest is not from the server itself."""

    def kinds(self, lines: Sequence[bytes]) -> list[Kind | None]:
        """Return the kind of each line, None for those that must be read."""
        text = b"\n".join(lines)
        shapes = map(self._shapes.get, text.translate(None, DIGITS).split(b"\n"))
        kinds: list[Kind | None] = list(shapes)
        if None not in kinds:
            return kinds
        stamps, heads = self._skipped.stamps, self._heads
        for at, zeros in enumerate(text.translate(ZEROS).split(b"\n")):
            if kinds[at] is None:
                kind = stamps.get(zeros)
                if kind is None and zeros in self._nothing:
                    kind = NOTHING
                if kind is None and heads:
                    kind = self._opaque(zeros)
                kinds[at] = kind
        return kinds

    def shape_of_all(self, lines: bytes) -> Shape | None:
        """Return the shape of the first of some lines, None if it is not a stats line."""
        first = lines[: lines.find(b"\n")]
        shapes = self._shapes.get(first.translate(None, DIGITS), ())
        return shapes[0] if len(shapes) == 1 and shapes[0].usual else None

    def learn(self, place: Place, envelope: Envelope, record: Record | None) -> None:
        """Learn from a line that was read in full, and its records."""
        body = place.line[place.body : place.end]
        if record is None:
            word = self._formats.opaque_beginning(envelope.file, body)
            if word is not None:
                self._learn_opaque(place, len(word))
            return
        if len(place.line) > LONGEST or not isinstance(record, Sample | Amendment):
            return
        key = place.line.translate(None, DIGITS)
        if not self._is_usual(key) or not self._is_simple(place):
            return
        if any(shape.pattern.fullmatch(place.line) for shape in self._shapes.get(key, ())):
            return  # its shape is known already
        found = self._formats.plan_of(envelope.file, body)
        if found is None:
            return
        plan, companion = found
        writer = record.writer if isinstance(record, Sample) else ""
        shape = shape_of(
            place,
            plan,
            self._formats.envelope,
            writer,
            companion=companion,
            stats_like=place.line.count(STATS_LIKE),
        )
        if shape is not None:
            self._shapes.setdefault(key, []).append(shape)

    def learn_nothing(self, lines: Sequence[bytes]) -> None:
        """Learn the lines without information from a text that was read in full."""
        for line in lines:
            if len(line) > LONGEST or len(self._nothing) >= MOST:
                continue
            if PROTOCOL not in line and STATS_LIKE not in line and self._plain(line):
                self._nothing.add(line.translate(ZEROS))

    def _is_usual(self, key: bytes) -> bool:
        """Return whether a shape of stats lines occurs often enough, and may still be learnt."""
        if len(self._shapes) >= _MOST_SHAPES or len(self._shapes.get(key, ())) >= _MOST_ALIKE:
            return False
        if len(self._times) >= MOST:
            self._times.clear()
        self._times[key] = self._times.get(key, 0) + 1
        return self._times[key] >= _OFTEN

    def _is_simple(self, place: Place, length: int | None = None) -> bool:
        """Return whether a line (up to `length`) is one envelope with its message."""
        line = place.line[:length]
        plain = line[: place.body].replace(b".py:", b"", 1) + line[place.body :].rstrip(b"\r")
        return self._plain(plain) and PROTOCOL not in line and b"\x1b" not in line[place.body :]

    def _learn_opaque(self, place: Place, word: int) -> None:
        """Learn a beginning after which the rest of the line is not from the server itself."""
        length = place.body + word
        heads = self._heads.setdefault(length, {})
        if len(heads) < MOST and self._is_simple(place, length):
            heads[place.line[:length].translate(ZEROS)] = place.stamp

    def _opaque(self, zeros: bytes) -> int | None:
        for length, heads in self._heads.items():
            stamp = heads.get(zeros[:length])
            if stamp is not None:
                return stamp
        return None
