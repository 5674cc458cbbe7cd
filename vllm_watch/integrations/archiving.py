"""Archives many logs in parallel: by processes of this machine, or by a Dask cluster."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from importlib import import_module
from pathlib import Path

from vllm_watch.config import Settings
from vllm_watch.core.dataclass import replace
from vllm_watch.core.hints import Any
from vllm_watch.core.mistakes import why_failed
from vllm_watch.integrations.archive import (
    Archived,
    archive_log,
    drop_moved,
    key_of,
    known_marks,
    mark_of,
)
from vllm_watch.integrations.archivefiles import ArchiveError
from vllm_watch.parsing.formatfiles import load_formats
from vllm_watch.parsing.formats import Formats
from vllm_watch.sources.paths import LogSet

Work = Callable[[LogSet], Archived]
_MOST_HANDED_OUT = 4
"""Logs given to a process together."""
_CONNECT_SECONDS = 10.0
_formats: dict[tuple[str, ...], Formats] = {}
"""Compiled once in each process."""


def changed_logs(folder: Path, logs: Sequence[LogSet]) -> tuple[list[LogSet], list[Archived]]:
    """Return the logs that are missing or outdated in the archive, and which are unreadable.

    Logs that moved to another path are removed from the archive, and read from there.
    """
    marks, wanted, unreadable = known_marks(folder), {}, []
    for log in logs:
        try:
            wanted[log.source] = mark_of(log.source, (log.source, *log.twins))
        except OSError as error:
            trouble = f"{log.source}: {why_failed(error)}"
            unreadable.append(Archived(log.source, trouble=trouble))
    drop_moved(folder, marks, wanted.values())
    changed = [
        log
        for log in logs
        if log.source in wanted and marks.get(key_of(log.source)) != wanted[log.source]
    ]
    return changed, unreadable


def in_processes(work: Work, logs: Sequence[LogSet], processes: int) -> Iterator[Archived]:
    """Yield the result for each log, using so many processes of this machine.

    A process that dies (out of memory, killed) fails only its own log: the others that were handed
    out are tried again one at a time, the rest by new processes.

    Raises:
        ArchiveError: the archive cannot be written.
    """
    size = min(_MOST_HANDED_OUT, max(1, len(logs) // (8 * processes)))
    waiting = deque(logs[at : at + size] for at in range(0, len(logs), size))
    while waiting:
        handed_out: dict[Future[list[Archived]], Sequence[LogSet]] = {}
        try:
            with ProcessPoolExecutor(processes, initializer=_begin, initargs=(work,)) as pool:
                yield from _results(pool, waiting, handed_out, 2 * processes)
        except BrokenProcessPool:
            for logs_of_one in handed_out.values():
                for log in logs_of_one:
                    yield _alone(work, log)


def _results(
    pool: ProcessPoolExecutor,
    waiting: deque[Sequence[LogSet]],
    handed_out: dict[Future[list[Archived]], Sequence[LogSet]],
    most: int,
) -> Iterator[Archived]:
    """Hand out logs, a few more than there are processes; yield the result for each."""
    while waiting or handed_out:
        while waiting and len(handed_out) < most:
            handed_out[pool.submit(_worked, waiting[0])] = waiting[0]
            waiting.popleft()
        for future in wait(handed_out, return_when=FIRST_COMPLETED).done:
            done = future.result()
            del handed_out[future]
            yield from done


_work_here: list[Work] = []
"""The work of a pool's process on each log: sent to it once."""


def _begin(work: Work) -> None:
    _work_here[:] = [work]


def _worked(logs: Sequence[LogSet]) -> list[Archived]:
    return [_work_here[0](log) for log in logs]


def _alone(work: Work, log: LogSet) -> Archived:
    try:
        with ProcessPoolExecutor(1) as pool:
            return pool.submit(work, log).result()
    except BrokenProcessPool:
        text = "the process that read it died (out of memory, or killed); archive it again"
        return Archived(log.source, trouble=f"{log.source}: {text}")


def in_dask(
    work: Work,
    logs: Sequence[LogSet],
    address: dict[str, str],
    say: Callable[[str], None],
) -> Iterator[Archived]:
    """Yield the result for each log, using a Dask cluster that sees the same files.

    Args:
        work: the function for one log.
        logs: the logs.
        address: `{"address": "tcp://…"}` or `{"scheduler_file": "FILE"}`.
        say: takes a line for the user.

    Raises:
        ArchiveError: the cluster cannot be reached, or the archive cannot be written.
    """
    distributed: Any = import_module("dask.distributed")  # it has no types
    with _client(distributed, address) as client:
        if not client.scheduler_info()["workers"]:
            say(f"{client.scheduler.address}: has no workers yet; waiting for them")
        futures = {client.submit(work, log, pure=False, retries=2): log for log in logs}
        keys = {future.key: log for future, log in futures.items()}
        for future in distributed.as_completed(list(futures)):
            try:
                yield future.result()
            except ArchiveError:
                raise
            except Exception as error:  # noqa: BLE001 # whatever error a worker had
                source = keys[future.key].source
                yield Archived(source, trouble=f"{source}: {type(error).__name__}: {error}")


def _client(distributed: Any, address: dict[str, str]) -> Any:
    """Return a client of the scheduler at an address, or of the one that a file names.

    Raises:
        ArchiveError: there is none.
    """
    (option, named), given = next(iter(address.items())), address
    option = "--dask" if option == "address" else "--scheduler-file"
    try:
        if option == "--scheduler-file":  # the client waits forever for a missing file
            given = {"address": json.loads(Path(named).read_text(encoding="utf-8"))["address"]}
        return distributed.Client(**given, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        why = why_failed(error) or "is not an address"
        hint = "check that the scheduler runs: tcp://HOST:8786, or the file that it wrote"
        raise ArchiveError(f"{option} {named}: {why}; {hint}") from None


def work_of(folder: Path, format_files: Sequence[str], settings: Settings) -> Work:
    """Return the function for one log; it can be sent to another process."""
    plain = replace(settings, origins={})  # origins of settings cannot be sent, and are not needed
    return partial(_work, folder.resolve(), tuple(format_files), plain)


def _work(folder: Path, format_files: tuple[str, ...], settings: Settings, log: LogSet) -> Archived:
    if format_files not in _formats:
        _formats[format_files] = load_formats(list(format_files))
    return archive_log(folder, log, _formats[format_files], settings)


def default_processes() -> int:
    """Return a process for each core that this program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
