from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.actions.alerts import ALERT
from vllm_watch.actions.webhook import post

SOON = (0.01, 0.01)


class Receiver(ThreadingHTTPServer):
    """A web server on this machine with scripted answers, which keeps the requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[int] = []
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.location = ""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/secret/path"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        answers = self.server.answers
        self.send_response(answers.pop(0) if answers else 204)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_alert_is_posted_as_json(receiver: Receiver) -> None:
    assert post(receiver.address, ALERT, 5.0, threading.Event()) is None
    ((path, headers, body),) = receiver.got
    assert path == "/secret/path"
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("vllm-watch/")
    assert json.loads(body)["server"] == "Qwen3-8B:8003"
    assert json.loads(body)["text"] == "Qwen3-8B:8003: critical: KV cache full: 99 %"


def test_a_proxy_of_the_environment_does_not_get_what_is_for_this_machine(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    assert post(receiver.address, ALERT, 5.0, threading.Event()) is None


def test_a_failure_that_may_pass_is_tried_again_three_times_in_all(receiver: Receiver) -> None:
    receiver.answers = [503, 500]
    assert post(receiver.address, ALERT, 5.0, threading.Event(), SOON) is None
    assert len(receiver.got) == 3
    receiver.answers = [503] * 9
    trouble = post(receiver.address, ALERT, 5.0, threading.Event(), SOON)
    assert len(receiver.got) == 6
    host = receiver.address.split("/")[2]
    assert trouble == f"{host}: answers 503 Service Unavailable"


def test_a_refusal_is_not_tried_again(receiver: Receiver) -> None:
    receiver.answers = [403]
    trouble = post(receiver.address, ALERT, 5.0, threading.Event(), SOON)
    assert trouble is not None
    assert "answers 403" in trouble
    assert "secret" not in trouble
    assert len(receiver.got) == 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(receiver: Receiver, code: int) -> None:
    receiver.answers = [code]
    receiver.location = receiver.address
    trouble = post(receiver.address, ALERT, 5.0, threading.Event(), SOON)
    assert trouble is not None
    assert f"answers {code}: redirects are not followed" in trouble
    assert len(receiver.got) == 1


def test_an_absent_server_is_reported(receiver: Receiver) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        trouble = post(address, ALERT, 5.0, threading.Event(), SOON)
    assert trouble is not None
    assert trouble.endswith("cannot be reached: connection refused")


@pytest.mark.parametrize("drip", [False, True])
def test_an_answer_that_never_ends_is_cut_off(drip: bool) -> None:
    """A socket's timeout would begin again with each byte that arrives."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not done.wait(0.05):
                    try:
                        connection.sendall(b"x" if drip else b"")
                    except OSError:
                        return

        thread = threading.Thread(target=answer)
        thread.start()
        began = time.monotonic()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        trouble = post(address, ALERT, 0.5, threading.Event(), ())
        done.set()
        thread.join()
    assert time.monotonic() - began < 10
    assert trouble is not None
    assert trouble.endswith("no answer within 0.5 s")


def test_a_cancelled_post_does_not_wait_for_another_try(receiver: Receiver) -> None:
    receiver.answers = [503] * 9
    cancel = threading.Event()
    cancel.set()
    trouble = post(receiver.address, ALERT, 5.0, cancel, (60.0,))
    assert trouble is not None
    assert len(receiver.got) == 1
