"""Tracebacks without envelope: Python's own, in a server's stderr."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vllm_watch.core.dataclass import replace
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.patterns import lazy
from vllm_watch.core.records import TRACEBACK, Event, FieldValue
from vllm_watch.parsing.text import shown

TRACEBACK_BYTES = TRACEBACK.encode()
_LONGEST = 400
_LONGEST_LINE = 16_384
_FURTHER = 12
"""Most lines after the error that may belong to its message."""
_ERROR = lazy(
    r"(?!INFO\b|WARNING\b|DEBUG\b|ERROR\b)[A-Za-z_][\w.]{0,200}(?:\([\w.]{1,80}\))?(?:: |:?$)"
)
_GOES_ON = lazy(r":$|\d validation errors? for ")
"""An error whose message continues at column 0."""
_PROCESS = lazy(r"\(([A-Za-z_]\w{0,60})(?: [^()\n]{0,120})?\) ")


def process_of(prefix: str) -> str:
    """Return the name of the process in a line's prefix, empty if there is none."""
    names = _PROCESS.findall(prefix)
    return str(names[-1]) if names else ""


class TracebackState(NamedTuple):
    """What is known of the newest traceback."""

    lines: tuple[str, ...] | None
    """Its lines so far, or the lines after its error; None if it is complete."""
    after: float | None
    """Epoch seconds of the newest stamp before it."""
    written: float | None
    """When it was written, if a wrapper says so."""
    process: str
    error: str
    """Its error, empty if that was not read yet."""


CLOSED = TracebackState(None, None, None, "", "")
"""No traceback is open."""
UNKNOWN_ERROR = "\n"
"""Stands for the error of a traceback that was not read; no line equals this text."""


class TracebackReader:
    """Collects the lines of a traceback, also across several blocks.

    It is reported when its error has been read; further lines of the error's message continue it.
    """

    def __init__(self, strip: Callable[[str], str], *, twin: bool) -> None:
        """Read the tracebacks of one file; `strip` removes wrappers from a line."""
        self._strip = strip
        self._twin = twin
        self._open: list[str] | None = None
        self._times: tuple[float | None, float | None] = None, None
        """The newest stamp before it, and when it was written."""
        self._process = ""
        self._error = ""
        """The error, once it was reported."""

    def state(self) -> TracebackState:
        """Return the state on which reading further lines depends."""
        if self._open is None:
            return CLOSED._replace(error=self._error)
        return TracebackState(tuple(self._open), *self._times, self._process, self._error)

    def continue_from(self, state: TracebackState) -> None:
        """Continue where another reader of the file stopped."""
        self._open = None if state.lines is None else list(state.lines)
        self._times = state.after, state.written
        self._process, self._error = state.process, state.error

    def is_error(self, line: str) -> bool:
        """Return whether a line is the error of the newest traceback."""
        return bool(line) and line == self._error

    def begin(
        self,
        block: bytes,
        start: int,
        times: tuple[float | None, float | None],
        end: int | None = None,
    ) -> list[Event]:
        """Start at the traceback whose first line begins at `start`; return what is complete.

        `times` are the newest stamp before it, and when it was written if a wrapper says so. `end`
        is where its first line ends, if that is known: lines can be very long.
        """
        self._open, self._times, self._process = [], times, ""
        self._error = ""
        return self._collect(block, start, end)

    @property
    def open(self) -> bool:
        """Whether the newest traceback may continue in the next line."""
        return self._open is not None

    def rest(self, block: bytes) -> list[Event]:
        """At a block's beginning: continue a traceback from an earlier block."""
        return [] if self._open is None else self._collect(block, 0)

    def _collect(self, block: bytes, start: int, end: int | None = None) -> list[Event]:
        found: list[Event] = []
        while start < len(block) and self._open is not None:
            if end is None:
                end = block.find(b"\n", start)
                end = len(block) if end < 0 else end
            whole = shown(block[start : min(end, start + _LONGEST_LINE)])
            start, end = end + 1, None
            line = self._strip(whole)
            process = process_of(whole[: len(whole) - len(line)])
            if not self._open and not self._error:
                self._process = process
            elif self._error and process != self._process:
                self._open = None
                break
            event = self._further(line) if self._error else self._next(line)
            found += [] if event is None else [event]
        return found

    def _next(self, line: str) -> Event | None:
        """Add a line up to the error; return the traceback once it is complete."""
        lines = self._open
        assert lines is not None
        # A pasted log may have a blank line after each other one, also after the first.
        spaced = not line and (len(lines) == 1 or "" in lines)
        inside = not lines or spaced or line.startswith((" ", "\t"))
        error = line if not inside and _ERROR.match(line) else ""
        if inside or error:
            lines.append(line)
        if inside and len(lines) < _LONGEST:
            return None
        self._error, self._open = error, [] if error else None
        fields: dict[str, FieldValue] = {"error": error or "unknown error"}
        return self._event("traceback", "\n".join(lines), fields)

    def _further(self, line: str) -> Event | None:
        """Add a line after the error; return it if it belongs to the message."""
        lines = self._open
        assert lines is not None
        inside = line.startswith((" ", "\t")) or (
            not lines and bool(line) and _GOES_ON.search(self._error) is not None
        )
        if not inside or len(lines) >= _FURTHER:
            self._open = None
            return None
        lines.append(line)
        return replace(self._event("error", line, {}), continues=True)

    def _event(self, kind: str, text: str, fields: Mapping[str, FieldValue]) -> Event:
        return Event(
            kind,
            None,
            text,
            fields,
            "ERROR",
            twin=self._twin,
            process=self._process,
            after=self._times[0],
            written=self._times[1],
        )
