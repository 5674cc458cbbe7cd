"""Tracebacks without envelope: Python's own, in a server's stderr."""

from __future__ import annotations

import re
from collections.abc import Callable

from vllm_watch.core.records import Event
from vllm_watch.parsing.text import shown

TRACEBACK = b"Traceback (most recent call last):"
"""First line of a traceback; only wrappers may stand before it."""

_LONGEST = 400
_LONGEST_LINE = 16_384
_ERROR = re.compile(r"(?!INFO\b|WARNING\b|DEBUG\b|ERROR\b)[A-Za-z_][\w.]{0,200}(?:: |$)")


class TracebackReader:
    """Collects the lines of a traceback, also when they arrive in two blocks."""

    def __init__(self, strip: Callable[[str], str], *, twin: bool) -> None:
        """Read the tracebacks of one file; `strip` takes wrappers off a line."""
        self._strip = strip
        self._twin = twin
        self._open: list[str] | None = None
        self._after: float | None = None

    def begin(
        self, block: bytes, start: int, stamp: float | None, end: int | None = None
    ) -> list[Event]:
        """Start at the traceback whose first line begins at `start`; return what is complete.

        `end` is where its first line ends, if that is known: lines can be very long.
        """
        self._open, self._after = [], stamp
        return self._collect(block, start, end)

    def rest(self, block: bytes) -> list[Event]:
        """At a block's beginning: go on with a traceback that an earlier block began."""
        return [] if self._open is None else self._collect(block, 0)

    def _collect(self, block: bytes, start: int, end: int | None = None) -> list[Event]:
        lines = self._open
        assert lines is not None
        while start < len(block):
            if end is None:
                end = block.find(b"\n", start)
                end = len(block) if end < 0 else end
            line = self._strip(shown(block[start : min(end, start + _LONGEST_LINE)]))
            start, end = end + 1, None
            inside = not lines or line.startswith((" ", "\t"))
            error = line if not inside and _ERROR.match(line) else ""
            if inside or error:
                lines.append(line)
            if not inside or len(lines) >= _LONGEST:
                return [self._event(lines, error)]
        return []

    def _event(self, lines: list[str], error: str) -> Event:
        self._open = None
        return Event(
            "traceback",
            None,
            "\n".join(lines),
            {"error": error or "unknown error", "after": self._after},
            "ERROR",
            twin=self._twin,
        )
