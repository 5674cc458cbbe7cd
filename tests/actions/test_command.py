from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from threading import Event, Timer

import pytest

from tests.actions.alerts import ALERT, HOSTILE, program
from tests.processes import alive
from vllm_watch.actions.command import run_command

RECORD = """
out = os.path.join(os.path.dirname(__file__), "seen.json")
known = {k: v for k, v in os.environ.items() if k.startswith("VLLM_WATCH_ALERT_")}
json.dump({"env": known, "stdin": json.load(sys.stdin), "args": sys.argv[1:]}, open(out, "w"))
"""


def ends(pid: int) -> bool:
    """Return whether a killed process is gone, or goes soon: others of its group lag."""
    for _ in range(200):
        if not alive(pid):
            return True
        time.sleep(0.01)
    return False


def test_a_command_gets_the_alert_in_its_environment_and_on_standard_input(
    tmp_path: Path,
) -> None:
    arguments = (*program(tmp_path, RECORD), "a b", "$HOME", "*")
    assert run_command(arguments, ALERT, 20.0, Event()) is None
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["args"] == ["a b", "$HOME", "*"]
    assert seen["env"]["VLLM_WATCH_ALERT_SERVER"] == "Qwen3-8B:8003"
    assert seen["env"]["VLLM_WATCH_ALERT_STATUS"] == "firing"
    assert seen["stdin"]["title"] == "KV cache full: 99 %"
    assert seen["stdin"]["port"] == 8003


def test_what_a_shell_would_run_in_a_name_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = program(tmp_path, RECORD)
    assert run_command(arguments, HOSTILE, 20.0, Event()) is None
    assert sorted(os.listdir(tmp_path)) == ["program.py", "seen.json"]
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["env"]["VLLM_WATCH_ALERT_MODEL"] == "$(touch pwned)   "
    assert seen["stdin"]["model"] == HOSTILE.model


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    body = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
open(os.path.join(os.path.dirname(__file__), "pids"), "w").write(f"{os.getpid()} {child.pid}")
time.sleep(600)
"""
    arguments, cancel, pids = program(tmp_path, body), Event(), tmp_path / "pids"
    began = time.monotonic()
    trouble = run_command(arguments, ALERT, 2.0, cancel)
    assert time.monotonic() - began < 20
    assert trouble is not None
    assert trouble.endswith("took longer than 2 s and was killed")
    assert all(ends(int(pid)) for pid in pids.read_text().split())


def test_a_command_that_is_cancelled_ends_at_once_and_is_no_failure(tmp_path: Path) -> None:
    cancel = Event()
    Timer(0.2, cancel.set).start()
    began = time.monotonic()
    assert run_command(program(tmp_path, "time.sleep(600)"), ALERT, 600.0, cancel) is None
    assert time.monotonic() - began < 20


def test_a_failure_is_one_line_with_the_reason(tmp_path: Path) -> None:
    body = 'sys.stderr.write("x" * 100_000 + "\\nno\\x1b[31m such bus\\n"); sys.exit(3)'
    arguments = program(tmp_path, body)
    name = os.path.basename(arguments[0])
    assert run_command(arguments, ALERT, 20.0, Event()) == f"{name}: exit 3: no [31m such bus"
    killed = program(tmp_path, "os.kill(os.getpid(), signal.SIGSEGV)")
    assert run_command(killed, ALERT, 20.0, Event()) == f"{name}: killed by SIGSEGV"


def test_a_command_that_is_not_there_or_not_to_be_run_says_so(tmp_path: Path) -> None:
    missing = run_command(("/nowhere/notify-me",), ALERT, 5.0, Event())
    assert missing == ("notify-me: cannot be run: no such file or directory")
    (tmp_path / "data").write_text("")
    text = run_command((str(tmp_path / "data"),), ALERT, 5.0, Event())
    assert text == "data: cannot be run: permission denied"


def test_a_child_that_keeps_the_pipe_open_delays_nothing(tmp_path: Path) -> None:
    body = """
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(15)"])
open(os.path.join(os.path.dirname(__file__), "pid"), "w").write(str(child.pid))
"""
    began = time.monotonic()
    assert run_command(program(tmp_path, body), ALERT, 60.0, Event()) is None
    assert time.monotonic() - began < 10
    os.kill(int((tmp_path / "pid").read_text()), 9)


def test_a_command_that_does_not_read_its_input_is_fine(tmp_path: Path) -> None:
    long = replace(ALERT, detail="x" * 100_000)
    assert run_command(program(tmp_path, "sys.stdin.close()"), long, 20.0, Event()) is None
