"""The keys of format files; any other is a slip of the pen, and refused."""

from __future__ import annotations

from collections.abc import Mapping

from vllm_watch.core.hints import Any, TypeAlias
from vllm_watch.core.mistakes import name_hint
from vllm_watch.parsing.errors import FormatError
from vllm_watch.parsing.wrappers import JsonKeys

Keys: TypeAlias = "dict[str, Any]"
"""Keys of a table: each with the keys inside it, if its value is a table or a list of tables."""


def _keys(*names: str, **tables: Keys) -> Keys:
    return {**dict.fromkeys(names), **tables}


def _entry(*names: str, **tables: Keys) -> Keys:
    """Return the keys of an entry with samples."""
    return _keys(*names, **tables, sample=_keys("line", "expect"))


_PARTS = ("contains", "heads", "parts", "separator", "whole_from")
_EVENT = ("kind", "contains", "pattern", "bare", "level", "find", "set", "fields")
_KINDS: dict[str, Keys] = {
    "envelope": _keys(envelope=_entry("name", "pattern")),
    "stats": _entry("files", "envelope", *_PARTS),
    "companion": _keys("files", companion=_entry(*_PARTS)),
    "event": _keys(
        event=_entry(*_EVENT),
        access=_entry("pattern", "inference", "polls"),
        iteration=_entry("contains", "pattern", head=_keys("pattern")),
        requests=_entry("pattern", "begins", "ends", "drops"),
    ),
    "wrapper": _keys(
        "server_words",
        wrapper=_entry("name", "pattern", "anywhere"),
        logger=_entry("name", "pattern"),
        json=_entry(*JsonKeys.__match_args__),
    ),
    "known": _keys(known=_entry("contains", "pattern")),
    "opaque": _keys("files", "contains", sample=_keys("line")),
}
KEYS: dict[str, Keys] = {
    kind: _keys("kind", "name", "title", "versions", **keys) for kind, keys in _KINDS.items()
}
"""The keys of a file of each kind."""


def refuse_unknown_keys(path: str, table: Mapping[str, Any]) -> None:
    """Look through a format file; one of an unknown kind is refused elsewhere.

    Raises:
        FormatError: a key is none of those that its table has.
    """
    if table.get("kind") in KEYS:
        _look_through(path, table, KEYS[table["kind"]])


def _look_through(where: str, table: Mapping[str, Any], keys: Keys) -> None:
    for name, value in table.items():
        if name not in keys:
            raise FormatError(f"{where}: unknown key {name}: {name_hint(name, keys)}")
        for inner in value if isinstance(value, list) else [value]:
            if keys[name] is not None and isinstance(inner, dict):
                _look_through(f"{where}: {name}", inner, keys[name])
