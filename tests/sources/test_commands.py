"""The output of commands: restarts without lost or doubled lines, errors, no leftovers."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import serverlog as log
from tests.logs import formats, log_of, stats_by_hand
from tests.processes import alive, until
from vllm_watch.cli import main
from vllm_watch.ingest import Ingest, ReadOptions
from vllm_watch.sources.commands import CommandOutput
from vllm_watch.sources.commandwords import command_of, command_pattern
from vllm_watch.sources.resuming import QUIET_SECONDS, Resuming

Output = pytest.CaptureFixture[str]


class Clock:
    """A clock that advances on request."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def output(command: CommandOutput, wanted: int) -> list[str]:
    """Read until so many lines have arrived."""
    text = b""

    def enough() -> bool:
        nonlocal text
        text += b"".join(chunk.data for chunk in command.read())
        return text.count(b"\n") >= wanted

    until(enough)
    return text.decode().splitlines()


def script(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_read_once_to_its_end(tmp_path: Path) -> None:
    command = CommandOutput("command:web", ["printf", "one\ntwo\nhalf"], wait=True)
    text = b"".join(chunk.data for chunk in command.read())
    assert text == b"one\ntwo\nhalf"
    assert command.ended
    assert command.trouble is None


def test_what_is_repeated_is_not_read_twice(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "x.log"
    path.write_text("one\ntwo\nthr")
    command = CommandOutput("command:web", ["cat", str(path)], wait=False, clock=clock)
    assert output(command, 2) == ["one", "two"]
    until(lambda: not list(command.read()) and command.trouble is not None)
    assert command.trouble is not None
    assert command.trouble.endswith("ended with exit code 0; starting it again")
    path.write_text("one\ntwo\nthree\nfour\n")
    clock.now += 1.5
    assert output(command, 2) == ["three", "four"]
    command.close()


def test_another_output_is_all_new(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "x.log"
    path.write_text("one\ntwo\nhalf")
    command = CommandOutput("command:web", ["cat", str(path)], wait=False, clock=clock)
    lines = output(command, 2)
    until(lambda: not list(command.read()) and command.trouble is not None)
    path.write_text("new\nlines\n")
    clock.now += 1.5
    lines += output(command, 2)
    assert lines == ["one", "two", "half", "new", "lines"]
    command.close()


lines = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=30)


@given(lines, st.integers(0, 29), st.lists(st.integers(1, 9), max_size=20))
def test_a_tail_that_comes_again_is_found(words: list[str], first: int, cuts: list[int]) -> None:
    rows = [f"{number:04} {word * 60}\n".encode() for number, word in enumerate(words)]
    new = b"later\nlines\n"
    resuming = Resuming()
    resuming.saw(b"".join(rows))
    resuming.again(0.0)
    tail = rows[min(first, max(0, len(rows) - 17)) :]  # 17 lines of 66 bytes hold the mark
    again = b"".join(tail) + new
    got, at = b"", 0
    for cut in [*cuts, len(again)]:
        piece, at = again[at : at + cut], at + cut
        got += resuming.feed(piece, 0.0) or b""
    assert got == new


def test_a_silent_repetition_is_waited_for() -> None:
    resuming = Resuming()
    resuming.saw(b"one\ntwo\n")
    resuming.again(0.0)
    assert resuming.feed(b"other\n", 0.0) is None
    assert resuming.feed(b"", QUIET_SECONDS - 0.1) is None
    assert resuming.feed(b"", QUIET_SECONDS) == b"other\n"


def test_pauses_grow_and_errors_are_reported(tmp_path: Path) -> None:
    clock = Clock()
    words = script("import sys; sys.exit('no such deployment')")
    command = CommandOutput("command:web", words, wait=False, clock=clock)
    starts = []
    for _ in range(4):
        until(lambda: not list(command.read()) and command._process is None)
        starts.append(command._again_at - clock.now)
        clock.now = command._again_at
    assert starts == [1.0, 2.0, 4.0, 8.0]
    assert command.trouble == "command:web: no such deployment; starting it again"
    command.close()


def test_a_command_that_is_not_there() -> None:
    command = CommandOutput("command:web", ["no-such-program", "x"], wait=True)
    assert list(command.read()) == []
    assert command.trouble == (
        "command:web: no-such-program: no such file or directory; "
        "check that it is installed and in PATH"
    )


def test_nothing_of_it_is_left(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    child = (
        f"import os, time; open({str(pids)!r}, 'a').write(f'{{os.getpid()}}\\n'); time.sleep(99)"
    )
    words = script(
        f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {child!r}])\n"
        f"print('up', flush=True)\n{child}"
    )
    command = CommandOutput("command:web", words, wait=False)
    assert output(command, 1) == ["up"]
    until(lambda: pids.exists() and pids.read_text().count("\n") == 2)
    command.close()
    for pid in map(int, pids.read_text().split()):
        until(lambda pid=pid: not alive(pid))  # type: ignore[misc]


def test_a_flood_leaves_time_for_others() -> None:
    words = script("import sys\nwhile True: sys.stdout.write('x' * 99 + '\\n')")
    command = CommandOutput("command:web", words, wait=False)
    until(lambda: bool(list(command.read())))
    size = sum(len(chunk.data) for chunk in command.read())
    assert size < 32 << 20
    command.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("web=kubectl logs -f 'deploy/v llm'", ("kubectl", "logs", "-f", "deploy/v llm")),
        ("web=ssh node7 tail -F x.log; rm -rf /", ("ssh", "node7", "tail", "-F", "x.log;", "rm",
                                                    "-rf", "/")),
    ],
)  # fmt: skip
def test_words_are_split_as_a_shell_splits_them_without_one(
    text: str, words: tuple[str, ...]
) -> None:
    assert command_of(command_pattern(text)) == ("command:web", words)


@pytest.mark.parametrize("text", ["web", "=cat x", "web=", "web='cat", "a/b=cat"])
def test_what_is_no_command_is_refused(text: str, capsys: Output) -> None:
    assert main(["summary", "--command", text]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("head -c 300000 /dev/urandom", "is it a vLLM log?"),
        ("true", "command:web: is empty"),
        ("false", "command:web: ended with exit code 1"),
    ],
)
def test_a_command_that_writes_no_log(command: str, told: str, capsys: Output) -> None:
    assert main(["summary", "--command", f"web={command}"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert told in lines[0]
    assert lines[1:] == ["vllm-watch: no vLLM log could be read; see above"]


def test_two_of_one_name(capsys: Output) -> None:
    words = ["summary", "--command", "a=cat x", "--command", "a=cat y"]
    assert main(words) == 2
    assert "--command a=…: two commands of this name" in capsys.readouterr().err


def test_every_sample_of_a_capture_by_a_command(capsys: Output) -> None:
    path = log_of("h100_optimised")
    assert main(["export", "--command", f"web=cat {path}", "-o", "-"]) == 0
    assert capsys.readouterr().out.count("\n") == len(stats_by_hand("h100_optimised"))
    assert main(["status", "--command", f"web=cat {path}", "--format", "{source} {state}"]) == 0
    assert capsys.readouterr().out == "command:web stopped\n"


def test_followed_beside_files(tmp_path: Path) -> None:
    now = float(int(time.time()))
    grown = log.write(tmp_path, log.begun(now - 90) + log.ready(now - 60) + log.busy(now - 9))
    pattern = command_pattern(f"web=cat {log_of('h100_optimised')}")
    options = ReadOptions(live=True, poll_seconds=0.02, events=False)
    ingest = Ingest([str(grown), pattern], formats(), options)
    sources = set()
    for item in ingest.follow(threading.Event()):
        sources.add(getattr(item, "source", None))
        if {str(grown), "command:web"} <= sources:
            break
    ingest.close()
