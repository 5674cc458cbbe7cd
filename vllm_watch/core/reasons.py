"""Why a server died: the first exception of its engine, else the first error with a reason.

vLLM writes the same death several times over: a worker's traceback, the engine's, the API server's,
and sentences without a reason (`EngineCore failed to start.`). Format files mark such sentences as
`vague`; the reason is the last line of the first traceback.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.keptevents import KeptEvent
from vllm_watch.core.patterns import lazy
from vllm_watch.core.records import TRACEBACK, FieldValue

DEATHS = frozenset({"dead", "killed", "usage"})
"""Kinds of events after which a server is over."""
SHOWN_ERRORS = frozenset({*DEATHS, "cause", "error", "traceback"})
"""Kinds of events that say why a server failed."""
ERRORS = SHOWN_ERRORS | {"worker_failed"}
"""Kinds of events that can give the cause."""
OF_REQUEST = "request"
"""Field of an error that ended one request: the server is up."""
DEADLY = "deadly"
"""Field of a traceback whose error itself means a death (`EngineDeadError`)."""
INTERRUPT = "KeyboardInterrupt"
"""The exception of a Ctrl-C, or of a signal that asks the process to stop."""

_TORCH_STAMP = lazy(r"^(?:\[rank\d{1,5}\]:)?\[[A-Z]\d{3,4} [^\]\n]{1,120}\] ")
"""What torch writes before a message: `[rank1]:[E1123 08:51:43.2 ProcessGroupNCCL.cpp:685] `."""
_EXCEPTION = lazy(
    r"(?:(?:[A-Za-z_]\w*\.)*(?=_?[A-Z])|(?:[A-Za-z_]\w*\.)+(?=[a-z_]\w*: ))"
    r"([A-Za-z_]\w*(?:\([\w.]{1,80}\))?(?::(?:\s.*)?)?)$"
)
"""`ValueError: …`, `struct.error: …`, not a line of code (pasted logs may lack the indentation)."""
_VALIDATION = lazy(r"\d+ validation errors? for \w+")
_MIDDLE = lazy(r"\s{2,}\S")
"""A line from the middle of a traceback whose beginning the log lacks."""
_CARRIES = lazy(r"(?:\w+\.)*RayTaskError\((?P<inner>\w+)\)|.*failed in the TorchScript interpreter")
"""An error that carries another one, which is written after it."""
_GIVEN = lazy(r"input_value=([^,\]\s]{1,40}), input_type=")
_LEVEL = lazy(r"(?:ERROR|CRITICAL):\s+")
"""What uvicorn writes before its own errors."""
BAD_FLAGS = "bad flags"
"""Cause if a field of the configuration has a value that it cannot have."""
_NONE: Mapping[str, FieldValue] = {}
_FURTHER = 12
"""Lines after an exception in which the rest of its message is searched."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a server died."""

    text: str
    """The exception or the sentence, without module path."""
    cause: str = ""
    """What the format files call it: `out of memory`, `port in use` …"""
    figures: tuple[tuple[str, float], ...] = ()
    """Numbers in the line itself, by the names of the format files."""
    told: bool = False
    """Whether the log has an error that says more than that it died."""

    @property
    def by_hand(self) -> bool:
        """Whether it was stopped on purpose, so not a fault."""
        return self.text.partition(":")[0] == INTERRUPT


class _Line(NamedTuple):
    """A line of an error message."""

    text: str
    process: str
    kind: str
    """Kind of the event that it begins, empty for a continuation line."""
    fields: Mapping[str, FieldValue]


def reason_of(errors: Iterable[KeptEvent]) -> Reason | None:
    """Return why a server died, None if no line says anything.

    Args:
        errors: the error messages about its end (`ERRORS`), in order.
    """
    errors = [one for one in errors if OF_REQUEST not in one.event.fields]
    lines = list(_lines(errors))
    candidates = sorted(_candidates(lines), key=lambda candidate: candidate[:2])
    if candidates:
        best = candidates[0][2]
        alike = [one.figures for *_, one in candidates if best.cause and one.cause == best.cause]
        # Several workers report how much fits: the smallest counts.
        return replace(best, figures=min([best.figures, *alike], key=_numbers), told=True)
    # An event is preferred to the plain lines around it. A traceback counts by its error, not by
    # its headline.
    events = [line for line in lines if line.kind] or lines
    clear = [line for line in events if "vague" not in line.fields]
    found = next((_reason(line, []) for line in clear or events), None)
    return found and replace(found, told=bool(clear) and has_error(errors))


def errors_until(
    placed: Iterable[tuple[float | None, KeptEvent]], time: float
) -> Iterator[KeptEvent]:
    """Yield the errors of a run up to a moment; those without a known time count, too."""
    return (kept for at, kept in placed if kept.event.kind in ERRORS and (at is None or at <= time))


def has_error(events: Iterable[KeptEvent]) -> bool:
    """Return whether there is an error among events: a line of that level, or a traceback."""
    return any(
        kept.event.kind in ERRORS
        and (kept.event.level in ("ERROR", "CRITICAL") or kept.event.kind == "traceback")
        for kept in events
    )


def _candidates(lines: list[_Line]) -> Iterator[tuple[float, int, Reason]]:
    """Yield candidates for the cause, with rank (the lowest is best) and place.

    An end from outside (batch system, kernel) comes first, then engines and workers alike, then API
    servers. The end of a traceback whose beginning is missing comes after whole ones: it may only
    follow from another error. An `echo` of an error (native code that ends the process because of
    it) comes after both.
    """
    for process in dict.fromkeys(line.process for line in lines):
        own = [(index, line) for index, line in enumerate(lines) if line.process == process]
        rank = float(process.lower().startswith("apiserver"))
        for index, line in own:
            if line.kind in DEATHS and "vague" not in line.fields:
                later = rank + 0.5 if "echo" in line.fields else rank
                yield -1.0 if "outside" in line.fields else later, index, _reason(line, [])
        texts = [line.text for _, line in own]
        header = next((at for at, text in enumerate(texts) if TRACEBACK in text), len(texts))
        for place in traceback_errors(texts):
            index = own[place][0]
            cut = 0.25 if place < header else 0.0
            place = _carried(texts, place)
            line = own[place][1]
            if "vague" not in line.fields:
                rest = [other for _, other in own[place + 1 : place + 1 + _FURTHER]]
                yield rank + cut, index, _reason(line, rest)


def _numbers(figures: tuple[tuple[str, float], ...]) -> tuple[bool, tuple[float, ...]]:
    return not figures, tuple(number for _, number in figures)


def _lines(errors: Iterable[KeptEvent]) -> Iterator[_Line]:
    for kept in errors:
        event = kept.event
        texts = event.text.splitlines() or [""]
        # A separate traceback is one event: its fields come from its last line.
        own = len(texts) - 1 if event.kind == "traceback" else 0
        for index, text in enumerate([*texts, *kept.lines]):
            begins = index == own
            kind, fields = (event.kind, event.fields) if begins else ("", _NONE)
            yield _Line(text, event.process, kind, fields)


def has_exception(error: KeptEvent) -> bool:
    """Return whether an error message ends in an exception, or names a known cause."""
    known = error.event.kind == "cause"
    return known or any(True for _ in traceback_errors([error.event.text, *error.lines]))


def traceback_errors(lines: Iterable[str]) -> Iterator[int]:
    """Yield the places of the errors at the ends of tracebacks, among lines of one process.

    The first lines may be the rest of a traceback: logs are rotated, and read from their middle.
    """
    inside = False
    for place, line in enumerate(lines):
        if TRACEBACK in line or (not place and _MIDDLE.match(line)):
            inside = True
        elif inside and _EXCEPTION.match(line):
            inside = False
            yield place


def _carried(texts: list[str], place: int) -> int:
    """Return the place of the error that the one at `place` carries, else `place` itself.

    Ray and TorchScript write the error of the remote or compiled code after their own.
    """
    carrier = _CARRIES.match(texts[place])
    if carrier is None:
        return place
    inner = carrier["inner"]
    for other in range(place + 1, len(texts)):
        if TRACEBACK in texts[other]:
            break
        found = _EXCEPTION.match(texts[other])
        if found and (inner is None or found[1].startswith(inner)):
            place = other
    return place


def _reason(line: _Line, rest: list[_Line]) -> Reason:
    """Return the text of a line and of the following lines of the same message."""
    text, fields = without_module(_TORCH_STAMP.sub("", line.text.strip())), line.fields
    message: list[_Line] = []
    for other in rest:
        if TRACEBACK in other.text or other.kind in DEATHS:
            break
        message.append(other)
    if is_headline(text):
        text, fields = _validation(text, fields, message)
    elif text.endswith(":") and message:
        following = _reason(message[0], []).text
        text = f"{text} {following}" if ":" in text[:-1] else following
        fields = message[0].fields or fields
    if "cause" not in fields:
        fields = next((one.fields for one in message if "cause" in one.fields), fields)
    figures = tuple(
        (name, float(value))
        for name, value in fields.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    )
    return Reason(text, str(fields.get("cause", "")), figures)


def is_headline(error: str) -> bool:
    """Return whether an error only counts those below it (`1 validation error for ModelConfig`)."""
    return _VALIDATION.search(error) is not None


def without_module(error: str) -> str:
    """Return an exception without the path of its module, other errors without their level."""
    level = _LEVEL.match(error)
    error = error[level.end() :] if level else error
    found = _EXCEPTION.match(error)
    # `serve.sh: line 27: …` names a file, not a module.
    return found[1] if found and found[1][0].isupper() else error


def _validation(
    text: str, fields: Mapping[str, FieldValue], message: list[_Line]
) -> tuple[str, Mapping[str, FieldValue]]:
    """Return the line of a pydantic error that says what is wrong, with the field if named."""
    for place, line in enumerate(message):
        said, bracket, _ = line.text.strip().partition(" [type=")
        if said.startswith(("Value error, ", "Assertion failed, ")):
            return said, line.fields
        if bracket:
            name = message[place - 1].text.strip() if place else ""
            given = _GIVEN.search(line.text)
            said = f"{said}, not {given[1]}" if given else said
            return (f"{name}: {said}" if name else said), {"cause": BAD_FLAGS, **line.fields}
    return text, fields
