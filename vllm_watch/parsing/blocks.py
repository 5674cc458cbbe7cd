"""Reads large blocks into tables: usual lines and known shapes together, the rest in full.

A block goes through three stages. The usual access lines are removed. Of the remaining lines, those
of a known shape (stats lines, lines without information) are read together. Unknown lines between
them go to the scanner, like the lines of a small block. The result does not depend on the way that
a line took.
"""

from __future__ import annotations

from collections.abc import Sequence

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.records import Amendment
from vllm_watch.parsing.accessfilter import AccessFilter, Gaps, UsualLine
from vllm_watch.parsing.knownlines import NOTHING, Kind, KnownLines
from vllm_watch.parsing.shapes import Shape
from vllm_watch.parsing.tablemaker import TableMaker
from vllm_watch.parsing.timestamps import STAMP_LENGTH
from vllm_watch.parsing.tracebacks import TRACEBACK_BYTES
from vllm_watch.parsing.wrappers import Unwrapper

if TYPE_CHECKING:
    from vllm_watch.parsing.scan import Scan
    from vllm_watch.parsing.scanner import Scanner
    from vllm_watch.parsing.smallaccessfilter import Removed

FIRST_LINES, MOST_LINES = 64, 4_096
"""Lines read together: few while some are unknown, since unknown lines teach new shapes."""
MANY_BYTES = 4_096
"""From this size on, a text may be read as lines of one shape together."""
SHORT, MIXED = 8, 8
"""If one line in `SHORT`, or more, is unknown, the next `MIXED` blocks are read as small ones:
searching a whole block costs half of searching it text by text."""
KEPT_MEMORY = 30 << 20
"""Bytes that are allocated once, and freed, before the first block is read.

glibc gives freed memory of 128 KiB and more back to the system immediately, so that the arrays of
every block would be new pages, which takes a third of the time. glibc raises that limit to the
largest size that was freed, at most 32 MiB, and keeps twice as much at the end of its memory. The
arrays of a block of stats lines need 20 MiB together. With another allocator this does nothing.
"""


@dataclass(slots=True)
class _Piece:
    """Some of the remaining lines of a block."""

    lines: Sequence[bytes]
    gaps: Gaps
    """The usual lines that came before them."""
    kinds: list[Kind | None]
    stamps: list[bytes | None] = field(default_factory=list)
    """Stamps of the known lines; None for lines without a stamp, and for unknown lines."""
    rows: list[tuple[Shape, tuple[bytes, ...]] | None] = field(default_factory=list)
    """The values of the stats lines and companion lines."""


class LargeBlocks:
    """Reads large blocks for a scanner, which reads the unknown lines."""

    def __init__(
        self, scanner: Scanner, unwrapper: Unwrapper, access: AccessFilter, known: KnownLines
    ) -> None:
        """Read with what `access` and `known` have learnt from the lines that `scanner` read."""
        self._scanner = scanner
        self._unwrapper = unwrapper
        self._access = access
        self._known = known
        self._tables = TableMaker()
        self._forms: Sequence[UsualLine] = ()
        self._size = FIRST_LINES
        self._texts = 0
        """Groups of unknown lines in the newest block."""
        self._wait = 0
        """Further blocks that are not read here."""
        bytes(KEPT_MEMORY)

    def read(self, scan: Scan, block: bytes) -> bytes | None:
        """Read a block of whole lines (the last may lack its newline) into a scan.

        Returns the block without its usual lines, JSON lines made plain; of lines that differ only
        in their numbers, the first. If its lines are too short for this, or known and unknown lines
        alternate, nothing is read and None is returned.
        """
        self._wait -= 1
        filtered = None if self._wait >= 0 else self._access.remove_usual(block)
        if filtered is None:
            return None
        self._forms = filtered.forms
        scan.lines += filtered.lines
        rest = self._unwrapper.plain(filtered.rest)
        if self._read_alike(scan, rest, filtered.gaps):
            return rest[: rest.find(b"\n") + 1]
        lines = rest.split(b"\n")
        unended = lines.pop()
        gaps, start, self._texts = filtered.gaps, 0, 0
        while start < len(lines):
            stop = min(len(lines), start + self._size)
            self._read_piece(scan, lines[start:stop], gaps.part(start, stop))
            start = stop
        scan.items += self._tables.take()
        last = gaps.part(len(lines), len(lines) + 1)
        if unended or len(last.lines):
            self._in_full(scan, [unended], last, ended=False)
        self._wait = MIXED if self._texts * SHORT > filtered.lines else 0
        return rest

    def _read_alike(self, scan: Scan, text: bytes, gaps: Gaps) -> bool:
        """Read a text of stats lines of one shape only; return False if it is not that."""
        scanner, tables = self._scanner, self._tables
        if len(text) < MANY_BYTES or text[-1:] != b"\n" or scanner.within or scanner.counts.waiting:
            return False
        shape = self._known.shape_of_all(text)
        if shape is None or (rows := shape.layout.read(text)) is None:
            return False
        count, last = rows.lines, scanner.stamp
        times = scanner.note_joined_stamps(scan, rows.stamps)
        answers = [usual.answer for usual in self._forms]
        tables.count_all([last, *times], gaps.part(0, count), answers)
        scan.items += tables.take()
        scan.items.append(shape.table(rows, times))
        self._count(gaps.part(count, count + 1).by_line().get(0, ()))
        return True

    def _read_piece(self, scan: Scan, lines: list[bytes], gaps: Gaps) -> None:
        piece = _Piece(lines, gaps, self._known.kinds(lines))
        self._take_apart(piece)
        kinds, at = piece.kinds, 0
        unknown = [place for place, kind in enumerate(kinds) if kind is None]
        few = FIRST_LINES if len(unknown) * 8 > len(lines) else self._size
        self._size = min(few * 4, MOST_LINES)
        unknown.append(len(kinds))
        for place in unknown:
            if place < at:
                continue
            if self._scanner.within:
                place = at
            if place > at:
                self._together(scan, piece, at, place)
            end = place
            while end < len(kinds) and (kinds[end] is None or self._scanner.within):
                end += 1
            if end > place:
                if TRACEBACK_BYTES in b"\n".join(lines[place:end]) or self._scanner.within:
                    end = len(kinds)  # its end is unknown
                self._in_full(scan, lines[place:end], gaps.part(place, end))
            at = end

    def _take_apart(self, piece: _Piece) -> None:
        """Find the stamps and numbers of the lines whose kind is known."""
        kinds, lines = piece.kinds, piece.lines
        piece.stamps = [None] * len(kinds)
        piece.rows = [None] * len(kinds)
        groups: dict[int, list[int]] = {}
        for at, kind in enumerate(kinds):
            if isinstance(kind, list):
                groups.setdefault(id(kind), []).append(at)
            elif kind is not None and kind != NOTHING:
                piece.stamps[at] = lines[at][kind : kind + STAMP_LENGTH]
        for places in groups.values():
            shapes = kinds[places[0]]
            assert isinstance(shapes, list)
            for shape in shapes:
                places = _matched(piece, shape, places)
            for at in places:
                kinds[at] = None  # its digits have another form than in the lines that were read

    def _together(self, scan: Scan, piece: _Piece, start: int, stop: int) -> None:
        """Read lines whose kind is known."""
        tables, rows, last = self._tables, piece.rows, self._scanner.stamp
        counts, passed = self._scanner.counts.waiting, False
        times = self._scanner.note_stamps(scan, piece.stamps[start:stop])
        newest_first = range(stop - 1, start - 1, -1)
        stamped = (piece.lines[at] for at in newest_first if piece.stamps[at] is not None)
        self._scanner.outer.note_lines(stamped)
        near = piece.gaps.part(start, stop)
        part = rows[start:stop]
        if not counts and None not in times and all(row and row[0].usual for row in part):
            answers = [usual.answer for usual in self._forms]
            tables.count_all([last, *times], near, answers)
            tables.add_all(times, part)  # type: ignore[arg-type] # None is excluded
            return
        idle = [time for time, row in zip(times, part, strict=True) if time and row is None]
        if idle:
            scan.note_skipped(idle[0], min(idle), max(idle))
        gaps = near.by_line()
        for at, time in enumerate(times, start):
            self._count(gaps.get(at - start, ()))
            if time is None:
                continue
            found = rows[at]
            if counts and (found is not None or time != last):
                tables.count(last, dict(counts))
                counts.clear()
            last = time
            if found is None:
                passed = True
            elif not found[0].usual:
                self._put(scan, time, *found)
            else:
                tables.add(time, found)
        if passed:
            self._scanner.end_error()

    def _count(self, gaps: Sequence[tuple[int, int]]) -> None:
        """Count usual lines before a line."""
        counts = self._scanner.counts.waiting
        for form, size in gaps:
            answer = self._forms[form].answer
            counts[answer] = counts.get(answer, 0) + size

    def _put(self, scan: Scan, time: float, shape: Shape, row: tuple[bytes, ...]) -> None:
        """Add a companion line, or an unusual stats line."""
        own = 0 if shape.companion else min(1, shape.stats_like)
        scan.stats_like += shape.stats_like - own
        if not shape.companion:
            self._tables.add(time, (shape, row))
        elif not self._tables.amend(shape, row):
            scan.items += self._tables.take()
            values = {name: column[0] for name, column in shape.columns([row]).items()}
            engine = shape.engine_of(row) if shape.named else None
            scan.put(Amendment(values, engine))

    def _in_full(self, scan: Scan, lines: list[bytes], gaps: Gaps, *, ended: bool = True) -> None:
        """Have unknown lines read one by one."""
        self._texts += 1
        scan.items += self._tables.take()
        whole = self._scanner.within or any(TRACEBACK_BYTES in line for line in lines)
        pieces: list[bytes] = []
        removed: list[Removed] = []
        size, before = 0, gaps.by_line()
        for at, line in enumerate(lines):
            for form, count in before.get(at, ()):
                usual, left = self._forms[form], count
                if whole:  # an access line ends a traceback: put one of them back
                    pieces.append(usual.example)
                    size += len(pieces[-1])
                    left -= 1
                removed.append((size, usual.answer, left))
            pieces.append(line + b"\n" if ended else line)
            size += len(pieces[-1])
        self._scanner.read_text(scan, b"".join(pieces), removed, teaches=True)
        if not whole and ended:
            self._known.learn_nothing(lines)


def _matched(piece: _Piece, shape: Shape, places: list[int]) -> list[int]:
    """Read the lines at some places that have a shape; return the places of the others."""
    if not places:
        return places
    lines = [piece.lines[at] for at in places]
    rows = shape.rows(lines)
    if len(rows) != len(lines):
        fitting = [at for at in places if shape.pattern.fullmatch(piece.lines[at])]
        left = sorted(set(places) - set(fitting))
        places, rows = fitting, shape.rows([piece.lines[at] for at in fitting])
    else:
        left = []
    for at, row in zip(places, rows, strict=True):
        piece.rows[at] = shape, row
        piece.stamps[at] = row[0]
    return left
