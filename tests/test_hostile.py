"""Nothing in a log acts on its viewer: checked on the bytes that reach terminal and pipe."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.hostile import MARK, PAYLOADS, acting, acting_on_screen, hostile_log, write_hostile
from tests.logs import log_of
from tests.terminals import Terminal, in_terminal
from vllm_watch.cli import main

KEYS = ["\x1b[B", "\x1b", "f", "\r", "\x1b", "f", "\r", "n", "\x1b", "?", "\x1b", "/", MARK]
KEYS += ["\r", "t", "\x1b", "[", "]", " ", "\t"]
"""From the errors through every screen: findings, evidence, calculators, help, filter, themes."""


def open_errors(terminal: Terminal, mark: str) -> None:
    """Open the errors, which are full of payloads; before the log has been read there are none."""
    for _ in range(100):
        at = terminal.press("x")
        terminal.until("ERRORS OF", after=at)
        terminal.still()
        if mark.encode() in terminal.shown[at:]:
            return
        terminal.press("\x1b")
        terminal.still()
    raise AssertionError("the log was never read")


def shown(path: Path, size: tuple[int, int], marks: list[str]) -> bytes:
    """Return all bytes of a walk through the screens; each of `marks` appeared in it."""
    with in_terminal(path, size=size) as terminal:
        terminal.until(marks[0])
        terminal.still()
        open_errors(terminal, marks[-1])
        for key in KEYS:
            terminal.press(key)
            terminal.still()
        terminal.press("\x1bq")
        terminal.press("q")
        terminal.press("\x03")
        terminal.ended()
        for mark in marks:
            assert mark.encode() in terminal.shown
        return terminal.shown


@pytest.mark.parametrize("size", [(120, 40), (40, 10)], ids=str)
def test_nothing_acts_on_the_terminal(tmp_path: Path, size: tuple[int, int]) -> None:
    usual = tmp_path / "usual"
    usual.mkdir()
    harmless = usual / "vllm_m_port8003_realtime.log"
    harmless.write_bytes(log_of("h100_saturated_then_killed").read_bytes())
    with in_terminal(harmless, size=size) as terminal:
        terminal.until("8003")
        terminal.press("q")
        terminal.ended()
        known, wild = acting_on_screen(terminal.shown)
    assert wild == []
    assert "\x1b[?1049h" in known  # an application's own sequences are seen
    path = write_hostile(tmp_path)
    sequences, wild = acting_on_screen(shown(path, size, ["8003", MARK]))
    assert wild == []
    assert sequences - known == set()


@pytest.mark.parametrize("name", PAYLOADS)
def test_each_payload_would_be_noticed(name: str) -> None:
    """Without this the test above could not fail. Markup and HTML act elsewhere."""
    sequences, wild = acting_on_screen(PAYLOADS[name].encode("utf-8"))
    assert (wild or sequences) or name in ("markup", "page")


@pytest.mark.parametrize(
    "command",
    [
        ("summary",),
        ("summary", "--json"),
        ("summary", "--markdown"),
        ("compare", "{}", "--json"),
        ("compare", "{}"),
        ("check",),
        ("status",),
        ("wait", "--timeout", "1"),
        ("export", "-o", "-"),
        ("export", "--events", "-o", "-"),
        ("export", "--events", "-o", "events.csv"),
        ("report", "-o", "page.html"),
        ("formats", "check"),
    ],
    ids=" ".join,
)
def test_nothing_acts_in_what_commands_write(
    tmp_path: Path,
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    path = write_hostile(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = [word.replace("{}", str(path)) for word in command]
    at = 2 if command[0] == "formats" else 1
    main([*words[:at], str(path), *words[at:]])
    out, err = capfdbinary.readouterr()
    assert b"Traceback (most recent call last)" not in err
    written = out + err
    for file in tmp_path.iterdir():
        if file != path:
            written += file.read_bytes()
    assert written
    assert acting(written.decode("utf-8")) == []
    if command[0] == "report":
        assert f"<script>{MARK}" not in written.decode()
        assert "<img src=x" not in written.decode()


NAMES = [
    b"vllm_[red]m[@click=app.quit]_port8003_realtime.log",
    b"vllm_a b_port8003_realtime.log",
    b"vllm_a\nb_port8003_realtime.log",
    b"vllm_\x1b]0;PWN7f3a\x07_port8003_realtime.log",
    b"-vllm_m_port8003_realtime.log",
    b"vllm_\xff\xfe_port8003_realtime.log",
    b"vllm_*?{}_port8003_realtime.log",
    "vllm_\U0001f600\u202e_port8003_realtime.log".encode(),
    b"v" * 240 + b"_port8003.log",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_file_names_are_input_too(
    tmp_path: Path,
    name: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    capture = log_of("h100_optimised").read_bytes()
    (tmp_path / "x").mkdir()
    try:
        Path(os.fsdecode(bytes(tmp_path) + b"/x/" + name)).write_bytes(capture)
    except OSError as error:
        pytest.skip(f"no file system for such names: {error.strerror}")  # macOS wants UTF-8
    monkeypatch.chdir(tmp_path)
    given = {
        "folder": ["x"],
        "itself": ["--", os.fsdecode(b"x/" + name)],
        "glob": ["x/*.log"],
    }
    for way, paths in given.items():
        for command in (["summary"], ["export", "-o", "-"], ["check"], ["status"], ["report"]):
            rest = ["-o", "page.html"] if command == ["report"] else []
            code = main([*command, *rest, *paths])
            out, err = capfdbinary.readouterr()
            written = (out + err).decode("utf-8")
            assert "Traceback" not in written, (way, command)
            assert acting(written) == [], (way, command)
            assert code in (0, 1, 2), (way, command, written)
            if command[0] == "export":
                assert out.count(b"\n") == capture.count(b"Engine 000: "), way


def test_a_name_that_is_nowhere_is_said_in_one_line(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    for name in NAMES:
        assert main(["summary", "--", os.fsdecode(bytes(tmp_path) + b"/" + name)]) != 0
        lines = capfdbinary.readouterr().err.decode("utf-8").splitlines()
        assert len(lines) == 1, lines
        assert acting(lines[0]) == []


def test_the_hostile_log_is_read() -> None:
    data = hostile_log()
    assert len(data) > 10 << 20
    assert data.count(MARK.encode()) > 200
