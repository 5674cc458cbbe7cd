"""`vllm-watch run` with a stand-in server: its logs, its end, and leftover processes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.processes import PATIENCE, alive, until
from tests.serverside.servers import free_port, written_pids
from tests.terminals import in_terminal
from vllm_watch.cli import main, running
from vllm_watch.cli.serverend import LogEnd
from vllm_watch.config import load_settings
from vllm_watch.serverside.commandline import server_command

SERVER = Path(__file__).with_name("fakeserver.py")
Output = pytest.CaptureFixture[str]


@pytest.fixture(name="port")
def a_free_port() -> int:
    return free_port()


def words(port: int, *behave: str, options: tuple[str, ...] = ()) -> list[str]:
    serve = [sys.executable, str(SERVER), "serve", "org/Tiny", "--port", str(port)]
    way = ["--behave", *behave] if behave else []
    return [
        sys.executable,
        "-m",
        "vllm_watch",
        "run",
        "--grace",
        "1s",
        *options,
        "--",
        *serve,
        *way,
    ]


@pytest.fixture(name="run")
def runner(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `run` in a separate folder; end leftover processes afterwards."""
    started: list[subprocess.Popen[str]] = []

    def run(
        port: int, *behave: str, options: tuple[str, ...] = (), out: int = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            words(port, *behave, options=options),
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()
    for pid in written_pids(tmp_path):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def log_of(folder: Path, port: int) -> Path:
    return folder / f"pbs_results/vllm_org_Tiny_port{port}_realtime.log"


Run = Callable[..., "subprocess.Popen[str]"]


def test_logs_have_the_names_of_the_batch_script_and_events_are_reported(
    tmp_path: Path, run: Run, port: int
) -> None:
    told = tmp_path / "told"
    with told.open("w") as file:
        process = run(port, out=file.fileno())
    log = log_of(tmp_path, port)
    recording = log.with_suffix(".metrics.jsonl")
    until(lambda: log.exists() and "Engine 000" in log.read_text())
    until(lambda: recording.exists() and recording.read_text().count("\n"))
    until(lambda: "  ready" in told.read_text())
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE)
    out = told.read_text()
    assert process.returncode == 0  # the server's own
    assert "Application startup complete" in log.with_suffix(".err").read_text()
    assert "latencies are on" in log.read_text()
    for text in ("version 0.32.0", "Starting to load model", "  ready", "shutdown triggered"):
        assert text in out
    assert f"writes into {log.relative_to(tmp_path)}" in said
    until(lambda: not any(alive(pid) for pid in written_pids(tmp_path)))


def test_its_exit_code_is_the_servers(tmp_path: Path, run: Run, port: int) -> None:
    process = run(port, "code")
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3
    assert "the server has ended with exit code 3" in said


@pytest.mark.parametrize(
    ("way", "reason"), [("die", "No module named 'torch'"), ("oom", "CUDA out of memory")]
)
def test_a_death_at_the_start_shows_its_reason(
    way: str, reason: str, tmp_path: Path, run: Run, port: int
) -> None:
    process = run(port, way)
    out, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert reason in said.split("exit code 1")[1]
    assert reason in out
    assert "Traceback" not in out
    assert "Traceback" not in said.split("exit code 1")[1].splitlines()[1]


@pytest.mark.parametrize(("way", "code"), [("crash", 1), ("unsaid", 0)])
def test_a_crash_under_load_is_reported(
    way: str, code: int, tmp_path: Path, run: Run, port: int
) -> None:
    process = run(port, way)
    out, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == code  # the server's own
    assert "engine core exited unexpectedly" in out
    assert "engine core exited unexpectedly" in said


@pytest.mark.parametrize("way", ["deaf", "forking", "endless", "noisy"])
def test_nothing_is_left_of_a_server_whatever_it_does(
    way: str, tmp_path: Path, run: Run, port: int
) -> None:
    """One ignores signals, one has a child in a session of its own."""
    process = run(port, way)
    log = log_of(tmp_path, port)
    until(lambda: log.exists() and log.stat().st_size > 200)
    pids = written_pids(tmp_path)
    assert len(pids) == (2 if way in ("deaf", "forking") else 1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert not [pid for pid in pids if alive(pid)]
    assert process.returncode in (0, 137)


def test_a_second_signal_kills_at_once(tmp_path: Path, run: Run, port: int) -> None:
    """It ignores the first one, and the time of grace is longer than the test waits."""
    process = run(port, "deaf", options=("--grace", "1h"))
    log = log_of(tmp_path, port)
    until(lambda: log.exists() and "Engine 000" in log.read_text())
    pids = written_pids(tmp_path)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 137
    assert not [pid for pid in pids if alive(pid)]


def test_a_closed_terminal_leaves_a_server_that_is_to_be_left(
    tmp_path: Path, run: Run, port: int
) -> None:
    process = run(port, options=("--on-exit", "leave"))
    log = log_of(tmp_path, port)
    until(lambda: log.exists() and "Engine 000" in log.read_text())
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    (pid,) = written_pids(tmp_path)
    assert alive(pid)


def test_waiting_leaves_the_server(tmp_path: Path, run: Run, port: int) -> None:
    process = run(port, options=("--wait",))
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "ready after" in said
    (pid,) = written_pids(tmp_path)
    assert alive(pid)
    # It continues, and so does its recording, until it ends.
    recording = log_of(tmp_path, port).with_suffix(".metrics.jsonl")
    until(lambda: recording.exists() and recording.read_text().count("\n"))
    os.kill(pid, signal.SIGTERM)
    until(lambda: not alive(pid))


def test_waiting_for_a_server_that_dies(tmp_path: Path, run: Run, port: int) -> None:
    process = run(port, "oom", options=("--wait",))
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "CUDA out of memory" in said


def test_waiting_for_a_server_that_never_gets_ready(tmp_path: Path, run: Run, port: int) -> None:
    process = run(port, "endless", options=("--wait", "--timeout", "1"))
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 124
    assert "not ready after 1 s; the server is stopped" in said
    assert not [pid for pid in written_pids(tmp_path) if alive(pid)]


def test_a_log_of_that_name_gets_a_new_run_and_the_old_one_is_not_reported(
    tmp_path: Path, run: Run, port: int
) -> None:
    log = log_of(tmp_path, port)
    log.parent.mkdir()
    old = "(APIServer pid=1) INFO 01-02 03:04:05 [api_utils.py:347] version 0.1.2\n"
    log.write_text(old)
    log.with_suffix(".err").write_text("an error of that time\n")
    process = run(port, "code")
    out, said = process.communicate(timeout=PATIENCE)
    assert "Application startup complete" in said.split("exit code 3")[1]
    assert "an error of that time" not in said
    assert log.read_text().startswith(old)
    assert "version 0.32.0" in out
    assert "0.1.2" not in out


def test_on_a_terminal_the_screen_is_shown_and_leaving_it_asks(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with in_terminal(*words(port)[3:]) as terminal:
        terminal.until("Tiny")
        log = log_of(tmp_path, port)
        until(lambda: log.exists() and "Engine 000" in log.read_text())
        terminal.press("q")
        terminal.until("stop the server?")
        terminal.press("y\r")
        assert terminal.ended() == 0
    assert "shutdown triggered" in log.read_text()
    assert not [pid for pid in written_pids(tmp_path) if alive(pid)]


def test_leaving_the_screen_may_leave_the_server(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with in_terminal(*words(port, options=("--on-exit", "leave"))[3:]) as terminal:
        terminal.until("Tiny")
        log = log_of(tmp_path, port)
        until(lambda: log.exists() and "Engine 000" in log.read_text())
        terminal.press("q")
        assert terminal.ended() == 0
    (pid,) = written_pids(tmp_path)
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


def refused(capsys: Output, *given: str) -> str:
    assert main(["run", *given]) == 2
    err = capsys.readouterr().err
    assert err.endswith("\n")
    return err.splitlines()[-1]


def test_the_two_dashes_forgotten(capsys: Output) -> None:
    assert refused(capsys, "vllm", "serve", "M", "--port", "8001") == (
        "vllm-watch: -- is missing before the server's command: "
        "vllm-watch run [OPTIONS] -- vllm serve M --port 8001"
    )
    assert "no command after --" in refused(capsys, "--strict", "--")
    early = refused(capsys, "vllm", "--strict", "--", "serve", "M")
    assert early == "vllm-watch: vllm: the server's command comes after --"


def test_help_shows_where_the_command_of_the_server_stands(capsys: Output) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    assert "run [OPTIONS] -- COMMAND [ARGUMENT ...]\n" in capsys.readouterr().out


def test_a_command_that_is_not_there(capsys: Output, tmp_path: Path) -> None:
    said = refused(capsys, "--log-dir", str(tmp_path / "logs"), "--", "vlllm", "serve", "M")
    assert said == (
        "vllm-watch: vlllm: command not found; activate its environment, or give its path"
    )
    assert not (tmp_path / "logs").exists()


def test_a_command_whose_interpreter_is_not_there(
    capsys: Output, tmp_path: Path, port: int
) -> None:
    """As in an environment that was moved."""
    program = tmp_path / "vllm"
    program.write_text("#!/nowhere/bin/python\n")
    program.chmod(0o755)
    said = refused(
        capsys, "--log-dir", str(tmp_path), "--", str(program), "serve", "M", "--port", str(port)
    )
    assert said == (
        f"vllm-watch: {program}: its Python interpreter is missing; "
        "was its environment moved or removed?"
    )


def test_a_full_disk(
    capsys: Output, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = SimpleNamespace(f_blocks=64, f_bavail=0)
    monkeypatch.setattr(os, "statvfs", lambda _folder: system)
    words = ("--log-dir", str(tmp_path), "--", sys.executable, "serve", "M", "--port", str(port))
    said = refused(capsys, *words)
    assert "no space left on device; choose another --log-dir" in said
    end = LogEnd(str(tmp_path / "x.log"), load_settings(None, {}, {}), 0.0)
    assert end.last_words() == [f"{tmp_path}: no space left: its last lines are lost"]


def test_a_port_that_is_taken(capsys: Output) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = refused(capsys, "--", sys.executable, "serve", "M", "--port", port)
    assert said == f"vllm-watch: port {port}: is taken; give another with --port"


def test_a_log_folder_that_cannot_be_written(capsys: Output, tmp_path: Path, port: int) -> None:
    (tmp_path / "logs").write_text("a file")
    said = refused(
        capsys, "--log-dir", str(tmp_path / "logs"), "--", sys.executable, "--port", str(port)
    )
    assert "choose another --log-dir" in said
    assert str(tmp_path / "logs") in said


def test_problems_of_the_flags_are_reported_and_strict_refuses(capsys: Output) -> None:
    flags = ["--enforce-eager", "--data-parallel-size", "2", "--disable-log-requests"]
    assert main(["run", "--strict", "--", sys.executable, "serve", "Qwen3-1.7B", *flags]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert any("no stats lines: --api-server-count 1" in line for line in lines)
    assert any("CUDA graphs are off: drop --enforce-eager unless" in line for line in lines)
    assert "not started" in lines[-1]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({"httpx", "prometheus_client"}, "GPUs are not recorded: pip install 'vllm-watch[gpu]'"),
        ({"pynvml"}, "latencies are not recorded: pip install 'vllm-watch[metrics]'"),
        (set(), "latencies and GPUs are not recorded: pip install 'vllm-watch[metrics,gpu]'"),
        ({"httpx", "prometheus_client", "pynvml"}, ""),
    ],
)
def test_each_missing_extra_is_named(
    there: set[str], said: str, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []

    def begin(words: list[str], **_: object) -> SimpleNamespace:
        started.append(words)
        return SimpleNamespace(pid=1)

    monkeypatch.setattr(running, "_there", there.__contains__)
    monkeypatch.setattr(running, "keep_group", lambda _: None)
    monkeypatch.setattr(subprocess, "Popen", begin)
    running._record(server_command(["vllm", "serve", "M", "--port", "8000"]), "/tmp/M.log", 1)
    assert capsys.readouterr().err.removeprefix("vllm-watch: ").strip() == said
    assert len(started) == bool(there)


def test_a_preset_is_added_where_the_command_says_nothing(capsys: Output) -> None:
    given = ["serve", "Qwen3-1.7B", "--max-num-seqs", "64", "--enforce-eager"]
    options = ["--preset", "auto", "--gpus", "2", "--strict"]
    assert main(["run", *options, "--", sys.executable, *given]) == 2
    said = capsys.readouterr().err
    assert "preset small on 2 GPUs: --data-parallel-size 2" in said
    assert "no preset 'tiny'; there are small, medium" in refused(
        capsys, "--preset", "tiny", "--", sys.executable, "serve", "M"
    )
    assert "my-model: its name has no size; name one that `vllm-watch presets` lists" in refused(
        capsys, "--preset", "auto", "--", sys.executable, "serve", "my-model"
    )
    assert "--gpus 0: there must be at least one GPU" in refused(
        capsys, "--preset", "small", "--gpus", "0", "--", sys.executable, "serve", "M"
    )


def test_a_preset_needs_to_know_how_many_gpus_there_are(
    capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("--preset", "small", "--strict", "--", sys.executable, "serve", "M", "--enforce-eager")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "--preset: the number of GPUs is unknown here; add --gpus N" in refused(capsys, *given)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    assert main(["run", *given]) == 2
    assert "preset small on 3 GPUs: --data-parallel-size 3" in capsys.readouterr().err
