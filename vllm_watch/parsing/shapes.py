"""Stats lines of one shape: after the first is read in full, one search reads all others.

The shape of a line is its text without the numbers. The structure of the first line of a shape
(which number is which metric, where the stamp is) holds for all lines of that shape. They are
joined, and one regular expression extracts all numbers.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Sequence

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.core.patterns import lazy
from vllm_watch.core.records import Sample, SampleTable
from vllm_watch.parsing.digitruns import DigitRun, Layout, MetricPlace, Rows
from vllm_watch.parsing.envelope import EnvelopeReader
from vllm_watch.parsing.parts import LONGEST_ENGINE, NUMBER, Plan
from vllm_watch.parsing.skippedlines import Place
from vllm_watch.parsing.timestamps import STAMP_LENGTH

_DIGITS = lazy(rb"\d+")
_MOST_DIGITS = 15
_ANY = rb"\d{1,%d}+(?:\.\d{1,%d}+)?+" % (_MOST_DIGITS, _MOST_DIGITS)
_STAMP = rb"(\d\d-\d\d \d\d:\d\d:\d\d)"
_ENGINE = b"(\\d{1,%d}+)" % LONGEST_ENGINE


class Numbers(dict[bytes, float]):
    """Texts of numbers with their values; each is converted once."""

    _MOST = 50_000

    def __init__(self, exponent: bytes = b"") -> None:
        """Read `12.5` followed by an exponent: `e-2` makes per cent exact, unlike a division."""
        super().__init__()
        self._exponent = exponent

    def __missing__(self, text: bytes) -> float:
        if len(self) >= self._MOST:
            self.clear()
        value = self[text] = float(text + self._exponent)
        return value


_POWERS = {b"": 0, b"e-2": 2, b"e-3": 3}
SCALED = {exponent: Numbers(exponent) for exponent in (b"e-2", b"e-3")}
"""Per cent and milliseconds, by their power of ten: there are few, and they repeat."""


@dataclass(frozen=True, slots=True)
class Shape:
    """All stats lines, or all companion lines, that differ only in their numbers."""

    pattern: re.Pattern[bytes]
    """Finds whole lines; its groups are the stamp, the engine if named, and the metrics."""
    engine: int | None
    """Engine of all its lines, None if each line names one."""
    named: bool
    """Whether its lines name an engine, or all of them."""
    metrics: tuple[tuple[str, bytes], ...]
    """The metrics in the order of their groups, each with the power of ten of its unit."""
    writer: str
    """The numbered API server that writes it."""
    companion: bool
    stats_like: int
    """How often the words of a stats line occur in it."""

    usual: bool
    """Whether the line is exactly one stats line."""
    layout: Layout
    """Reads many lines without the pattern, if their numbers are written as in the first one."""

    def rows(self, lines: Sequence[bytes]) -> list[tuple[bytes, ...]]:
        """Return the texts of the groups of each line of this shape."""
        rows: list[tuple[bytes, ...]] = self.pattern.findall(b"\n".join(lines))
        return rows

    def engine_of(self, row: Sequence[bytes]) -> int:
        """Return the engine of a line."""
        return int(row[1]) if self.engine is None else self.engine

    def engines_of(self, rows: Sequence[Sequence[bytes]]) -> array[int]:
        """Return the engine of each line."""
        if self.engine is not None:
            return array("q", [self.engine]) * len(rows)
        return array("q", [int(row[1]) for row in rows])

    @property
    def first(self) -> int:
        """Index of the group of the first metric."""
        return 2 if self.engine is None else 1

    def columns(self, rows: Sequence[tuple[bytes, ...]]) -> dict[str, array[float]]:
        """Return the values of all metrics."""
        texts = list(zip(*rows, strict=True))[self.first :]
        columns = {}
        for (name, exponent), column in zip(self.metrics, texts, strict=True):
            read = SCALED[exponent].__getitem__ if exponent else float
            columns[name] = array("d", map(read, column))
        return columns

    def table(self, rows: Rows, times: Iterable[float | None]) -> SampleTable:
        """Return many stats lines, none of them without a time."""
        engines = rows.engines
        if engines is None:
            engines = array("q", [self.engine or 0]) * rows.lines
        writers = (self.writer,) * rows.lines if self.writer else ()
        return SampleTable(array("d", times), engines, rows.columns, writers=writers)  # type: ignore[arg-type]

    def sample(self, time: float, row: Sequence[bytes]) -> Sample:
        """Return a single stats line."""
        values = {
            name: SCALED[exponent][text] if exponent else float(text)
            for (name, exponent), text in zip(self.metrics, row[self.first :], strict=True)
        }
        return Sample(time, self.engine_of(row), values, writer=self.writer)


def shape_of(
    place: Place,
    plan: Plan,
    envelopes: EnvelopeReader,
    writer: str = "",
    *,
    companion: bool = False,
    stats_like: int = 0,
) -> Shape | None:
    """Return the shape of a line that was read; None if the shape would be ambiguous."""
    head = _head_of(place, envelopes)
    body = place.line[place.body : place.end]
    if head is None:
        return None
    picks = {at: (name, power) for name, at, power in plan.picks}
    if len(picks) != len(plan.picks) or not all(p in (b"", *SCALED) for _, p in picks.values()):
        return None
    if plan.engine >= 0 and plan.engine > min(picks):
        return None  # its group is the second one
    found = _body_of(body, plan, picks, len(head.runs))
    pattern = head.pattern + found.pattern + re.escape(place.line[place.end :])
    return Shape(
        re.compile(b"^" + pattern + b"$", re.MULTILINE),
        None if plan.engine >= 0 else ALL_ENGINES if plan.engine == -1 else 0,
        plan.engine != -2,
        tuple(picks[at] for at in sorted(picks)),
        writer,
        companion,
        stats_like,
        stats_like == 1 and not companion,
        Layout(place.line, [*head.runs, *found.runs], head.stamp, found.engine, found.metrics),
    )


class _Body(NamedTuple):
    """All messages that differ only in their numbers."""

    pattern: bytes
    runs: list[DigitRun]
    engine: int
    """Index of the run of digits that is the engine, −1 if there is none."""
    metrics: list[MetricPlace]


def _body_of(body: bytes, plan: Plan, picks: dict[int, tuple[str, bytes]], first: int) -> _Body:
    """Return the message of a line whose head has the runs of digits before `first`."""
    pattern, engine = b"", -1
    runs: list[DigitRun] = []
    metrics: list[MetricPlace] = []
    for number, piece in enumerate(NUMBER.split(body)):
        at, run = number // 2, first + len(runs)
        if number % 2 == 0:
            pattern += re.escape(piece)
            continue
        most = _MOST_DIGITS
        if at == plan.engine:
            pattern, engine, most = pattern + _ENGINE, run, LONGEST_ENGINE
        elif at in picks:
            name, exponent = picks[at]
            pattern += b"(" + _ANY + b")"
            metrics.append(
                MetricPlace(name, run, run + 1 if b"." in piece else -1, _POWERS[exponent])
            )
        else:
            pattern += _ANY
        runs += [DigitRun(1, most)] * (1 + piece.count(b"."))
    return _Body(pattern, runs, engine, metrics)


class _Head(NamedTuple):
    """All beginnings of lines that differ only in stamp and numbers."""

    pattern: bytes
    runs: list[DigitRun]
    stamp: int
    """Index of the first run of digits of the stamp."""


def _head_of(place: Place, envelopes: EnvelopeReader) -> _Head | None:
    """Return the head of a line, None without a stamp.

    Each number is tried out: if a short and a long one give the same envelope, any number does.
    """
    head = place.line[: place.body]
    pattern, at, stamp = b"", 0, -1
    runs: list[DigitRun] = []
    for found in _DIGITS.finditer(head):
        start, end = found.span()
        if place.stamp <= start < place.stamp + STAMP_LENGTH:
            if start == place.stamp:
                pattern += re.escape(head[at:start]) + _STAMP
                at, stamp = start + STAMP_LENGTH, len(runs)
            runs.append(DigitRun(2, 2))
            continue
        length = end - start
        free = _same(head, start, end, (b"1", b"9" * 9), envelopes)
        if free or _same(head, start, end, (b"0" * length, b"9" * length), envelopes):
            size = b"1,9" if free else b"%d" % length
            pattern += re.escape(head[at:start]) + rb"\d{%b}+" % size
            at = end
            runs.append(DigitRun(1, 9) if free else DigitRun(length, length))
        else:
            runs.append(DigitRun(length, length, int(found.group())))
    return _Head(pattern + re.escape(head[at:]), runs, stamp) if stamp >= 0 else None


def _same(
    head: bytes, start: int, end: int, others: Sequence[bytes], envelopes: EnvelopeReader
) -> bool:
    """Return whether other digits in `head[start:end]` leave the envelope unchanged."""
    wanted = envelopes.read(head)
    found = [envelopes.read(head[:start] + other + head[end:]) for other in others]
    return wanted is not None and all(
        one is not None
        and (one.process, one.level, one.stamp, one.file)
        == (wanted.process, wanted.level, wanted.stamp, wanted.file)
        for one in found
    )
