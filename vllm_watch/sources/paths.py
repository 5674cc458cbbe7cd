"""Paths as a user gives them: files, globs, folders; each `.log` with its companions."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.mistakes import why_failed
from vllm_watch.core.naming import COMMAND
from vllm_watch.core.recorded import GPU_TABLE, RECORDING
from vllm_watch.sources.commandwords import command_of

STDIN = "-"
"""The path that means standard input."""

EMPTY_PATH = "an empty path: name a log, a folder or a quoted glob (is a variable unset?)"

_PACKED = ("", ".gz", ".zst")
"""Possible endings of a log's or a companion's name if it was saved compressed."""
MANY = 16
"""Fewest logs in a folder for which it is listed once, instead of asking for each companion."""
_LOGS = tuple(".log" + packed for packed in _PACKED)
_TWIN_ENDINGS = (".err",)
_PBS_ENDINGS = ("_pbs.out", "_pbs.err")
_RECORDINGS = (RECORDING, GPU_TABLE)


@dataclass(frozen=True, slots=True)
class LogSet:
    """One server's files."""

    source: str
    """Path of its log as found: the key of the server everywhere."""
    twins: tuple[str, ...] = ()
    """Existing companions: `.err`, `_pbs.out`, `_pbs.err`."""
    recordings: tuple[str, ...] = ()
    """Recordings beside it: `.metrics.jsonl`, `_gpu.csv`."""


@dataclass(frozen=True, slots=True)
class Found:
    """The result of searching the given paths."""

    logs: tuple[LogSet, ...]
    missing: tuple[str, ...]
    """Patterns that match nothing (yet)."""
    troubles: tuple[str, ...] = ()
    """One line about each path that cannot be used, with how to fix it."""


def _has_magic(path: str) -> bool:
    """Return whether a path is a glob."""
    return any(mark in path for mark in "*?[")


def _globbed(pattern: str) -> list[str]:
    """Return the paths that a pattern matches, as `glob.glob`, which is only called for globs."""
    if not _has_magic(pattern):
        return [pattern] if os.path.lexists(pattern) else []
    import glob

    return glob.glob(pattern)


def is_stream(path: str) -> bool:
    """Return whether a path is not a file: standard input, or the output of a command."""
    return path == STDIN or path.startswith(COMMAND)


def find_logs(patterns: Sequence[str]) -> Found:
    """Return the servers' files that the patterns match now, in the given order."""
    names: dict[str, None] = {}
    places: set[str] = set()
    missing: list[str] = []
    troubles: list[str] = []
    for pattern in patterns:
        if is_stream(pattern):
            names[pattern if pattern == STDIN else command_of(pattern)[0]] = None
            continue
        matched = _matches(pattern, troubles)
        if not matched and pattern:
            missing.append(pattern)
        if len(patterns) == 1:
            names = dict.fromkeys(matched)
            break
        for name in matched:
            # `a.log` and `./a.log` are one log, named as it was given first.
            place = os.path.abspath(name)
            if place not in places:
                places.add(place)
                names[name] = None
    logs = dict.fromkeys(log_of_twin(name, names) for name in names)
    exists = _Names(logs).exists
    return Found(
        tuple(LogSet(name, twins_of(name, exists), recordings_of(name, exists)) for name in logs),
        tuple(missing),
        tuple(troubles),
    )


class LogFinder:
    """Searches the same patterns again and again."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = tuple(patterns)
        self._names: dict[str, set[str]] | None = None
        """All names in the folders at the last search."""
        self._found = Found((), ())

    def find(self) -> Found:
        """Return the files now; with many logs, folders are searched only if a name has changed."""
        known = self._found
        certain = len(known.logs) >= MANY and not known.missing and not known.troubles
        names = self._present_names() if certain else None
        if names is None or names != self._names:
            self._names, self._found = names, find_logs(self._patterns)
        return self._found

    def _present_names(self) -> dict[str, set[str]] | None:
        """Return all names in the folders that matter; None if these are not certain."""
        names: dict[str, set[str]] = {}
        for pattern in self._patterns:
            folder = pattern if os.path.isdir(pattern) else os.path.dirname(pattern)
            if is_stream(pattern) or _has_magic(folder):
                return None
            try:
                names[folder] = set(os.listdir(folder or "."))
            except OSError:
                return None
        return names


class _Names:
    """Tells which files exist; with many logs it lists their folder once."""

    def __init__(self, logs: Iterable[str]) -> None:
        """List the folders that hold many of `logs`."""
        counts = Counter(os.path.dirname(log) for log in logs)
        self._listed: dict[str, set[str]] = {}
        for folder, count in counts.items():
            if count >= MANY:
                try:
                    self._listed[folder] = set(os.listdir(folder or "."))
                except OSError:
                    continue  # its files may be known even if it cannot be listed

    def exists(self, path: str) -> bool:
        """Return whether a file exists at a path."""
        folder, name = os.path.split(path)
        listed = self._listed.get(folder)
        return (listed is None or name in listed) and os.path.exists(path)


def _matches(pattern: str, troubles: list[str]) -> list[str]:
    if not pattern:
        troubles.append(EMPTY_PATH)
        return []
    if os.path.isdir(pattern):
        try:
            with os.scandir(pattern) as found:
                names = [e.name for e in found if e.name.endswith(_LOGS) and not e.is_dir()]
        except OSError as error:
            troubles.append(folder_trouble(pattern, error))
            return []
        return [os.path.join(pattern, name) for name in sorted(names)]
    if os.path.lexists(pattern):
        return [pattern]
    matched = sorted(_globbed(pattern))
    if not matched:
        _look_at_folder(pattern, troubles)
    return [name for name in matched if not os.path.isdir(name)]


def _look_at_folder(pattern: str, troubles: list[str]) -> None:
    """Report that nothing matches because the folder cannot be read."""
    folder = os.path.dirname(pattern) or "."
    if _has_magic(folder) or not os.path.isdir(folder):
        return
    try:
        with os.scandir(folder) as entries:
            next(entries, None)
    except OSError as error:
        troubles.append(folder_trouble(folder, error))


def folder_trouble(folder: str, error: OSError) -> str:
    """Return the message for a folder that cannot be listed."""
    return f"{folder}: {why_failed(error)}; make it readable (chmod u+rx), then it is read"


def _base(path: str) -> str:
    """Return the part of a log's path that its companions share."""
    return os.path.splitext(path)[0].removesuffix("_realtime")


def is_recording(path: str) -> bool:
    """Return whether a path is named like a recording beside a log."""
    return _unpacked(path)[0].endswith(_RECORDINGS)


def recordings_of(source: str, exists: Callable[[str], bool] = os.path.exists) -> tuple[str, ...]:
    """Return the recordings beside a log: of each kind the first that exists."""
    plain, _ = _unpacked(source)
    if is_stream(source) or not plain.endswith(".log"):
        return ()
    stems = dict.fromkeys((plain.removesuffix(".log"), _base(plain)))
    found = []
    for ending in _RECORDINGS:
        names = (stem + ending + packed for stem in stems for packed in _PACKED)
        found += [name for name in names if exists(name)][:1]
    return tuple(found)


def twins_of(source: str, exists: Callable[[str], bool] = os.path.exists) -> tuple[str, ...]:
    """Return the existing companions of a log, which have its standard error."""
    plain, packed = _unpacked(source)
    if is_stream(source) or not plain.endswith(".log"):
        return ()
    stem, base = plain.removesuffix(".log"), _base(plain)
    names = [stem + ending for ending in _TWIN_ENDINGS]
    names += [base + ending for ending in _PBS_ENDINGS]
    found = []
    for name in names:
        # Saved logs only: beside a growing log, an archive is the companion of an older one.
        there = [name + end for end in (_PACKED if packed else ("",)) if exists(name + end)]
        found += there[:1]
    return tuple(found)


def _unpacked(path: str) -> tuple[str, str]:
    """Split a path into the name before compression and the ending of the compression."""
    for packed in _PACKED[1:]:
        if path.endswith(packed):
            return path.removesuffix(packed), packed
    return path, ""


def _log_there(log: str, packed: str, known: Iterable[str]) -> str | None:
    """Return the log of that name, compressed or not."""
    for end in dict.fromkeys((packed, "", *_PACKED)):
        if log + end in known or os.path.exists(log + end):
            return log + end
    return None


def log_of_twin(path: str, known: Iterable[str]) -> str:
    """Return the log that a companion belongs to, the path itself if it is not one."""
    plain, packed = _unpacked(path)
    for ending in _TWIN_ENDINGS:
        if plain.endswith(ending):
            log = _log_there(plain.removesuffix(ending) + ".log", packed, known)
            if log and (packed or not _unpacked(log)[1] or path in twins_of(log)):
                return log
    for ending in (*_PBS_ENDINGS, *_RECORDINGS):
        for log_ending in ("_realtime.log", ".log"):
            if plain.endswith(ending):
                log = _log_there(plain.removesuffix(ending) + log_ending, packed, known)
                if log:
                    return log
    return path


def folders_of(patterns: Sequence[str]) -> set[str]:
    """Return the existing folders in which files of the patterns may appear."""
    folders: set[str] = set()
    for pattern in patterns:
        if is_stream(pattern) or not pattern:
            continue
        if os.path.isdir(pattern):
            folders.add(pattern)
            continue
        candidates = [os.path.dirname(pattern) or "."]
        if not os.path.isdir(candidates[0]):
            candidates = [name for name in _globbed(candidates[0]) if os.path.isdir(name)]
        folders.update(name for name in candidates if os.path.isdir(name))
        folders.update(
            os.path.dirname(os.path.realpath(name))
            for name in _globbed(pattern)
            if os.path.islink(name)
        )
    return folders
