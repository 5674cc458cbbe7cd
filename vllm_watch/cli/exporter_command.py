"""`vllm-watch exporter`: the logs as a /metrics page for Prometheus."""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from vllm_watch.cli.common import formats, ingest_of, settings_of
from vllm_watch.cli.listening import listen_address
from vllm_watch.cli.saying import FAILED, INTERRUPTED, CommandError, say
from vllm_watch.core.records import Looked

if TYPE_CHECKING:
    from vllm_watch.ingest import Ingest
    from vllm_watch.reach.exporting import Exporter

TEXTFILE_SECONDS = 15.0
"""Seconds between two writings of a text file: node-exporter's collector is scraped as often."""


def run(arguments: argparse.Namespace) -> int:
    """Follow the logs and export them until interrupted."""
    exporter_class, followed_class = _classes()
    settings = settings_of(arguments)
    known = formats()
    ingest = ingest_of(arguments.paths, settings, live=True)
    exporter = exporter_class(followed_class(settings, known))
    stop = threading.Event()
    textfile = Path(arguments.textfile) if arguments.textfile else None
    httpd = None
    try:
        if textfile is None:
            address, port = listen_address(arguments.listen)
            try:
                httpd = exporter.serve(address, port)
            except OSError as error:
                why = (error.strerror or str(error)).lower()
                raise CommandError(
                    f"--listen {arguments.listen}: {why}; choose another port", FAILED
                ) from None
            say(f"http://{arguments.listen}/metrics")
        _export(ingest, exporter, stop, textfile)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        stop.set()
        ingest.close()
        if httpd is not None:
            httpd.shutdown()
            httpd.server_close()
    return INTERRUPTED


def _export(
    ingest: Ingest, exporter: Exporter, stop: threading.Event, textfile: Path | None
) -> None:
    """Feed the exporter with what arrives; write the text file from time to time."""
    written = -TEXTFILE_SECONDS
    for item in ingest.follow(stop):
        exporter.feed(item, ingest.found.logs, time.time())
        due = time.monotonic() - written >= TEXTFILE_SECONDS
        if textfile is not None and due and isinstance(item, Looked) and item.caught_up:
            exporter.write(textfile)
            written = time.monotonic()


def _classes() -> tuple[type[Exporter], type]:
    """Return what needs the extra `metrics`.

    Raises:
        CommandError: it is not installed.
    """
    try:
        from vllm_watch.reach.exporting import Exporter
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("prometheus_client"):
            raise
        raise CommandError(
            "exporter needs prometheus-client: pip install 'vllm-watch[metrics]'", FAILED
        ) from None
    from vllm_watch.reports.following import FollowedServers

    return Exporter, FollowedServers
