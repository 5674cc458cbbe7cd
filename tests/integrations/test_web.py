"""The screen in a browser: who may connect, the page's requests, the command of each page."""

from __future__ import annotations

import asyncio
import re
import shlex
import socket
import sys
from collections.abc import Mapping

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.logs import log_of
from vllm_watch.cli import main
from vllm_watch.cli.arguments import parse
from vllm_watch.cli.web_command import command_line
from vllm_watch.integrations.browser import ScreenServer

Output = pytest.CaptureFixture[str]


def got(path: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """Return status and text of a page."""

    async def get() -> tuple[int, str]:
        application = await ScreenServer("true", host="127.0.0.1", port=8090)._make_app()
        async with TestClient(TestServer(application)) as client:
            answer = await client.get(path, headers=headers)
            return answer.status, await answer.text()

    return asyncio.run(get())


def test_the_page_asks_no_other_site_for_anything() -> None:
    status, text = got("/", {"Host": "node7:8090"})
    assert status == 200
    # Only fetched addresses count, not the names of XML namespaces.
    fetched = re.findall(r"(?:href|src|url)=[\"'](?:https?|wss?)://([^/\"']+)", text)
    assert set(fetched) == {"node7:8090"}


@pytest.mark.parametrize("path", ["/ws", "/"])
def test_a_page_of_another_site_may_not_connect(path: str) -> None:
    assert got(path, {"Host": "127.0.0.1:8090", "Origin": "http://evil.example"})[0] == 403


def test_a_page_of_its_own_may_connect() -> None:
    assert got("/", {"Host": "127.0.0.1:8090", "Origin": "http://127.0.0.1:8090"})[0] == 200


def test_what_a_page_runs_is_quoted() -> None:
    arguments = parse(["web", "a b.log", "$(touch x)", "--tz", "UTC"])
    words = [sys.executable, "-m", "vllm_watch", "watch", "--tz", "UTC", "--", "a b.log"]
    assert shlex.split(command_line(arguments)) == [*words, "$(touch x)"]


def test_a_port_that_is_taken(capsys: Output) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["web", str(log_of("h100_optimised")), "--listen", address]) == 1
    told = capsys.readouterr().err
    assert "address already in use; choose another port" in told
    assert told.count("\n") == 1


def test_standard_input_cannot_be_shown(capsys: Output) -> None:
    assert main(["web", "-"]) == 2
    assert "name a log" in capsys.readouterr().err
