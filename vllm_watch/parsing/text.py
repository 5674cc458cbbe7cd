"""Text of a log made safe to show: no escape codes, no control characters."""

from __future__ import annotations

from vllm_watch.core.patterns import lazy

ESCAPES = lazy(
    rb"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]?|\][^\x07\x1b\n]{0,4096}(?:\x07|\x1b\\)?|[@-Z\\-_]?)"
)
"""Terminal escape sequences: CSI, OSC and two-character ones, bounded so that time is linear."""

_CONTROLS = lazy("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
"""Control characters and marks that change the direction of text."""

STATS_LIKE = b"Avg generation throughput: "
"""Words in a stats line of any version."""

ZEROS = bytes.maketrans(b"123456789", b"000000000")
"""Makes all digits of a text zero."""

LONGEST_MESSAGE = 32_768
"""Bytes of a message that are read; the rest of the line is skipped."""

SHOWN_CHARACTERS = 2_000
"""Most characters of a message that are kept for showing."""


def without_escapes(raw: bytes) -> bytes:
    """Return the bytes without terminal escape sequences."""
    return ESCAPES.sub(b"", raw) if b"\x1b" in raw else raw


def shown(raw: bytes, limit: int = SHOWN_CHARACTERS) -> str:
    """Return text of a log that is safe to show: decoded, cut to `limit`, without controls."""
    text = without_escapes(raw[: limit * 4]).decode("utf-8", "replace").rstrip("\r\n ")
    text = text.replace("\t", "  ")
    return (text if text.isprintable() else _CONTROLS.sub("", text))[:limit]


def segment_end(block: bytes, position: int) -> int:
    """Return where a line ends or is rewritten: a line that is rewritten can be endless."""
    most = min(len(block), position + LONGEST_MESSAGE)
    ends = (block.find(mark, position, most) for mark in (b"\r", b"\n"))
    return min((end for end in ends if end >= 0), default=most)
