"""`vllm-watch export`: samples as JSON lines, once or as they happen."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
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
from vllm_watch.core.records import Batch
from vllm_watch.ingest import Ingest
from vllm_watch.reports.export import json_line, rows_as_they_come, rows_of


def run(arguments: argparse.Namespace) -> int:
    """Write the samples of the given logs."""
    settings = settings_of(arguments)
    ingest = ingest_of(arguments.paths, settings, live=arguments.follow)
    if arguments.follow:
        if arguments.output != "-":
            raise CommandError("--follow writes to standard output: use -o -")
        return _follow(ingest)
    require_logs(arguments.paths, ingest.discover())
    if arguments.output != "-" and not arguments.output.endswith(".jsonl"):
        raise CommandError(f"{arguments.output}: write to a name that ends in .jsonl, or to -")
    batches = _narrated(ingest.read_once())
    if arguments.output == "-":
        for row in rows_of(batches):
            sys.stdout.write(json_line(row))
        sys.stdout.flush()
        return DONE
    with _aside(Path(arguments.output)) as file:
        file.writelines(json_line(row) for row in rows_of(batches))
    return DONE


def _follow(ingest: Ingest) -> int:
    """Write what exists, then what arrives, line by line, until interrupted."""
    stop = threading.Event()
    try:
        for row in rows_as_they_come(ingest.follow(stop)):
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


def _narrated(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Pass batches on; say on stderr what could not be read."""
    samples, lines, like = 0, 0, 0
    source = ""
    for batch in batches:
        if batch.trouble:
            say(batch.trouble)
        if batch.source != source:
            _say_empty(source, samples, lines, like)
            source, samples, lines, like = batch.source, 0, 0, 0
        if not batch.twin:
            samples += len(batch.records)
            lines += batch.lines
            like += batch.stats_like
        yield batch
    _say_empty(source, samples, lines, like)


def _say_empty(source: str, records: int, lines: int, like: int) -> None:
    if source and like:
        say(f"{source}: {like} stats-like lines without a known envelope")
    elif source and lines and not records:
        say(f"{source}: holds no line of vLLM in {lines:,} lines; is it a vLLM log?")


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
