"""Archives logs in a Parquet data set: each log once, recognised by path, size and time."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path

from vllm_watch.config import Settings
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import Any
from vllm_watch.core.mistakes import why_failed
from vllm_watch.integrations.archivefiles import (
    ASIDE,
    LOGS,
    RUNS,
    ArchiveError,
    cannot_write,
    entry_of,
    remove,
    replace_log,
    runs_of,
)
from vllm_watch.integrations.continuing import LOOKED_AT, continued, note_of, whole
from vllm_watch.parsing.formats import Formats
from vllm_watch.sources.paths import LogSet

PLACE = "place"
"""Where a log is continued, in its entry."""


@dataclass(frozen=True, slots=True)
class LogMark:
    """Identity of a log when it was read: all its files together."""

    source: str
    size: int
    modified: float
    fingerprint: str
    """Of its beginning."""


@dataclass(frozen=True, slots=True)
class Archived:
    """The result for one log."""

    source: str
    runs: int = 0
    samples: int = 0
    trouble: str = ""
    """Why the log was not archived, in one line."""


def mark_of(source: str, files: Iterable[str]) -> LogMark:
    """Return the present identity of a log.

    Raises:
        OSError: the log cannot be read.
    """
    size, modified = 0, 0.0
    for name in files:
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(name)
            size += status.st_size
            modified = max(modified, status.st_mtime)
    with open(source, "rb") as file:
        head = file.read(LOOKED_AT)
    return LogMark(source, size, modified, hashlib.sha256(head).hexdigest()[:32])


def key_of(source: str) -> str:
    """Return the name of a log's files in the archive."""
    return hashlib.sha256(os.path.abspath(source).encode(errors="surrogateescape")).hexdigest()[:24]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the archive: two writers at the same time would undo each other's work.

    Raises:
        ArchiveError: another one holds it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise cannot_write(folder, error) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArchiveError(
                f"{folder}: another `vllm-watch archive` writes into it; wait until it has finished"
            ) from None
        shutil.rmtree(folder / ASIDE, ignore_errors=True)  # left by a killed writer
        yield


def known_marks(folder: Path) -> dict[str, LogMark]:
    """Return the entries of the archive, by key; damaged ones are left out."""
    marks = {}
    for path in (folder / LOGS).glob("*.json"):
        entry = entry_of(folder, path.stem)
        with contextlib.suppress(TypeError, KeyError):
            marks[path.stem] = LogMark(**{each.name: entry[each.name] for each in fields(LogMark)})
    return marks


def drop_moved(folder: Path, marks: Mapping[str, LogMark], wanted: Iterable[LogMark]) -> None:
    """Remove logs from the archive that moved to another path: they are read again from there."""
    fingerprints = {mark.fingerprint for mark in wanted if key_of(mark.source) not in marks}
    for key, mark in marks.items():
        if mark.fingerprint in fingerprints and not os.path.exists(mark.source):
            remove(folder, key)


def archive_log(folder: Path, log: LogSet, formats: Formats, settings: Settings) -> Archived:
    """Read one log and replace its data in the archive.

    Of a log that grew the newest runs are read, where that gives the same as reading all of it.
    Meant for a process of its own.

    Raises:
        ArchiveError: the archive cannot be written.
    """
    source, key = log.source, key_of(log.source)
    try:
        status = os.stat(source)
        mark = mark_of(source, (source, *log.twins))  # lines that arrive now are read next time
        place = entry_of(folder, key).get(PLACE)
        content = continued(folder, key, log, place, formats, settings)
        if content is None:
            content = whole(log, formats, settings)
        if content.trouble:
            return Archived(source, trouble=content.trouble)
        same = os.path.samestat(status, os.stat(source))
    except OSError as error:
        what = error.filename or source
        return Archived(source, trouble=f"{what}: {why_failed(error)}")
    entry = {**asdict(mark), PLACE: note_of(content.place) if same else None}
    replace_log(folder, key, content.rows, content.samples, entry)
    return Archived(source, content.runs, content.count)


def read_runs(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows of all runs in an archive, and a line about each file that is damaged.

    Raises:
        ArchiveError: the folder is not an archive.
    """
    import pyarrow as pa

    if not (folder / RUNS).is_dir():
        raise ArchiveError(
            f"{folder}: has no archive; `vllm-watch archive PATH... -o {folder}` makes one"
        )
    rows: list[dict[str, Any]] = []
    troubles = []
    for path in sorted((folder / RUNS).glob("*.parquet")):
        try:
            rows += runs_of(folder, path.stem)
        except (pa.ArrowException, OSError):
            troubles.append(f"{path}: is damaged; remove {LOGS}/{path.stem}.json and archive again")
    return rows, troubles
