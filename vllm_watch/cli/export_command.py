"""`vllm-watch export`: samples as JSON lines, once or as they happen."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from vllm_watch.cli.common import (
    DONE,
    FAILED,
    INTERRUPTED,
    CommandError,
    ingest_of,
    require_logs,
    say,
    settings_of,
)
from vllm_watch.core.records import Batch, Looked, Sample
from vllm_watch.ingest import Ingest
from vllm_watch.reports.export import json_line, rows_as_they_come, rows_of


def run(arguments: argparse.Namespace) -> int:
    """Write the samples of the given logs."""
    settings = settings_of(arguments)
    ingest = ingest_of(
        arguments.paths, settings, live=arguments.follow, ends=True, rotated=arguments.rotated
    )
    if arguments.follow:
        if arguments.output != "-":
            raise CommandError("--follow writes to standard output: use -o -")
        return _follow(ingest)
    require_logs(arguments.paths, ingest.discover())
    if arguments.output != "-" and not arguments.output.endswith(".jsonl"):
        raise CommandError(f"{arguments.output}: write to a name that ends in .jsonl, or to -")
    told = _Told()
    lines = (json_line(row) for row in rows_of(told.passed_on(ingest.read_once())))
    if arguments.output == "-":
        sys.stdout.writelines(lines)
        sys.stdout.flush()
    else:
        with _aside(Path(arguments.output)) as file:
            file.writelines(lines)
    told.say_what_is_missing([logs.source for logs in ingest.found.logs])
    return FAILED if told.unreadable else DONE


def _follow(ingest: Ingest) -> int:
    """Write what exists, then what arrives, line by line, until interrupted."""
    stop = threading.Event()
    try:
        for row in rows_as_they_come(_said(ingest.follow(stop))):
            if row is None:
                sys.stdout.flush()
            else:
                sys.stdout.write(json_line(row))
    except KeyboardInterrupt:
        sys.stdout.flush()
        return INTERRUPTED
    finally:
        stop.set()
        ingest.close()
    return DONE


def _said(items: Iterator[Batch | Looked]) -> Iterator[Batch | Looked]:
    """Pass on what following yields; say each trouble on stderr when it begins."""
    last: set[str] = set()
    troubles: dict[tuple[str, str], str | None] = {}
    for item in items:
        if isinstance(item, Looked):
            missing = {f"{path}: matches no file yet; it waits for one" for path in item.missing}
            now = missing.union(item.troubles, filter(None, troubles.values()))
            for text in sorted(now - last):
                say(text)
            last = now
        else:
            troubles[item.source, item.file] = item.trouble
        yield item


@dataclass(slots=True)
class _Tally:
    """What a log held."""

    size: int = 0
    lines: int = 0
    samples: int = 0
    stats_like: int = 0
    stamped: bool = False


class _Told:
    """Watches batches pass, so that whoever finds no samples learns why."""

    def __init__(self) -> None:
        """Start before the first batch."""
        self.unreadable: set[str] = set()
        """Logs that could not be read; that has been said."""
        self._tallies: dict[str, _Tally] = {}

    def passed_on(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Pass batches on; say on stderr what could not be read."""
        for batch in batches:
            if batch.trouble:
                say(batch.trouble)
            if not batch.twin:
                if batch.trouble:
                    self.unreadable.add(batch.source)
                tally = self._tallies.setdefault(batch.source, _Tally())
                tally.size += batch.size
                tally.lines += batch.lines
                tally.samples += sum(isinstance(record, Sample) for record in batch.records)
                tally.stats_like += batch.stats_like
                tally.stamped |= batch.newest_stamp is not None
            yield batch

    def say_what_is_missing(self, sources: list[str]) -> None:
        """Say of each log that was read without yielding all its samples why that is so."""
        for source in sources:
            tally = self._tallies.get(source, _Tally())
            if tally.stats_like:
                say(f"{source}: {tally.stats_like} stats-like lines without a known envelope")
            elif tally.samples or (source in self.unreadable and not tally.size):
                continue
            elif not tally.size:
                say(f"{source}: is empty")
            elif not tally.stamped:
                lines = max(1, tally.lines)
                say(f"{source}: holds no line of vLLM in {lines:,} lines; is it a vLLM log?")
            else:
                say(f"{source}: holds no stats line; see whether its server became ready")


@contextlib.contextmanager
def _aside(target: Path) -> Iterator[TextIO]:
    """Open a file beside the target and rename it when all is written: no half file is left."""
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CommandError(f"{target}: cannot be written: {reason}", FAILED) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(target)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        reason = (error.strerror or str(error)).lower()
        raise CommandError(f"{target}: cannot be written: {reason}", FAILED) from error
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
