"""Logs into a Parquet data set: each log once, known again by path, size and time.

DIR/runs/KEY.parquet            a row for each run of one log
DIR/samples/month=M/KEY.parquet the samples of one log in one month
DIR/logs/KEY.json               what was read; written last: what broke off is read again

Every file is written aside and renamed. KEY is made from the log's path.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vllm_watch.config import Settings
from vllm_watch.core.dataclass import dataclass
from vllm_watch.parsing.formats import Formats

if TYPE_CHECKING:
    import pyarrow as pa

RUNS, SAMPLES, LOGS = "runs", "samples", "logs"
ASIDE = ".aside"
"""Folder in which files are written before they take their place."""
_HEAD = 1 << 16
"""Bytes at a log's beginning by which it is known again under another path."""


class ArchiveError(Exception):
    """The archive cannot be used; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class LogMark:
    """What a log looked like when it was read: all its files together."""

    source: str
    size: int
    modified: float
    fingerprint: str
    """Of its beginning."""


@dataclass(frozen=True, slots=True)
class Archived:
    """What became of one log."""

    source: str
    runs: int = 0
    samples: int = 0
    trouble: str = ""
    """Why it was not archived, in one line."""


def mark_of(source: str, files: Iterable[str]) -> LogMark:
    """Return what a log looks like now.

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
        head = file.read(_HEAD)
    return LogMark(source, size, modified, hashlib.sha256(head).hexdigest()[:32])


def key_of(source: str) -> str:
    """Return the name of a log's files in the archive."""
    return hashlib.sha256(os.path.abspath(source).encode(errors="surrogateescape")).hexdigest()[:24]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the archive: two writers at once would undo each other's work.

    Raises:
        ArchiveError: another one holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArchiveError(
                f"{folder}: another `vllm-watch archive` writes into it; wait until it is done"
            ) from None
        shutil.rmtree(folder / ASIDE, ignore_errors=True)  # what a killed writer has left
        yield


def known_marks(folder: Path) -> dict[str, LogMark]:
    """Return what the archive holds, by key; a damaged entry counts as not there."""
    marks = {}
    for path in (folder / LOGS).glob("*.json"):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            marks[path.stem] = LogMark(**json.loads(path.read_text(encoding="utf-8")))
    return marks


def drop_moved(folder: Path, marks: Mapping[str, LogMark], wanted: Iterable[LogMark]) -> None:
    """Take out of the archive what now stands under another path: it will be read from there."""
    fingerprints = {mark.fingerprint for mark in wanted if key_of(mark.source) not in marks}
    for key, mark in marks.items():
        if mark.fingerprint in fingerprints and not os.path.exists(mark.source):
            remove(folder, key)


def remove(folder: Path, key: str) -> None:
    """Take a log out of the archive; its entry first, so that half of it never counts."""
    for path in [
        folder / LOGS / f"{key}.json",
        folder / RUNS / f"{key}.parquet",
        *(folder / SAMPLES).glob(f"month=*/{key}.parquet"),
    ]:
        path.unlink(missing_ok=True)


def archive_log(
    folder: Path, source: str, files: tuple[str, ...], formats: Formats, settings: Settings
) -> Archived:
    """Read one log and put it into the archive in place of what was there of it.

    Meant for a process of its own; `files` are the log and its companions.
    """
    from vllm_watch.reach.runrows import run_rows, runs_schema, sample_tables
    from vllm_watch.reports.reading import read_saved

    try:
        mark = mark_of(source, files)  # before it is read: what comes meanwhile is read next time
        reading = read_saved([source], formats, settings)
        if reading.troubles:
            return Archived(source, trouble=reading.troubles[0])
        import pyarrow as pa

        rows, key = run_rows(reading), key_of(source)
        remove(folder, key)
        samples = 0
        for server in reading.servers:
            for month, table in sample_tables(server):
                samples += table.num_rows
                _write(folder, folder / SAMPLES / f"month={month}" / f"{key}.parquet", table)
        _write(folder, folder / RUNS / f"{key}.parquet", pa.Table.from_pylist(rows, runs_schema()))
        _write_text(folder, folder / LOGS / f"{key}.json", json.dumps(asdict(mark)))
    except OSError as error:
        what = error.filename or source
        return Archived(source, trouble=f"{what}: {(error.strerror or str(error)).lower()}")
    return Archived(source, len(rows), samples)


def _write(folder: Path, path: Path, table: pa.Table) -> None:
    import pyarrow.parquet as pq

    with _aside(folder, path) as aside:
        pq.write_table(table, aside, compression="zstd")


def _write_text(folder: Path, path: Path, text: str) -> None:
    with _aside(folder, path) as aside:
        aside.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _aside(folder: Path, path: Path) -> Iterator[Path]:
    """Give a place to write to; what is there at the end becomes `path`.

    It is outside of the data, so that what a killed writer leaves is never read as a part of them.
    """
    for parent in (path.parent, folder / ASIDE):
        parent.mkdir(parents=True, exist_ok=True)
    aside = folder / ASIDE / f"{path.name}.{os.getpid()}"
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def read_runs(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows of all runs in an archive, and a line about each file that is damaged.

    Raises:
        ArchiveError: the folder is no archive.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not (folder / RUNS).is_dir():
        raise ArchiveError(f"{folder}: holds no archive; `vllm-watch archive PATH... -o {folder}`")
    rows: list[dict[str, Any]] = []
    troubles = []
    for path in sorted((folder / RUNS).glob("*.parquet")):
        try:
            rows += pq.read_table(path, partitioning=None).to_pylist()
        except (pa.ArrowException, OSError):
            troubles.append(f"{path}: is damaged; remove {LOGS}/{path.stem}.json and archive again")
    return rows, troubles
