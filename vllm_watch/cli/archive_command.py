"""`vllm-watch archive`: thousands of logs into a Parquet data set."""

from __future__ import annotations

import sys
from argparse import SUPPRESS

from vllm_watch.cli.common import require_logs, settings_of
from vllm_watch.cli.parser import FILES, Arguments, Parser, add_paths
from vllm_watch.cli.saying import DONE, FAILED, CommandError, say, write
from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vllm_watch.integrations.archive import Archived
    from vllm_watch.integrations.archiving import Work
    from vllm_watch.sources.paths import LogSet

EXAMPLE = "vllm-watch archive 'pbs_results/*.log' -o vllm_runs"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    add_paths(command, FILES, SUPPRESS)
    command.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder of the data set"
    )
    how = command.add_mutually_exclusive_group()
    how.add_argument(
        "--processes",
        type=_processes,
        metavar="N",
        help="number of processes (default: one per core)",
    )
    how.add_argument("--dask", metavar="ADDRESS", help="use a Dask cluster: tcp://node:8786")
    how.add_argument(
        "--scheduler-file",
        metavar="FILE",
        help="use a Dask cluster: the file that its scheduler wrote",
    )


def _processes(text: str) -> int:
    """Read a number of processes."""
    number = int(text)
    if not 1 <= number <= 1024:
        raise ValueError(text)
    return number


_processes.__name__ = "whole number from 1 to 1024"  # argparse names it when it refuses a text


def run(arguments: Arguments) -> int:
    """Archive new and changed logs."""
    from pathlib import Path

    from vllm_watch.sources.paths import find_logs, is_stream

    if any(map(is_stream, arguments.paths)):
        raise CommandError(
            "archive: reads files only, not standard input or commands; name logs, folders or globs"
        )
    _require_extras(arguments)
    from vllm_watch.integrations.archive import locked
    from vllm_watch.integrations.archivefiles import ArchiveError
    from vllm_watch.integrations.archiving import changed_logs, work_of
    from vllm_watch.locations import format_files

    settings = settings_of(arguments)
    found = find_logs(arguments.paths)
    require_logs(arguments.paths, found)
    folder = Path(arguments.output)
    try:
        with locked(folder):
            changed, done = changed_logs(folder, found.logs)
            unchanged = len(found.logs) - len(changed) - len(done)
            work = work_of(folder, format_files(), settings)
            for archived in _worked(arguments, work, changed):
                done.append(archived)
                _progress(len(done), len(changed))
    except ArchiveError as error:
        raise CommandError(str(error), FAILED) from None
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[2K")
    return _outcome(folder, unchanged, done)


def _worked(arguments: Arguments, work: Work, logs: list[LogSet]) -> Iterator[Archived]:
    """Yield the result for each log, by a cluster or by processes of this machine."""
    from vllm_watch.integrations.archiving import default_processes, in_dask, in_processes

    if not logs:
        return
    if arguments.dask:
        yield from in_dask(work, logs, {"address": arguments.dask}, say)
    elif arguments.scheduler_file:
        yield from in_dask(work, logs, {"scheduler_file": arguments.scheduler_file}, say)
    else:
        yield from in_processes(work, logs, arguments.processes or default_processes())


def _outcome(folder: Path, unchanged: int, done: list[Archived]) -> int:
    """Report what was archived, and logs without a run; return 1 if a log could not be read."""
    from vllm_watch.core.figures import counted
    from vllm_watch.core.states import NO_LINE

    failed = [archived for archived in done if archived.trouble]
    for archived in failed:
        say(archived.trouble)
    good = [archived for archived in done if not archived.trouble]
    for archived in good:
        if not archived.runs:
            say(f"{archived.source}: has {NO_LINE}")
    runs, samples = sum(a.runs for a in good), sum(a.samples for a in good)
    write(
        f"{folder}: {counted(len(good), 'log')} archived "
        f"({counted(runs, 'run')}, {counted(samples, 'sample')}), "
        f"{unchanged:,} unchanged, {len(failed):,} failed"
    )
    return FAILED if failed else DONE


def _progress(done: int, of: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[2K{done:,} of {of:,} logs")
        sys.stderr.flush()


def _require_extras(arguments: Arguments) -> None:
    """Report a missing package in one line.

    Raises:
        CommandError: it names the extra.
    """
    wanted = [("pyarrow", "parquet")]
    if arguments.dask or arguments.scheduler_file:
        wanted.append(("dask.distributed", "cluster"))
    for package, extra in wanted:
        try:
            __import__(package)
        except ModuleNotFoundError:
            text = f"archive needs {package}: pip install 'vllm-watch[{extra}]'"
            raise CommandError(text, FAILED) from None
