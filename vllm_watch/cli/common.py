"""Shared by commands that read logs: settings, formats, reading."""

from __future__ import annotations

import os

from vllm_watch.cli.parser import Arguments
from vllm_watch.cli.saying import CommandError, say
from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vllm_watch.config import Settings
    from vllm_watch.core.benchmark import Benchmark
    from vllm_watch.core.timetexts import TimeText
    from vllm_watch.ingest import Ingest
    from vllm_watch.parsing.formats import Formats
    from vllm_watch.reports.reading import Reading
    from vllm_watch.serverside.poller import Poller
    from vllm_watch.sources.paths import Found


def settings_of(arguments: Arguments, **options: object) -> Settings:
    """Return the settings: defaults < file < environment < options of this command."""
    from vllm_watch.config import load_settings
    from vllm_watch.locations import rule_files

    known = {"time.tz": arguments.tz}
    known |= {name.replace("_", ".", 1): value for name, value in options.items()}
    if rule_files():
        from vllm_watch.health.rules import known_rules  # only if there are any

        for refused in known_rules()[1]:
            say(refused)
    return load_settings(arguments.config or None, os.environ, known)


def formats() -> Formats:
    """Return the built-in formats and the user's own."""
    from vllm_watch.locations import format_files
    from vllm_watch.parsing.formatfiles import load_formats

    return load_formats(format_files())


def time_of(option: str, text: str | None) -> TimeText | None:
    """Return the time in an option, None if it is not given.

    Raises:
        CommandError: it is not a time; the message shows the grammar.
    """
    if text is None:
        return None
    from vllm_watch.core.timetexts import parse_time

    try:
        return parse_time(text)
    except ValueError as error:
        raise CommandError(f"{option} {error}") from None


def ingest_of(
    patterns: list[str],
    settings: Settings,
    *,
    live: bool,
    newest_first: bool = False,
    ends: bool = False,
    rotated: bool = False,
    poller: Poller | None = None,
) -> Ingest:
    """Return the reader of `patterns`.

    With `newest_first` the newest part of large logs is read first and their past after it; with
    `ends` following stops when the pipe ends; with `rotated` it begins with the rotated files; with
    `poller` the server's metrics page is read as well.
    """
    from vllm_watch.ingest import Ingest, ReadOptions

    options = ReadOptions(
        tz=settings.time.zone(),
        live=live,
        poll_seconds=settings.watch.poll_seconds,
        events=settings.watch.events,
        newest_first=newest_first,
        ends=ends,
        rotated=rotated,
    )
    if poller is not None:
        from vllm_watch.ingest.polled import PolledIngest

        return PolledIngest(patterns, formats(), options, poller)
    return Ingest(patterns, formats(), options)


def benchmarks_of(arguments: Arguments) -> tuple[Benchmark, ...]:
    """Return the benchmarks whose results `--mark` names.

    Raises:
        CommandError: a file is not such a result; names the file.
    """
    if not arguments.marks:
        return ()
    from pathlib import Path

    from vllm_watch.reports.benchmarks import BenchmarkError, load_benchmarks

    try:
        return tuple(one for name in arguments.marks for one in load_benchmarks(Path(name)))
    except BenchmarkError as error:
        raise CommandError(str(error)) from None


def say_unmatched(benchmarks: Sequence[Benchmark], reading: Reading) -> None:
    """Report benchmarks that ran at another time, or against another model."""
    if benchmarks:
        from vllm_watch.reports.benchmarks import unmatched

        for line in unmatched(benchmarks, reading.servers):
            say(line)


def require_logs(patterns: list[str], found: Found) -> None:
    """Refuse paths that match nothing now (commands that do not wait).

    Raises:
        CommandError: nothing matched; names the path and how to fix it.
    """
    for trouble in found.troubles:
        say(trouble)
    if found.logs:
        for pattern in found.missing:
            why = "the folder has no *.log" if os.path.isdir(pattern) else "matches no file"
            say(f"{pattern}: {why}; the other paths are read")
        return
    if found.troubles:
        raise CommandError("nothing could be read; see above")
    folder = next(filter(os.path.isdir, patterns), None)
    if folder is not None:
        raise CommandError(
            f"{folder}: the folder has no *.log; name a log or a quoted glob such as "
            f"'{os.path.join(folder, '*', '*.log')}'"
        )
    raise CommandError(
        f"{' '.join(patterns)}: matches no file; name a log, a folder or a quoted glob such as "
        "'pbs_results/vllm_*_realtime.log'"
    )


def reads_stdin(patterns: list[str]) -> bool:
    """Return whether standard input is one of the sources."""
    from vllm_watch.sources.paths import STDIN

    return STDIN in patterns
