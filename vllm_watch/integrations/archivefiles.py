"""The files of an archive: their names, writing and reading.

DIR/runs/KEY.parquet            a row for each run of one log
DIR/samples/month=M/KEY.parquet the samples of one log in one month
DIR/logs/KEY.json               what was read; written last: what broke off is read again

Every file is written under another name and renamed. KEY is made from the log's path.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from errno import EDQUOT, ENOSPC
from pathlib import Path

from vllm_watch.core.hints import TYPE_CHECKING, Any
from vllm_watch.core.mistakes import why_failed

if TYPE_CHECKING:
    import pyarrow as pa

RUNS, SAMPLES, LOGS = "runs", "samples", "logs"
ASIDE = ".aside"
"""Folder for files that are not complete yet."""

_ERRNO = re.compile(r"\[errno (\d{1,3})\]", re.IGNORECASE)

Row = dict[str, Any]


class ArchiveError(Exception):
    """The archive cannot be used; the message is one line that says why."""


def cannot_write(folder: Path, error: OSError) -> ArchiveError:
    """Return the message for an archive that cannot be written."""
    errno = _ERRNO.search(str(error))  # pyarrow adds its own words around the system's
    number = int(errno.group(1)) if errno else error.errno
    why = os.strerror(number).lower() if number else why_failed(error)
    hint = "choose another folder with -o"
    if number in (ENOSPC, EDQUOT):
        hint = f"free some space or {hint}, then run it again: logs archived so far are kept"
    return ArchiveError(f"{folder}: {why}; {hint}")


def entry_of(folder: Path, key: str) -> dict[str, Any]:
    """Return the entry of a log; an empty one if it is missing or damaged."""
    try:
        entry = json.loads((folder / LOGS / f"{key}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entry if isinstance(entry, dict) else {}


def remove(folder: Path, key: str) -> None:
    """Remove a log from the archive; its entry first, so that half of it never counts."""
    for path in (
        folder / LOGS / f"{key}.json",
        folder / RUNS / f"{key}.parquet",
        *sample_files(folder, key).values(),
    ):
        path.unlink(missing_ok=True)


def replace_log(
    folder: Path,
    key: str,
    rows: Sequence[Row],
    samples: Mapping[str, pa.Table | None],
    entry: Mapping[str, Any],
) -> None:
    """Put a log into the archive, in place of its earlier data.

    `samples` are its tables by month; None for a month that stays as it is.

    Raises:
        ArchiveError: the archive cannot be written.
    """
    import pyarrow as pa

    from vllm_watch.integrations.runrows import runs_schema

    try:
        (folder / LOGS / f"{key}.json").unlink(missing_ok=True)
        for month, path in sample_files(folder, key).items():
            if month not in samples:
                path.unlink(missing_ok=True)
        for month, table in samples.items():
            if table is not None:
                _write(folder, folder / SAMPLES / f"month={month}" / f"{key}.parquet", table)
        runs = pa.Table.from_pylist(list(rows), runs_schema())
        _write(folder, folder / RUNS / f"{key}.parquet", runs)
        _write_text(folder, folder / LOGS / f"{key}.json", json.dumps(entry))
    except OSError as error:
        raise cannot_write(folder, error) from None


def runs_of(folder: Path, key: str) -> list[Row]:
    """Return the runs of a log.

    Raises:
        OSError: the file cannot be read.
        pyarrow.ArrowException: it is damaged.
    """
    import pyarrow.parquet as pq

    rows: list[Row] = pq.read_table(folder / RUNS / f"{key}.parquet", partitioning=None).to_pylist()
    return rows


def sample_files(folder: Path, key: str) -> dict[str, Path]:
    """Return the files with the samples of a log, by month."""
    found = (folder / SAMPLES).glob(f"month=*/{key}.parquet")
    return {path.parent.name.removeprefix("month="): path for path in found}


def _write(folder: Path, path: Path, table: pa.Table) -> None:
    import pyarrow.parquet as pq

    with _aside(folder, path) as aside:
        pq.write_table(table, aside, compression="zstd")


def _write_text(folder: Path, path: Path, text: str) -> None:
    with _aside(folder, path) as aside:
        aside.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _aside(folder: Path, path: Path) -> Iterator[Path]:
    """Give a temporary path; the file there at the end becomes `path`.

    It is outside of the data, so that a killed writer's file is never read as data.
    """
    for parent in (path.parent, folder / ASIDE):
        parent.mkdir(parents=True, exist_ok=True)
    aside = folder / ASIDE / f"{path.name}.{os.getpid()}"
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
