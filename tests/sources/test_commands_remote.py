"""Typical commands: ssh to a real sshd, stand-ins for docker and kubectl."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.logs import log_of, stats_by_hand
from tests.processes import until
from tests.serverside.servers import free_port
from tests.sources.test_commands import Clock, output
from vllm_watch.cli import main
from vllm_watch.sources.commands import CommandOutput

Output = pytest.CaptureFixture[str]
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:/usr/bin")


def key(folder: Path, name: str) -> Path:
    path = folder / name
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    return path


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The words of a command to an sshd on loopback, with its own keys."""
    if SSHD is None or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        pytest.skip("needs sshd, ssh and ssh-keygen (Debian: openssh-server, openssh-client)")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # as its service does before it starts
    folder, port = tmp_path_factory.mktemp("sshd"), free_port()
    host, mine = key(folder, "host"), key(folder, "mine")
    config, log = folder / "config", folder / "log"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host}\nPidFile none\nStrictModes no\n"
        f"AuthorizedKeysFile {mine}.pub\nUsePAM no\nPasswordAuthentication no\n"
    )
    server = subprocess.Popen([SSHD, "-D", "-f", str(config), "-E", str(log)])
    try:
        end = time.monotonic() + 20
        while "listening on" not in (log.read_text() if log.exists() else "").lower():
            if server.poll() is not None or time.monotonic() > end:
                pytest.skip(f"sshd does not start here: {log.read_text().strip()[-200:]}")
            time.sleep(0.02)
        yield (
            f"ssh -q -F none -i {mine} -p {port} -o BatchMode=yes -o StrictHostKeyChecking=no "
            f"-o UserKnownHostsFile=/dev/null {getpass.getuser()}@127.0.0.1"
        )
    finally:
        server.terminate()
        server.wait()


def test_a_log_over_ssh(ssh: str, capsys: Output) -> None:
    path = log_of("h100_optimised")
    assert main(["export", "--command", f"node={ssh} cat {path}", "-o", "-"]) == 0
    assert capsys.readouterr().out.count("\n") == len(stats_by_hand("h100_optimised"))


def test_what_ssh_says_of_a_file_that_is_not_there(ssh: str, capsys: Output) -> None:
    assert main(["summary", "--command", f"node={ssh} cat /nowhere.log"]) != 0
    told = capsys.readouterr().err
    assert "command:node: " in told
    assert "/nowhere.log: No such file or directory" in told


def stand_in(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_kubectl_with_prefixes_is_a_server_per_pod(tmp_path: Path, capsys: Output) -> None:
    first, second = log_of("h100_optimised"), log_of("h100_baseline_eager")
    kubectl = stand_in(
        tmp_path,
        "kubectl",
        f"sed 's,^,[pod/chat-0/vllm] ,' '{first}'; sed 's,^,[pod/chat-1/vllm] ,' '{second}'",
    )
    words = ["summary", "--json", "--command", f"web={kubectl} logs --prefix -l app=vllm"]
    assert main(words) == 0
    servers = json.loads(capsys.readouterr().out)["servers"]
    found = {server["server"]: server["engines"][0]["samples"] for server in servers}
    assert found == {
        "chat-0/vllm": len(stats_by_hand("h100_optimised")),
        "chat-1/vllm": len(stats_by_hand("h100_baseline_eager")),
    }


def test_docker_writes_a_log_on_both_outputs(tmp_path: Path, capsys: Output) -> None:
    log = log_of("h100_optimised")
    docker = stand_in(tmp_path, "docker", f"cat '{log}'; cat '{log.with_suffix('.err')}' >&2")
    assert main(["summary", "--json", "--command", f"web={docker} logs vllm"]) == 0
    told = capsys.readouterr()
    server = json.loads(told.out)["servers"][0]
    assert (server["state"], told.err) == ("stopped", "")
    assert server["engines"][0]["samples"] == len(stats_by_hand("h100_optimised"))


def test_a_log_on_standard_error_alone(tmp_path: Path, capsys: Output) -> None:
    docker = stand_in(tmp_path, "docker", f"cat '{log_of('h100_optimised')}' >&2")
    assert main(["export", "--command", f"web={docker} logs vllm", "-o", "-"]) == 0
    assert capsys.readouterr().out.count("\n") == len(stats_by_hand("h100_optimised"))


def test_both_outputs_that_begin_again_are_not_read_twice(tmp_path: Path) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    out.write_text("one\ntwo\n")
    err.write_text("INFO:     Started server process [7]\n")
    docker = stand_in(tmp_path, "docker", f"cat '{out}'; cat '{err}' >&2")
    clock = Clock()
    command = CommandOutput("command:web", [docker], wait=False, clock=clock)
    lines = output(command, 3)
    until(lambda: not list(command.read()) and command.trouble is not None)
    for file, text in ((out, "three\n"), (err, "INFO:     Shutting down\n")):
        with file.open("a") as more:
            more.write(text)
    clock.now += 1.5
    lines += output(command, 2)
    command.close()
    assert sorted(lines) == sorted((out.read_text() + err.read_text()).splitlines())
