"""`wait`: a log written step by step, each step after the one before has been reported."""

from __future__ import annotations

import os
import pty
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import serverlog as log
from tests.logs import FIXTURES, formats, log_of
from tests.processes import as_process
from vllm_watch.cli import main
from vllm_watch.cli.saying import say
from vllm_watch.config import Settings
from vllm_watch.core.news import PathSearch
from vllm_watch.ingest import Ingest, ReadOptions
from vllm_watch.reports.waiting import Waiting

Output = pytest.CaptureFixture[str]
Step = tuple[str, Callable[[], None]]
"""A text to wait for, and the action then."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_WATCH_WATCH_POLL_SECONDS", "0.05")
    monkeypatch.setattr("vllm_watch.reports.waiting.GRACE_SECONDS", 0.0)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> queue.Queue[str]:
    """The output, as it is printed."""
    lines: queue.Queue[str] = queue.Queue()

    def tee(text: str) -> None:
        say(text)
        lines.put(text)

    monkeypatch.setattr("vllm_watch.cli.wait_command.say", tee)
    return lines


def wait(said: queue.Queue[str], steps: list[Step], *words: Path | str) -> int:
    """Run `wait` while another thread acts on its output."""
    failed: list[str] = []

    def act() -> None:
        for expected, action in steps:
            try:
                while expected not in said.get(timeout=20):
                    pass
            except queue.Empty:
                failed.append(f"never said: {expected}")
                return
            action()

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    code = main(["wait", *map(str, words), "--timeout", "30"])
    thread.join(20)
    assert not failed, failed
    return code


def add(path: Path, text: str) -> Callable[[], None]:
    def append() -> None:
        with path.open("a") as file:
            file.write(text)

    return append


def test_from_nothing_to_ready(tmp_path: Path, said: queue.Queue[str], capsys: Output) -> None:
    path, now = tmp_path / "logs" / log.NAME, time.time()

    def appear() -> None:
        path.parent.mkdir()
        add(path, log.begun(now - 30))()

    steps: list[Step] = [
        ("matches no file yet", appear),
        (": starting (", add(path, log.loading(now - 20))),
        (": loading weights (", add(path, log.ready(now))),
    ]
    assert wait(said, steps, path) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == ("vllm-watch: Tiny-Qwen3:9101: ready, 30 s after its start")


def test_one_that_dies_says_why(tmp_path: Path, said: queue.Queue[str], capsys: Output) -> None:
    """The failing start of a real capture, its `.log` and its `.err`."""
    capture = log_of("cpu_startup_failure")
    path = tmp_path / capture.name
    now = time.time()
    lines = [_restamped(line, now) for line in capture.read_text().splitlines(keepends=True)]

    def end() -> None:
        path.with_suffix(".err").write_text(capture.with_suffix(".err").read_text())
        add(path, "".join(lines[8:]))()

    steps: list[Step] = [
        ("matches no file yet", add(path, "".join(lines[:8]))),
        (": starting (", end),
    ]
    assert wait(said, steps, path) == 1
    err = capsys.readouterr().err
    assert "Tiny-Qwen3:9112: dead (KV cache too small): ValueError: To serve at least one" in err
    assert "--max-model-len 144" in err
    assert "\nvllm-watch:   Traceback (most recent call last):\n" in err
    assert "Worker proc VllmWorker-0 died unexpectedly" in err


def test_an_empty_path_is_not_waited_for(tmp_path: Path, capsys: Output) -> None:
    assert main(["wait", "", str(tmp_path), "--timeout", "60"]) == 2
    assert capsys.readouterr().err == (
        "vllm-watch: an empty path: name a log, a folder or a quoted glob (is a variable unset?)\n"
    )


def _restamped(line: str, now: float) -> str:
    begin, found, rest = line.partition("11-23 ")
    return begin + log.stamp(now) + rest[8:] if found else line


def test_one_that_never_comes(tmp_path: Path, capsys: Output) -> None:
    assert main(["wait", str(tmp_path / "never*.log"), "--timeout", "0.3"]) == 124
    err = capsys.readouterr().err.splitlines()
    assert err[0].startswith(f"vllm-watch: {tmp_path}/never*.log: matches no file yet")
    assert err[-1] == f"vllm-watch: timed out after 0.3 s: {tmp_path}/never*.log matches no file"


def test_one_that_starts_too_slowly(tmp_path: Path, capsys: Output) -> None:
    now = time.time()
    path = log.write(tmp_path, log.begun(now - 60) + log.loading(now - 50))
    assert main(["wait", str(path), "--timeout", "0"]) == 124
    assert (
        "timed out after 0 s: Tiny-Qwen3:9101 is still loading weights" in capsys.readouterr().err
    )


def test_a_new_run_of_a_dead_server_is_waited_for(
    tmp_path: Path, said: queue.Queue[str], capsys: Output
) -> None:
    now = time.time()
    path = log.write(tmp_path, log.begun(now - 90) + log.ready(now - 60) + log.died(now - 30))
    again = log.begun(now) + log.ready(now)
    steps: list[Step] = [("last run dead; waiting for a new run", add(path, again))]
    assert wait(said, steps, path) == 0
    assert main(["wait", str(path), "--timeout", "5", "--no-new-run"]) == 0


def test_a_new_run_that_dies_ends_the_wait(tmp_path: Path, said: queue.Queue[str]) -> None:
    now = time.time()
    path = log.write(tmp_path, log.begun(now - 90) + log.ready(now - 60) + log.died(now - 30))
    again = log.begun(now) + log.died(now)
    steps: list[Step] = [("last run dead", add(path, again))]
    assert wait(said, steps, path) == 1


@pytest.mark.parametrize("capture", ["h100_saturated_then_killed", "cpu_clean_stop"])
def test_without_a_new_run_an_ended_server_stays_ended(capture: str, capsys: Output) -> None:
    assert main(["wait", str(FIXTURES / capture), "--timeout", "5", "--no-new-run"]) == 1
    assert ("dead" if "killed" in capture else "stopped") in capsys.readouterr().err


def test_a_server_that_fell_idle_long_ago_is_ready_and_its_silence_reported(
    tmp_path: Path, capsys: Output
) -> None:
    then = time.time() - 7200
    text = log.begun(then - 90) + log.ready(then - 60) + log.idle(then)
    path = log.write(tmp_path, text, modified=then)
    assert main(["wait", str(path), "--timeout", "5"]) == 0
    assert "no log line for 2 h 00 m" in capsys.readouterr().err


def test_all_of_several_must_be_ready(tmp_path: Path, said: queue.Queue[str]) -> None:
    now = time.time()
    log.write(tmp_path, log.begun(now - 90) + log.ready(now - 60), name="a.log")
    late = tmp_path / "b.log"
    steps: list[Step] = [
        ("b.log: matches no file yet", add(late, log.begun(now).replace("9101", "9102"))),
        ("Tiny-Qwen3:9102: starting", add(late, log.ready(now).replace("9101", "9102"))),
    ]
    assert wait(said, steps, tmp_path / "a.log", late) == 0


def test_readiness_may_stand_in_the_companion_alone(
    tmp_path: Path, said: queue.Queue[str], capsys: Output
) -> None:
    """A log without the line `Starting vLLM server`: uvicorn's own line is in the `.err`."""
    now = time.time()
    path = log.write(tmp_path, log.begun(now - 30))
    err = path.with_suffix(".err")
    complete = "(APIServer pid=27447) INFO:     Application startup complete.\n"
    assert wait(said, [(": starting", add(err, complete))], path) == 0


def test_an_announced_server_is_waited_for_until_it_answers(tmp_path: Path) -> None:
    """`Starting vLLM server` comes a moment before the port is open."""
    now = time.time()
    path = log.write(tmp_path, log.begun(now - 30) + log.ready(now - 1))
    assert _outcome(path, now, grace=5.0) is None
    assert _outcome(path, now + 10, grace=5.0) == "ready"
    started = "(APIServer pid=27447) INFO:     Application startup complete.\n"
    path.with_suffix(".err").write_text(started)
    assert _outcome(path, now, grace=5.0) == "ready"


def _outcome(path: Path, now: float, grace: float) -> str | None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vllm_watch.reports.waiting.GRACE_SECONDS", grace)
        ingest = Ingest(
            [str(path)], formats(), ReadOptions(live=True, poll_seconds=0.05, now=lambda: now)
        )
        waiting = Waiting(Settings(), formats())
        for item in ingest.follow(threading.Event()):
            outcome = waiting.feed(item, ingest.found.logs, now)
            if isinstance(item, PathSearch):
                ingest.close()
                return outcome
    return None


def test_silence_that_was_no_end_when_waiting_began_is_not_one_later(tmp_path: Path) -> None:
    """Compiling may take minutes without a line: four of them before, five more while waiting."""
    now = time.time()
    path = log.write(tmp_path, log.begun(now - 240), modified=now - 240)
    ingest = Ingest(
        [str(path)], formats(), ReadOptions(live=True, poll_seconds=0.05, now=lambda: now)
    )
    waiting = Waiting(Settings(), formats())
    looks = 0
    for item in ingest.follow(threading.Event()):
        assert waiting.feed(item, ingest.found.logs, now + 300.0 * looks) is None
        looks += isinstance(item, PathSearch)
        if looks == 3:
            break
    ingest.close()
    assert waiting.awaited[0].words == "starting"


def test_a_bar_on_a_terminal(tmp_path: Path) -> None:
    now = time.time()
    path = log.write(tmp_path, log.begun(now - 60) + log.loading(now - 50))
    master, slave = pty.openpty()
    done = subprocess.run(
        as_process("wait", path, "--timeout", "0"),
        stderr=slave,
        stdout=subprocess.PIPE,
        check=False,
        env={**os.environ, "COLUMNS": "100"},
    )
    os.close(slave)
    shown = os.read(master, 65536).decode()
    os.close(master)
    assert (done.returncode, done.stdout) == (124, b"")
    assert "\r\x1b[2K" in shown
    assert "▕██" in shown
    assert "░▏ loading weights" in shown


@pytest.mark.parametrize(
    ("capture", "until", "code"),
    [("h100_optimised", b"model.py", 1), ("h100_saturated_then_killed", b"", 1)],
)
def test_a_pipe_that_ends_is_not_waited_for(capture: str, until: bytes, code: int) -> None:
    """`docker logs vllm | vllm-watch wait -`: nothing more can come."""
    data = log_of(capture).read_bytes()
    data = data[: data.index(until)] if until else data
    words = as_process("wait", "-", "--timeout", "60")
    began = time.monotonic()
    done = subprocess.run(words, input=data, capture_output=True, check=False, timeout=60)
    assert done.returncode == code
    assert time.monotonic() - began < 30
    assert b"ended" in done.stderr or b"dead" in done.stderr


@pytest.mark.parametrize("timeout", ["-1", "soon", "nan"])
def test_a_bad_timeout_is_refused(timeout: str, capsys: Output) -> None:
    assert main(["wait", "a.log", "--timeout", timeout]) == 2
    assert "--timeout" in capsys.readouterr().err
