"""TOML files that come with the program or are the user's, parsed and checked once per change.

Regular expressions are kept, too, compiled.

Parsing and checking the format files takes as long as everything else in `status`. Tables that
passed their checks are kept in the user's cache folder, in the form of Python's compiled code, with
the names, sizes and modification times of the files. While those are unchanged, the tables are read
from there. If the folder cannot be written, nothing is kept.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Sequence

from vllm_watch import __version__
from vllm_watch.core import patterns
from vllm_watch.core.hints import Any, TypeAlias, cast
from vllm_watch.core.mistakes import MistakeError, why_failed
from vllm_watch.locations import cache_folder

Tables: TypeAlias = "list[dict[str, Any]]"


_PATTERNS = f"patterns-{sys.hexversion:x}"
"""Each version of Python compiles in its own way."""
_PRIME = 4_294_967_291
"""Identifies a set of files in the name of its cache file."""


def read_table(path: str, failure: type[MistakeError]) -> dict[str, Any]:
    """Parse a file of formats or rules.

    Raises:
        MistakeError: it cannot be read; of the class `failure`.
    """
    import tomllib  # 8 ms, and only changed files are parsed

    try:
        with open(path, encoding="utf-8") as file:
            return tomllib.loads(file.read())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise failure(f"{path}: cannot be read: {why_failed(error)}") from error


def kept_tables(name: str, paths: Sequence[str | os.PathLike[str]]) -> Tables | None:
    """Return the cached tables of files that passed their checks.

    None if there are none, or the files have changed since.
    """
    try:
        with open(_place(name, paths), "rb") as file:
            kept = marshal.loads(file.read())
        tables: Tables = kept["tables"]
        return tables if kept["files"] == _state(paths) else None
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None


def keep_tables(name: str, paths: Sequence[str | os.PathLike[str]], tables: Tables) -> None:
    """Cache the tables of files that passed their checks, if possible."""
    place = _place(name, paths)
    aside = f"{place}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        data = marshal.dumps({"files": _state(paths), "tables": tables})
        with open(aside, "wb") as file:
            file.write(data)
        os.replace(aside, place)
    except (OSError, TypeError, ValueError):  # a full disk, a date in a table: read it again
        return


def _place(name: str, paths: Sequence[str | os.PathLike[str]]) -> str:
    folders = "\0".join(os.fspath(path) for path in paths)
    number = int.from_bytes(folders.encode("utf-8", "replace"), "big") % _PRIME
    return os.path.join(cache_folder(), f"{name}-{number:08x}.{sys.implementation.cache_tag}")


def _state(paths: Sequence[str | os.PathLike[str]]) -> list[list[str | int]]:
    """Return a value that changes with a file, or with the program that checks it."""
    state: list[list[str | int]] = [[__version__]]
    for path in paths:
        status = os.stat(path)
        state.append([os.fspath(path), status.st_mtime_ns, status.st_size])
    return state


def remember_patterns() -> None:
    """Read what the patterns of earlier starts are compiled to."""
    for kept in kept_tables(_PATTERNS, ()) or ():
        patterns.known.update(cast("dict[patterns.Key, bytes]", kept))


def keep_patterns() -> None:
    """Keep what new patterns of this process are compiled to; forget unused ones if too many."""
    known = patterns.known
    codes = {key: patterns.code_of(*key) for key in patterns.used if key not in known}
    new: Any = {key: code for key, code in codes.items() if code is not None}
    if new:
        few = len(known) + len(new) <= patterns.MOST
        kept = {key: code for key, code in known.items() if few or key in patterns.used}
        keep_tables(_PATTERNS, (), [kept | new])
