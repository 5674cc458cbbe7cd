"""The prefix of a log line: which process, which level, when, from which file of vLLM."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vllm_watch.parsing.text import without_escapes

ANCHOR = re.compile(rb"\.py:\d{1,6}\](?:\x1b\[[0-9;]{0,16}m)? ?")
"""Where every envelope of vLLM ends and its message begins."""

LONGEST_HEAD = 400
"""Bytes before the anchor in which an envelope must begin."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands before a message."""

    process: str
    """Process name without its id, empty where there is none."""
    level: str
    """DEBUG, INFO, WARNING, ERROR or CRITICAL."""
    stamp: bytes
    """`MM-DD HH:MM:SS` in the server's local time: no year, no zone."""
    file: str
    """Name of vLLM's source file that wrote it, without folders."""
    line: str
    """Its line number."""
    start: int
    """Bytes of the head that stand before the envelope."""


class EnvelopeReader:
    """Recognises envelopes by the patterns of the format files."""

    def __init__(self, patterns: list[str]) -> None:
        """Compile the patterns; each must name process, level, stamp, path and line."""
        self._patterns = [re.compile(pattern.encode() + rb"\Z") for pattern in patterns]

    def read(self, head: bytes) -> Envelope | None:
        """Return the envelope that ends exactly where `head` ends, or None."""
        head = without_escapes(head[-LONGEST_HEAD:]).rstrip(b" ")
        for pattern in self._patterns:
            found = pattern.search(head)
            if found:
                process, level, stamp, path, line = found.group(
                    "process", "level", "stamp", "path", "line"
                )
                return Envelope(
                    process.decode() if process else "",
                    level.decode(),
                    stamp,
                    path.rpartition(b"/")[2].decode(),
                    line.decode(),
                    found.start(),
                )
        return None
