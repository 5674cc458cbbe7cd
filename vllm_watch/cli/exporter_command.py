"""`vllm-watch exporter`: the logs as a /metrics page for Prometheus."""

from __future__ import annotations

import contextlib
import os
import time

from vllm_watch.cli.common import formats, ingest_of, settings_of
from vllm_watch.cli.parser import Arguments, Parser, add_paths
from vllm_watch.cli.saying import FAILED, INTERRUPTED, CommandError, say
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.mistakes import why_failed

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from vllm_watch.ingest import Ingest
    from vllm_watch.integrations.exporter import Exporter

TEXTFILE_SECONDS = 15.0
"""Seconds between two writings of a text file: node-exporter's collector is scraped as often."""

EXAMPLE = "vllm-watch exporter 'pbs_results/vllm_*_realtime.log' --listen 127.0.0.1:9835"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    add_paths(command)
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--listen",
        metavar="ADDRESS:PORT",
        default="127.0.0.1:9835",
        help="address to listen on (127.0.0.1:9835)",
    )
    where.add_argument(
        "--textfile",
        metavar="FILE.prom",
        help="write a file for node-exporter's textfile collector instead",
    )


def run(arguments: Arguments) -> int:
    """Follow the logs and export them until interrupted."""
    import threading
    from pathlib import Path

    exporter_class = _exporter_class()
    from vllm_watch.reports.following import FollowedServers

    settings = settings_of(arguments)
    known = formats()
    ingest = ingest_of(arguments.paths, settings, live=True)
    exporter = exporter_class(FollowedServers(settings, known))
    stop = threading.Event()
    textfile = Path(arguments.textfile) if arguments.textfile else None
    httpd = None
    held = contextlib.ExitStack()
    try:
        if textfile is not None:
            held.enter_context(_alone(textfile))
        else:
            from vllm_watch.cli.listening import listen_address

            address, port = listen_address(arguments.listen)
            try:
                httpd = exporter.serve(address, port)
            except OSError as error:
                why = f"--listen {arguments.listen}: {why_failed(error)}; choose another port"
                raise CommandError(why, FAILED) from None
            say(f"http://{arguments.listen}/metrics")
        _export(ingest, exporter, stop, textfile)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        stop.set()
        held.close()
        ingest.close()
        if httpd is not None:
            httpd.shutdown()
            httpd.server_close()
    return INTERRUPTED


def _export(
    ingest: Ingest, exporter: Exporter, stop: threading.Event, textfile: Path | None
) -> None:
    """Feed the exporter with the news; write the text file from time to time."""
    from vllm_watch.cli.troubles import troubles_said
    from vllm_watch.core.news import PathSearch

    written, trouble = -TEXTFILE_SECONDS, ""
    for item in troubles_said(ingest.follow(stop)):
        exporter.feed(item, ingest.found.logs, time.time())
        due = time.monotonic() - written >= TEXTFILE_SECONDS
        if textfile is not None and due and isinstance(item, PathSearch) and item.caught_up:
            before, trouble = trouble, _write(exporter, textfile)
            written = time.monotonic()
            if trouble and trouble != before:
                say(f"{trouble}; trying again every {TEXTFILE_SECONDS:.0f} s")


def _write(exporter: Exporter, textfile: Path) -> str:
    """Write the text file; return why that failed, or nothing: a full disk may have room later."""
    try:
        exporter.write(textfile)
    except OSError as error:
        return f"--textfile {textfile}: {why_failed(error)}"
    return ""


@contextlib.contextmanager
def _alone(textfile: Path) -> Iterator[None]:
    """Lock a text file: two exporters would replace each other's page, and counters go back.

    Raises:
        CommandError: another one holds it, or nothing can be written there.
    """
    import errno
    import fcntl

    lock = textfile.with_name(f".{textfile.name}.lock")
    try:
        if textfile.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        file = lock.open("w")
    except OSError as error:
        why = f"--textfile {textfile}: {why_failed(error)}; name a file in a writable folder"
        raise CommandError(why, FAILED) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = (
                f"--textfile {textfile}: another exporter writes this file; give each its own file"
            )
            raise CommandError(text, FAILED) from None
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _exporter_class() -> type[Exporter]:
    """Return the exporter, which needs the extra `metrics`.

    Raises:
        CommandError: it is not installed.
    """
    try:
        from vllm_watch.integrations.exporter import Exporter
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("prometheus_client"):
            raise
        raise CommandError(
            "exporter needs prometheus-client: pip install 'vllm-watch[metrics]'", FAILED
        ) from None
    return Exporter
