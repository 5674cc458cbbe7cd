"""A /metrics page of followed logs: over HTTP, or as a file for node-exporter's collector."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app, write_to_textfile
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from vllm_watch.core.hints import Any
from vllm_watch.core.news import News, PathSearch
from vllm_watch.integrations.metricfamilies import families
from vllm_watch.integrations.totals import Totals
from vllm_watch.reports.following import FollowedServers
from vllm_watch.sources.paths import LogSet

PLAIN_TEXT = "text/plain;version=0.0.4"
"""The format of all answers.

In newer formats prometheus-client writes the colon in vLLM's names as an underscore, and vLLM's own
dashboard would find nothing.
"""


class Exporter(Collector):
    """Applies the items of following in one thread; answers scrapes in others, one at a time."""

    def __init__(self, servers: FollowedServers) -> None:
        """Export `servers`, which only this object may use from now on."""
        self._servers = servers
        self._totals = Totals()
        self._changed: set[str] = set()
        self._lock = threading.Lock()
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)

    def feed(self, item: News | PathSearch, logs: Iterable[LogSet], wall: float) -> None:
        """Apply an item that was read at `wall`."""
        with self._lock:
            server = self._servers.feed(item, logs, wall)
            if server is not None:
                self._changed.add(server.source)

    def collect(self) -> Iterator[Metric]:
        """Return the present page; empty while the logs are read for the first time."""
        with self._lock:
            if not self._servers.caught_up:
                return iter(())
            for server in self._servers.servers:
                if server.source in self._changed:
                    self._totals.update(server)
            self._changed.clear()
            return iter(list(families(self._servers.now(time.time()), self._totals)))

    def describe(self) -> Iterator[Metric]:
        """Return nothing: the families depend on the logs."""
        return iter(())

    def serve(self, address: str, port: int) -> WSGIServer:
        """Answer scrapes at an address from now on, in separate threads.

        Raises:
            OSError: the address cannot be listened on.
        """
        page = make_wsgi_app(self.registry)

        def application(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
            return page({**environ, "HTTP_ACCEPT": PLAIN_TEXT}, start)

        server_class = _ServerV6 if ":" in address else _Server
        httpd = make_server(address, port, application, server_class, _QuietHandler)
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        return httpd

    def write(self, path: Path) -> None:
        """Write the page to a file, via a temporary one, so that nobody reads half of it.

        Raises:
            OSError: the file cannot be written.
        """
        write_to_textfile(str(path), self.registry)


class _Server(ThreadingMixIn, WSGIServer):
    """Answers each scrape in a separate thread, so that a slow one does not block others."""

    daemon_threads = True


class _ServerV6(_Server):
    address_family = socket.AF_INET6


class _QuietHandler(WSGIRequestHandler):
    """Logs no scrapes; drops clients that send nothing."""

    timeout = 30

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
        """Log nothing."""
