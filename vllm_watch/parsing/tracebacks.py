"""Tracebacks without envelope: Python's own, in a server's stderr."""

from __future__ import annotations

import re

from vllm_watch.core.records import Event
from vllm_watch.parsing.text import shown

TRACEBACK = b"Traceback (most recent call last):"
"""First line of a traceback; only at column 0 is it the process's own."""

_LONGEST = 400
_ERROR = re.compile(rb"[A-Za-z_][\w.]{0,200}(?:: |$)")


class TracebackReader:
    """Collects the lines of a traceback, also when they arrive in two blocks."""

    def __init__(self, *, twin: bool) -> None:
        """Read the tracebacks of one file."""
        self._twin = twin
        self._open: list[bytes] | None = None

    def begin(self, block: bytes, start: int, stamp: float | None) -> list[Event]:
        """Start at the traceback whose first line begins at `start`; return what is complete."""
        self._open = []
        return self._collect(block, start, stamp)

    def rest(self, block: bytes, stamp: float | None) -> list[Event]:
        """At a block's beginning: go on with a traceback that an earlier block began."""
        return [] if self._open is None else self._collect(block, 0, stamp)

    def _collect(self, block: bytes, start: int, stamp: float | None) -> list[Event]:
        lines = self._open
        assert lines is not None
        while start < len(block):
            end = block.find(b"\n", start)
            end = len(block) if end < 0 else end
            line = block[start:end].rstrip(b"\r")
            start = end + 1
            lines.append(line)
            inside = len(lines) == 1 or line.startswith((b" ", b"\t"))
            if not inside or len(lines) >= _LONGEST:
                self._open = None
                return [self._event(lines, stamp)]
        return []

    def _event(self, lines: list[bytes], stamp: float | None) -> Event:
        last = lines[-1] if _ERROR.match(lines[-1]) else b""
        text = "\n".join(shown(line) for line in lines)
        return Event(
            "traceback",
            None,
            text,
            {"error": shown(last) or "unknown error", "after": stamp},
            "ERROR",
            twin=self._twin,
        )
