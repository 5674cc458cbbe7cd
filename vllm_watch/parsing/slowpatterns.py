"""Keeps patterns of format files linear: an unbounded repeat inside a repeat is refused."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

from vllm_watch.core.hints import Any
from vllm_watch.parsing.errors import FormatError

LARGE = 1000
"""A repeat that may be longer than this counts as unbounded."""

_parser: Any = importlib.import_module("re._parser")
_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})


def refuse_slow_patterns(where: str, table: object) -> None:
    """Look through all patterns of a format file.

    Raises:
        FormatError: an unbounded repeat is inside another: some line would take forever.
    """
    for pattern in _patterns(table):
        try:
            slow = _nested(_parser.parse(pattern), inside=False)
        except re.error:
            continue  # refused with a better message when it is compiled
        except RecursionError:
            slow = True
        if slow:
            raise FormatError(
                f"{where}: pattern {pattern!r} has an unlimited repeat inside another one: "
                "limit one of them, for example to {1,200}"
            )


def _patterns(table: object, key: str = "") -> Iterator[str]:
    """Yield every pattern of a table: `pattern`, what is in `find`, a format's `envelope`."""
    if isinstance(table, dict):
        for name, value in table.items():
            yield from _patterns(value, "pattern" if key == "find" else str(name))
    elif isinstance(table, list):
        for value in table:
            yield from _patterns(value, key)
    elif isinstance(table, str) and key in ("pattern", "envelope"):
        yield table


def _nested(value: object, *, inside: bool) -> bool:
    """Return whether a parsed pattern has an unbounded repeat inside another."""
    if isinstance(value, _parser.SubPattern):
        return any(_nested(node, inside=inside) for node in value)
    if isinstance(value, list):
        return any(_nested(node, inside=inside) for node in value)
    if not isinstance(value, tuple):
        return False
    if value and str(value[0]) in _REPEATS:
        _, (_, most, repeated) = value
        endless = most > LARGE
        return (inside and endless) or _nested(repeated, inside=inside or endless)
    return any(_nested(node, inside=inside) for node in value)
