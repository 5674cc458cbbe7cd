"""Errors on demand: the first one first, from both files."""

from __future__ import annotations

from datetime import UTC

from rich.console import Console

from tests.logs import at
from tests.tui.screens import monitor_of
from vllm_watch.tui.errortext import INDENT, error_text
from vllm_watch.tui.screens.errors import Hanging


def text_of(capture: str) -> str:
    (server,) = monitor_of(capture).store.servers.values()
    return error_text(server.run, at("23:00:00"), UTC)


def test_a_failed_start_shows_why_and_both_tracebacks() -> None:
    text = text_of("cpu_startup_failure")
    assert text.splitlines()[0] == " 12:26:56  .log  EngineCore failed to start."
    assert "ValueError: To serve at least one request with the model's max seq len (2048)" in text
    assert ".err  Traceback (most recent call last):" in text
    assert text.index(".log  EngineCore failed") < text.index(".err  Traceback")


def test_the_port_in_use_is_only_in_the_twin() -> None:
    text = text_of("cpu_port_in_use")
    assert text.startswith("~12:33:43  .err  Traceback (most recent call last):")
    assert text.endswith("OSError: [Errno 98] Address already in use")


def test_what_does_not_fit_goes_on_below_its_words() -> None:
    lines = [
        " 12:33:43  .err  EngineCore could not begin to work on the port 8000",
        f"{INDENT}  File /opt/vllm/core/server.py, line 40, in serve",
        "OSError: 98",
    ]
    drawn = {
        width: "".join(segment.text for segment in Console(width=width).render(Hanging(lines)))
        for width in (60, 36)
    }
    assert [line.rstrip() for line in drawn[60].splitlines()] == [
        " 12:33:43  .err  EngineCore could not begin to work on the",
        f"{INDENT}port 8000",
        f"{INDENT}  File /opt/vllm/core/server.py, line 40,",
        f"{INDENT}in serve",
        "OSError: 98",
    ]
    assert [line.rstrip() for line in drawn[36].splitlines()] == [
        " 12:33:43  .err  EngineCore could",
        "  not begin to work on the port 8000",
        "    File /opt/vllm/core/server.py,",
        "  line 40, in serve",
        "OSError: 98",
    ]


def test_a_healthy_server_has_none() -> None:
    assert text_of("h100_optimised") == ""
