"""A /metrics page of followed logs: over HTTP, or as a file for node-exporter's collector."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, start_http_server, write_to_textfile
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from vllm_watch.core.records import Batch, Looked
from vllm_watch.reach.page import families
from vllm_watch.reach.totals import Totals
from vllm_watch.reports.following import FollowedServers
from vllm_watch.sources.paths import LogSet

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer


class Exporter(Collector):
    """Takes in what following yields in one thread; answers scrapes in others, one at a time."""

    def __init__(self, servers: FollowedServers) -> None:
        """Export `servers`, which only this object may use from now on."""
        self._servers = servers
        self._totals = Totals()
        self._changed: set[str] = set()
        self._lock = threading.Lock()
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)

    def feed(self, item: Batch | Looked, logs: Iterable[LogSet], wall: float) -> None:
        """Take in an item that was read at `wall`."""
        with self._lock:
            server = self._servers.feed(item, logs, wall)
            if server is not None:
                self._changed.add(server.source)

    def collect(self) -> Iterator[Metric]:
        """Return the page as of now; nothing while the logs are read for the first time."""
        with self._lock:
            if not self._servers.caught_up:
                return iter(())
            for server in self._servers.servers:
                if server.source in self._changed:
                    self._totals.update(server)
            self._changed.clear()
            return iter(list(families(self._servers.now(time.time()), self._totals)))

    def describe(self) -> Iterator[Metric]:
        """Return nothing: what there is depends on the logs."""
        return iter(())

    def serve(self, address: str, port: int) -> WSGIServer:
        """Answer scrapes at an address from now on, in threads of their own.

        Raises:
            OSError: the address cannot be listened on.
        """
        httpd, _ = start_http_server(port, address, registry=self.registry)
        return httpd

    def write(self, path: Path) -> None:
        """Write the page to a file, beside it first, so that nobody reads half of it.

        Raises:
            OSError: the file cannot be written.
        """
        write_to_textfile(str(path), self.registry)
