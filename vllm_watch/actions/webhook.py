"""Posts an alert to a web address: JSON, https, bounded in time and in tries.

Made with the standard library: one small POST needs no client with a pool, `httpx` is an extra that
a plain installation lacks. `urllib` uses the proxies of the environment, without which a compute
node often cannot reach anything.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from urllib.parse import urlsplit

from vllm_watch import __version__
from vllm_watch.actions.payload import Alert, as_bytes, plain
from vllm_watch.config.kinds import is_loopback
from vllm_watch.core.hints import Any
from vllm_watch.core.mistakes import why_failed

PAUSES = (1.0, 4.0)
"""Seconds before the second and the third try; there is no fourth."""
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429, 500, 502, 503, 504})


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An alert goes to the given address, and to no other scheme, host or path."""

    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect: the answer is reported as a failure."""


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens connections that can be closed at a deadline, however slowly an answer arrives."""

    def __init__(self) -> None:
        urllib.request.AbstractHTTPHandler.__init__(self)
        self._connections: list[http.client.HTTPConnection] = []

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(self._kept, http.client.HTTPConnection), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        secure = partial(http.client.HTTPSConnection, context=ssl.create_default_context())
        return self.do_open(partial(self._kept, secure), request)

    def cut(self) -> None:
        """Close all of them from another thread: waiting ones fail immediately."""
        for connection in self._connections:
            with suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _kept(
        self, kind: Callable[..., http.client.HTTPConnection], host: str, **known: Any
    ) -> http.client.HTTPConnection:
        connection = kind(host, **known)
        self._connections.append(connection)
        return connection


def post(
    address: str,
    alert: Alert,
    seconds: float,
    cancel: threading.Event,
    pauses: tuple[float, ...] = PAUSES,
) -> str | None:
    """Post an alert, trying again after failures that may pass.

    Args:
        address: https, or http to this machine itself (the settings refuse anything else).
        alert: the content of the message.
        seconds: time limit of one try. Looking up the host's name is not in it.
        cancel: no further try when set.
        pauses: seconds before each further try.

    Returns:
        Why it failed, in one line; None if it did not. The address's path is not in it: with many
        services it is the password.
    """
    host = plain(urlsplit(address).netloc)
    reason = ""
    for pause in (0.0, *pauses):
        if pause and cancel.wait(pause):
            break
        reason, passing = _try(address, as_bytes(alert), seconds)
        if not reason or not passing:
            break
    return f"{host}: {reason}" if reason else None


def _try(address: str, body: bytes, seconds: float) -> tuple[str, bool]:
    """Post once; return why it failed, empty if it did not, and whether a retry may help."""
    request = urllib.request.Request(address, body, method="POST")
    request.add_header("Content-Type", "application/json")
    request.add_header("User-Agent", f"vllm-watch/{__version__}")
    handler = _Handler()
    handlers: list[urllib.request.BaseHandler] = [handler, _NoRedirects()]
    if is_loopback(address):
        handlers.append(urllib.request.ProxyHandler({}))
    cut = threading.Event()

    def end() -> None:
        cut.set()
        handler.cut()

    clock = threading.Timer(seconds, end)
    clock.daemon = True
    clock.start()
    try:
        urllib.request.build_opener(*handlers).open(request, timeout=seconds).close()
    except urllib.error.HTTPError as error:
        error.close()
        if 300 <= error.code < 400:
            return f"answers {error.code}: redirects are not followed; name the new address", False
        passes = error.code in _WORTH_ANOTHER_TRY
        return f"answers {error.code} {plain(str(error.reason))[:80]}", passes
    except (OSError, http.client.HTTPException, ValueError) as error:
        if cut.is_set() or isinstance(error, TimeoutError):
            return f"no answer within {seconds:g} s", True
        cause = getattr(error, "reason", error)
        if isinstance(cause, TimeoutError):
            return f"no answer within {seconds:g} s", True
        certificate = isinstance(cause, ssl.SSLCertVerificationError)
        text = why_failed(cause) or type(cause).__name__
        return f"cannot be reached: {plain(text)[:120]}", not certificate
    finally:
        clock.cancel()
    # A connection closed within the head looks like an answer with a short head.
    return (f"no answer within {seconds:g} s" if cut.is_set() else ""), True
