"""Stats bodies as a head and a list of named parts, compiled from templates.

A body's *shape* is its text between the numbers. The first body of a shape is taken apart
part by part; the result is a plan that says which number belongs to which metric. Further bodies
of that shape cost one `split` and a few conversions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import TYPE_CHECKING, NamedTuple
from vllm_watch.core.metrics import ALL_ENGINES, METRIC_BY_NAME
from vllm_watch.core.patterns import compiled, escaped, lazy
from vllm_watch.core.recorded import LINE_NAMES
from vllm_watch.parsing.errors import FormatError
from vllm_watch.parsing.text import ZEROS

if TYPE_CHECKING:
    import re

NUMBER = lazy(rb"(\d+(?:\.\d+)?)")
DIGITS = b"0123456789."
_HOLDER = lazy(r"\{(\*|[a-z][a-z0-9_]*)\}(%?)")
_NAMES = METRIC_BY_NAME.keys() | LINE_NAMES
"""What a template may name: metrics of a stats line, values of a latency line."""
_ENGINES = ("engine", "engines")
"""Further names: the number of the engine, or of all of them."""
_MOST_PARTS = 64
MOST_SHAPES = 512
MOST_SPANS = 4_096
"""Most bodies remembered, with zeros for their digits: a number has one to five digits."""
_LONGEST_BODY = 4096
LONGEST_ENGINE = 6
_FINITE_DIGITS = 308


class Parts(NamedTuple):
    """The content of one body."""

    engine: int | None
    """Engine number, `ALL_ENGINES`, or None if the head names none."""
    values: dict[str, float]
    """Metric name to value, ratios 0…1; absent and non-finite values are left out."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The positions of the numbers in all bodies of one shape."""

    engine: int
    """Index of the engine's number; −1: all engines, −2: none named."""
    picks: tuple[tuple[str, int, bytes], ...]
    """Metric, index of its number, exponent (`e-2` for per cent: exact, unlike a division)."""

    @property
    def metrics(self) -> list[str]:
        """The metrics of all bodies of this shape."""
        return [name for name, _, _ in self.picks]


class Spans(NamedTuple):
    """Where the numbers are in all bodies that differ only in their digits."""

    engine: slice | int | None
    """Where the engine's number is, or what `Parts.engine` is without one."""
    picks: tuple[tuple[str, slice, bytes], ...]
    """Metric, place of its number, exponent."""

    def parts(self, body: bytes) -> Parts:
        """Return the content of a body."""
        values = {name: float(body[at] + power) for name, at, power in self.picks}
        if len(body) > _FINITE_DIGITS:  # a number of hundreds of digits is infinite
            values = {name: value for name, value in values.items() if math.isfinite(value)}
        engine = self.engine
        return Parts(int(body[engine]) if isinstance(engine, slice) else engine, values)


class Template(NamedTuple):
    """A head or a part from the format file."""

    begins: bytes
    """The text before its first number or word: the cheap test before the pattern."""
    names: tuple[str, ...]
    """The names of its numbers."""
    text: str
    """As in the format file: `{name}` a number, `{*}` a word, the rest literal."""

    def match(self, body: bytes, position: int = 0) -> re.Match[bytes] | None:
        """Match at a place of a body."""
        if not body.startswith(self.begins, position):
            return None
        return _pattern_of(self.text).match(body, position)


class PartsReader:
    """Reads bodies that consist of a head and parts, by the templates of a format file."""

    def __init__(self, heads: list[str], parts: list[str], separator: str = ", ") -> None:
        """Compile the templates.

        Raises:
            FormatError: a template names a metric that the catalogue does not have.
        """
        self._heads = [_compile(head) for head in heads]
        self._parts = [_compile(part) for part in parts]
        self._separator = separator.encode()
        self._plans: dict[tuple[bytes, ...], Plan | None] = {}
        self._spans: dict[bytes, Spans] = {}
        """By bodies with zeros for their digits."""

    def metrics_from(self, first: str) -> frozenset[str]:
        """Return the metrics of the part with `first` and of all parts after it.

        Raises:
            FormatError: no part holds it.
        """
        names = [part.names for part in self._parts]
        for at, held in enumerate(names):
            if first in held:
                return frozenset[str]().union(*names[at:])
        raise FormatError(f"whole_from names {first!r}, which no entry of parts has")

    def read(self, body: bytes) -> Parts | None:
        """Return the content of a body, or None if it does not have this format."""
        spans = self.spans_of(body)
        return None if spans is None else spans.parts(body)

    def spans_of(self, body: bytes) -> Spans | None:
        """Return where the numbers of a body are, None if it does not have this format."""
        if len(body) > _LONGEST_BODY:
            return None
        zeros = body.translate(ZEROS)
        spans = self._spans.get(zeros)
        if spans is None:
            spans = self._searched(body)
            if spans is None:
                return None
            if len(self._spans) >= MOST_SPANS:
                self._spans.clear()
            self._spans[zeros] = spans
        return spans

    def _searched(self, body: bytes) -> Spans | None:
        """Do the same for a body unlike those before it."""
        plan = self.plan_of(body)
        if plan is None:
            return None
        places = [slice(*found.span()) for found in NUMBER.finditer(body)]
        picks = tuple((name, places[at], power) for name, at, power in plan.picks)
        if plan.engine < 0:
            return Spans(ALL_ENGINES if plan.engine == -1 else None, picks)
        engine = body[places[plan.engine]]
        if len(engine) > LONGEST_ENGINE or not engine.isdigit():
            return None
        return Spans(places[plan.engine], picks)

    def plan_of(self, body: bytes) -> Plan | None:
        """Return where the numbers are in bodies of this shape, None if it has another format."""
        if len(body) > _LONGEST_BODY:
            return None
        shape = tuple(NUMBER.split(body)[::2])
        plan = self._plans.get(shape)
        if plan is None and shape not in self._plans:
            plan = self._plan(body)
            if len(self._plans) < MOST_SHAPES:
                self._plans[shape] = plan
        return plan

    def _plan(self, body: bytes) -> Plan | None:
        """Parse one body; None if its head is unknown or no part of it is known."""
        head = next((found for pattern in self._heads if (found := pattern.match(body))), None)
        if head is None:
            return None
        order = {found.start(): index for index, found in enumerate(NUMBER.finditer(body))}
        groups = head.groupdict()
        engine = -2
        if "engine" in groups:
            engine = order[head.start("engine")]
        elif "engines" in groups:
            engine = -1
        read = (head, *(found for found, _ in self._taken(body, head.end()) if found is not None))
        picks = tuple(pick for found in read for pick in _picks_of(found, body, order))
        return Plan(engine, picks) if picks else None

    def _taken(self, body: bytes, position: int) -> Iterator[tuple[re.Match[bytes] | None, slice]]:
        """Yield what is read of each piece between two separators, and where the rest of it is."""
        for _ in range(_MOST_PARTS):
            matches = (part.match(body, position) for part in self._parts)
            found = next(filter(None, matches), None)
            position = position if found is None else found.end()
            at = body.find(self._separator, position)
            yield found, slice(position, at if at >= 0 else len(body))
            if at < 0:
                break
            position = at + len(self._separator)

    def unread_pieces(self, body: bytes) -> list[bytes]:
        """Return the pieces of a body of this format that no part reads.

        A number without a name belongs to the piece before it.
        """
        head = next((found for pattern in self._heads if (found := pattern.match(body))), None)
        pieces: list[bytes] = []
        for _, rest in () if head is None else self._taken(body, head.end()):
            piece = body[rest].strip()
            if pieces and piece and piece.lower() == piece.upper():
                pieces[-1] += self._separator + piece
            elif piece:
                pieces.append(piece)
        return pieces


def _picks_of(
    found: re.Match[bytes], body: bytes, order: dict[int, int]
) -> list[tuple[str, int, bytes]]:
    picks = []
    for name in found.groupdict():
        start, end = found.span(name)
        if name in _NAMES and start in order:  # nan and inf do not count: the metric is absent
            picks.append((name, order[start], _exponent(body, end)))
    return picks


def _exponent(body: bytes, end: int) -> bytes:
    """Return the power of ten of the unit after a number: per cent, milliseconds."""
    if body[end : end + 1] == b"%":
        return b"e-2"
    return b"e-3" if body[end : end + 3] == b" ms" else b""


def _compile(template: str) -> Template:
    """Check the names in a template."""
    names = tuple(name for name, _ in _HOLDER.findall(template) if name != "*")
    for name in names:
        if name not in _ENGINES and name not in _NAMES:
            raise FormatError(f"template {template!r} names {name!r}, which is not a metric")
    return Template(template.partition("{")[0].encode(), names, template)


@cache
def _pattern_of(template: str) -> re.Pattern[bytes]:
    """Return the pattern of a template: of more than fifty, a log needs a few."""
    pattern, end = "", 0
    for holder in _HOLDER.finditer(template):
        pattern += escaped(template[end : holder.start()])
        name, percent = holder.groups()
        if name == "*":
            pattern += r"[A-Za-z0-9_]{1,40}"
        elif name in _ENGINES:
            pattern += rf"(?P<{name}>\d+(?:\.\d+)?)"  # `_searched` refuses decimals
        else:
            pattern += rf"(?P<{name}>\d+(?:\.\d+)?|-?nan|-?inf)"
        pattern += percent
        end = holder.end()
    return compiled((pattern + escaped(template[end:])).encode())
