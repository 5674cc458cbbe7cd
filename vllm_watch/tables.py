"""TOML files that come with the program or are the user's, parsed and checked once per change.

Parsing and checking the format files takes as long as all else that `status` does. What passed its
checks is kept as JSON in the user's cache folder, with the names, sizes and modification times of
the files; while those are the same it is read from there. Where nothing can be kept, nothing is.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from typing import Any, TypeAlias

from vllm_watch import __version__
from vllm_watch.locations import cache_folder

Tables: TypeAlias = "list[dict[str, Any]]"


def kept_tables(name: str, paths: Sequence[str | os.PathLike[str]]) -> Tables | None:
    """Return the tables of files as they were kept when they had passed their checks.

    None if they were not, or the files have changed since.
    """
    try:
        with open(_place(name, paths), encoding="utf-8") as file:
            kept = json.load(file)
        tables: Tables = kept["tables"]
        return tables if kept["files"] == _state(paths) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_tables(name: str, paths: Sequence[str | os.PathLike[str]], tables: Tables) -> None:
    """Keep the tables of files that have passed their checks, if that is possible."""
    place = _place(name, paths)
    aside = f"{place}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        with open(aside, "w", encoding="utf-8") as file:
            json.dump({"files": _state(paths), "tables": tables}, file)
        os.replace(aside, place)
    except (OSError, TypeError, ValueError):  # a full disk, a date in a table: read it again
        return


def _place(name: str, paths: Sequence[str | os.PathLike[str]]) -> str:
    folders = "\0".join(os.fspath(path) for path in paths)
    return os.path.join(
        cache_folder(), f"{name}-{zlib.crc32(folders.encode('utf-8', 'replace')):08x}.json"
    )


def _state(paths: Sequence[str | os.PathLike[str]]) -> list[list[str | int]]:
    """Return what changes when a file, or the program that checks it, changes."""
    state: list[list[str | int]] = [[__version__]]
    for path in paths:
        status = os.stat(path)
        state.append([os.fspath(path), status.st_mtime_ns, status.st_size])
    return state
