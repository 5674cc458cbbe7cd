"""Paths as a user gives them: files, globs, folders; each `.log` with its companions."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

STDIN = "-"
"""The path that means standard input."""

_TWIN_ENDINGS = (".err",)
_PBS_ENDINGS = ("_pbs.out", "_pbs.err")


@dataclass(frozen=True, slots=True)
class LogSet:
    """One server's files."""

    source: str
    """Path of its log as found: the key of the server everywhere."""
    twins: tuple[str, ...] = ()
    """Companions that exist now: `.err`, `_pbs.out`, `_pbs.err`."""


@dataclass(frozen=True, slots=True)
class PathTrouble:
    """A path that cannot be used, and what to do about it."""

    path: str
    text: str
    """One line that names the file and the mend."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the given paths mean right now."""

    logs: tuple[LogSet, ...]
    missing: tuple[str, ...]
    """Patterns that match nothing (yet)."""
    troubles: tuple[PathTrouble, ...] = ()


def find_logs(patterns: Sequence[str]) -> Found:
    """Return the servers' files that the patterns match now, in the order given."""
    names: dict[str, None] = {}
    places: set[str] = set()
    missing: list[str] = []
    troubles: list[PathTrouble] = []
    for pattern in patterns:
        if pattern == STDIN:
            names[STDIN] = None
            continue
        matched = _matches(pattern, troubles)
        if not matched:
            missing.append(pattern)
        for name in matched:
            # `a.log` and `./a.log` are one log, called as it was first.
            place = os.path.abspath(name)
            if place not in places:
                places.add(place)
                names[name] = None
    logs = dict.fromkeys(log_of_twin(name, names) for name in names)
    return Found(
        tuple(LogSet(name, twins_of(name)) for name in logs), tuple(missing), tuple(troubles)
    )


def _matches(pattern: str, troubles: list[PathTrouble]) -> list[str]:
    if os.path.isdir(pattern):
        try:
            with os.scandir(pattern) as found:
                names = [e.name for e in found if e.name.endswith(".log") and not e.is_dir()]
        except OSError as error:
            troubles.append(folder_trouble(pattern, error))
            return []
        return [os.path.join(pattern, name) for name in sorted(names)]
    if os.path.lexists(pattern):
        return [pattern]
    matched = sorted(glob.glob(pattern))
    if not matched:
        _look_at_folder(pattern, troubles)
    return [name for name in matched if not os.path.isdir(name)]


def _look_at_folder(pattern: str, troubles: list[PathTrouble]) -> None:
    """Say so when nothing matches because the folder cannot be read."""
    folder = os.path.dirname(pattern) or "."
    if glob.has_magic(folder) or not os.path.isdir(folder):
        return
    try:
        with os.scandir(folder) as entries:
            next(entries, None)
    except OSError as error:
        troubles.append(folder_trouble(folder, error))


def folder_trouble(folder: str, error: OSError) -> PathTrouble:
    """Return the line for a folder that cannot be listed."""
    reason = (error.strerror or str(error)).lower()
    return PathTrouble(folder, f"{folder}: {reason}; allow reading it (chmod u+rx) and it is read")


def _base(path: str) -> str:
    """Return the part of a log's path that its companions share."""
    return os.path.splitext(path)[0].removesuffix("_realtime")


def twins_of(source: str) -> tuple[str, ...]:
    """Return the companions of a log that exist: what went to stderr stands there."""
    if source == STDIN or not source.endswith(".log"):
        return ()
    stem, base = source.removesuffix(".log"), _base(source)
    names = [stem + ending for ending in _TWIN_ENDINGS]
    names += [base + ending for ending in _PBS_ENDINGS]
    return tuple(name for name in names if os.path.exists(name))


def log_of_twin(path: str, known: Iterable[str] = ()) -> str:
    """Return the log that a companion belongs to, the path itself if it is none."""
    for ending in _TWIN_ENDINGS:
        log = path.removesuffix(ending) + ".log"
        if path.endswith(ending) and (log in known or os.path.exists(log)):
            return log
    for ending in _PBS_ENDINGS:
        for log_ending in ("_realtime.log", ".log"):
            log = path.removesuffix(ending) + log_ending
            if path.endswith(ending) and (log in known or os.path.exists(log)):
                return log
    return path


def folders_of(patterns: Sequence[str]) -> set[str]:
    """Return the existing folders in which something that the patterns mean may appear."""
    folders: set[str] = set()
    for pattern in patterns:
        if pattern == STDIN:
            continue
        if os.path.isdir(pattern):
            folders.add(pattern)
            continue
        candidates = [os.path.dirname(pattern) or "."]
        if not os.path.isdir(candidates[0]):
            candidates = [name for name in glob.glob(candidates[0]) if os.path.isdir(name)]
        folders.update(name for name in candidates if os.path.isdir(name))
        folders.update(
            os.path.dirname(os.path.realpath(name))
            for name in glob.glob(pattern)
            if os.path.islink(name)
        )
    return folders
