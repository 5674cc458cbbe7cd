"""Many logs into an archive at once: by processes of this machine, or by a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from vllm_watch.config import Settings
from vllm_watch.core.dataclass import replace
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.loading import load_formats
from vllm_watch.reach.archive import Archived, archive_log, drop_moved, key_of, known_marks, mark_of
from vllm_watch.sources.paths import LogSet

Work = Callable[[LogSet], Archived]
_formats: dict[tuple[str, ...], Formats] = {}
"""Compiled once in each process."""


def changed_logs(folder: Path, logs: Sequence[LogSet]) -> tuple[list[LogSet], list[Archived]]:
    """Return the logs that the archive lacks or holds in an older state, and what is unreadable.

    What stands under another path now is taken out of the archive, to be read from there.
    """
    marks, wanted, unreadable = known_marks(folder), {}, []
    for log in logs:
        try:
            wanted[log.source] = mark_of(log.source, (log.source, *log.twins))
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            unreadable.append(Archived(log.source, trouble=f"{log.source}: {why}"))
    drop_moved(folder, marks, wanted.values())
    changed = [
        log
        for log in logs
        if log.source in wanted and marks.get(key_of(log.source)) != wanted[log.source]
    ]
    return changed, unreadable


def in_processes(work: Work, logs: Sequence[LogSet], processes: int) -> Iterator[Archived]:
    """Yield what became of each log, worked on by so many processes of this machine.

    A process that dies (out of memory, killed) takes only its own log with it: the others are
    tried again, one at a time.
    """
    left = list(logs)
    try:
        with ProcessPoolExecutor(processes) as pool:
            futures = {pool.submit(work, log): log for log in logs}
            for future in as_completed(futures):
                done = future.result()
                left.remove(futures[future])
                yield done
    except BrokenProcessPool:
        for log in left:
            yield _alone(work, log)


def _alone(work: Work, log: LogSet) -> Archived:
    try:
        with ProcessPoolExecutor(1) as pool:
            return pool.submit(work, log).result()
    except BrokenProcessPool:
        return Archived(log.source, trouble=f"{log.source}: the process that read it died")


def in_dask(work: Work, logs: Sequence[LogSet], address: dict[str, str]) -> Iterator[Archived]:
    """Yield what became of each log, worked on by a Dask cluster that sees the same files.

    Args:
        work: what is done with one log.
        logs: the logs.
        address: `{"address": "tcp://…"}` or `{"scheduler_file": "FILE"}`.
    """
    distributed: Any = import_module("dask.distributed")  # it has no types
    with distributed.Client(**address) as client:
        futures = {client.submit(work, log, pure=False, retries=2): log for log in logs}
        keys = {future.key: log for future, log in futures.items()}
        for future in distributed.as_completed(list(futures)):
            try:
                yield future.result()
            except Exception as error:  # noqa: BLE001  # whatever a worker died of
                source = keys[future.key].source
                yield Archived(source, trouble=f"{source}: {type(error).__name__}: {error}")


def work_of(folder: Path, format_files: Sequence[str], settings: Settings) -> Work:
    """Return what is done with one log; it can be sent to another process."""
    plain = replace(settings, origins={})  # where values came from cannot be sent, nor need be
    return partial(_work, folder.resolve(), tuple(format_files), plain)


def _work(folder: Path, format_files: tuple[str, ...], settings: Settings, log: LogSet) -> Archived:
    if format_files not in _formats:
        _formats[format_files] = load_formats(list(format_files))
    files = (log.source, *log.twins)
    return archive_log(folder, log.source, files, _formats[format_files], settings)


def default_processes() -> int:
    """Return a process for each core that this program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
