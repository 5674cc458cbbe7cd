"""Pages fetched from servers that are slow, endless, absent or wrong."""

from __future__ import annotations

import socket
import time
from http.server import BaseHTTPRequestHandler

import pytest

from tests.serverside.pages import Answer, plain, serving
from vllm_watch.serverside import fetching
from vllm_watch.serverside.fetching import Fetcher, FetchError


def fetch(answer: Answer, seconds: float = 5.0) -> str:
    with serving(answer) as url:
        return Fetcher(url, seconds).page()


def test_a_page() -> None:
    assert fetch(plain("vllm:a 1\n")) == "vllm:a 1\n"


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(FetchError, match="no server there") as error:
        Fetcher(f"http://127.0.0.1:{port}/metrics", 5.0).page()
    assert error.value.absent


def test_a_refusal() -> None:
    with pytest.raises(FetchError, match="answered 401"):
        fetch(plain("no", 401))


def test_a_server_that_hangs() -> None:
    def hang(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.recv(1)  # until the client goes

    with pytest.raises(FetchError, match=r"no answer within 0\.2 s"):
        fetch(hang, 0.2)


def test_a_page_that_comes_drop_by_drop() -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.02)

    with pytest.raises(FetchError, match="takes longer"):
        fetch(drip, 2.0)  # long enough for a first byte on a busy machine


def test_an_endless_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MOST_BYTES", 1 << 20)

    def pour(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 65536)

    with pytest.raises(FetchError, match="longer than 1 MiB"):
        fetch(pour)


def test_no_http_at_all() -> None:
    def speak(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"220 mail.example ESMTP\r\n\r\n")
        handler.close_connection = True

    with pytest.raises(FetchError, match="no page"):
        fetch(speak)
