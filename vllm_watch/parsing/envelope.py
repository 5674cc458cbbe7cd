"""The prefix of a log line: which process, which level, when, from which file of vLLM."""

from __future__ import annotations

from functools import partial

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import TypeAlias
from vllm_watch.core.patterns import lazy
from vllm_watch.parsing.text import ZEROS, without_escapes

ANCHOR = lazy(rb"\.py:\d{1,6}\](?:\x1b\[[0-9;]{0,16}m)? ?")
"""Where every envelope of vLLM ends and its message begins."""

LONGEST_HEAD = 400
"""Bytes before the anchor in which an envelope must begin."""

MOST_SHAPES = 4_096
"""Most shapes of heads remembered."""

GROUPS = ("process", "level", "stamp", "path", "line")
"""Groups that each pattern must have."""

_Spans: TypeAlias = "tuple[int, slice, slice, slice, slice, slice]"
"""Positions of the envelope, and of process, level, stamp, path and line."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The prefix of a message."""

    process: str
    """Process name without its id, empty if there is none."""
    level: str
    """DEBUG, INFO, WARNING, ERROR or CRITICAL."""
    stamp: bytes
    """`MM-DD HH:MM:SS` in the server's local time: no year, no zone."""
    file: str
    """Name of vLLM's source file that wrote it, without folders."""
    line: str
    """Its line number."""
    start: int
    """Bytes of the head before the envelope."""


class EnvelopeReader:
    """Recognises envelopes by the patterns of the format files."""

    def __init__(self, patterns: list[str]) -> None:
        """Read by patterns; each has the `GROUPS`."""
        self._spans: dict[bytes, _Spans] = {}
        """Heads with all digits zero, and the positions of their parts."""
        self._patterns = [lazy(pattern.encode() + rb"\Z") for pattern in patterns]

    def read(self, head: bytes) -> Envelope | None:
        """Return the envelope that ends exactly where `head` ends, or None."""
        head = without_escapes(head[-LONGEST_HEAD:]).rstrip(b" ")
        shape = head.translate(ZEROS)
        spans = self._spans.get(shape)
        if spans is None:
            spans = self._search(head)
            if spans is None:
                return None
            if len(self._spans) < MOST_SHAPES:
                self._spans[shape] = spans
        start, process, level, stamp, path, line = spans
        return Envelope(
            head[process].decode(),
            head[level].decode(),
            head[stamp],
            head[path].decode(),
            head[line].decode(),
            start,
        )

    def up_to_next(self, body: bytes) -> bytes:
        """Return a message without another process's line that runs into it."""
        if b".py:" not in body:
            return body
        for anchor in ANCHOR.finditer(body):
            start = max(0, anchor.end() - LONGEST_HEAD)
            head = body[start : anchor.end()]
            envelope = self.read(head)
            if envelope is not None:
                return body[:start] + without_escapes(head)[: envelope.start]
        return body

    def _search(self, head: bytes) -> _Spans | None:
        """Return the positions of the parts of the envelope that ends where `head` ends."""
        for pattern in self._patterns:
            found = pattern.search(head)
            if found:
                process, level, stamp, path, line = (
                    slice(*map(partial(max, 0), found.span(name))) for name in GROUPS
                )
                path = slice(
                    max(path.start, head.rfind(b"/", path.start, path.stop) + 1), path.stop
                )
                return found.start(), process, level, stamp, path, line
        return None
