"""Colours of text on a terminal; none in a pipe, with NO_COLOR or --no-color."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from vllm_watch.cli.parser import Arguments

_CODES = {
    "critical": "31",
    "dead": "31",
    "ended": "31",
    "stalled": "31",
    "warning": "33",
    "stopped": "33",
    "starting": "36",
    "no-stats": "36",
    "finished": "32",
    "ready": "32",
    "idle": "32",
    "busy": "32",
    "good": "32",
    "title": "1",
    "dim": "2",
}
"""SGR codes by role: the terminal's own 16 colours, which its user chose."""


def painter(arguments: Arguments) -> Callable[[str, str], str]:
    """Return a function that colours a text by its role: a state, a severity, `title`, `dim`."""
    plain = (
        arguments.no_color
        or bool(os.environ.get("NO_COLOR"))
        or os.environ.get("TERM") == "dumb"
        or not sys.stdout.isatty()
    )
    return _plain if plain else _painted


def _plain(role: str, text: str) -> str:
    return text


def _painted(role: str, text: str) -> str:
    code = _CODES.get(role)
    return text if code is None else f"\x1b[{code}m{text}\x1b[0m"
