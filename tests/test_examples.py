"""The example scripts: clean by shellcheck, and run as jobs with a stand-in server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import alive
from tests.serverside.servers import free_port, written_pids

ROOT = Path(__file__).parents[1]
JOBS = ROOT / "examples/jobs"
SERVER = ROOT / "tests/serverside/fakeserver.py"
SCRIPTS = ("server.pbs", "server.slurm", "tmux.sh")


@pytest.fixture(name="port")
def a_free_port() -> int:
    return free_port()


def run_job(script: str, folder: Path, port: int, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(JOBS / script)],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "MODEL": "org/Tiny",
            "PORT": str(port),
            "LOGS": "pbs_results",
            "VLLM": f"{sys.executable} {SERVER}",
            "CLIENT": "sleep 1",
            "CHECK_EVERY": "1",
            **more,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_shellcheck_finds_nothing() -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    scripts = [str(JOBS / name) for name in SCRIPTS]
    done = subprocess.run(
        [str(shellcheck), "-s", "bash", *scripts], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("script", ["server.pbs", "server.slurm"])
def test_a_job_serves_looks_on_the_way_sums_up_and_leaves_nothing(
    script: str, tmp_path: Path, port: int
) -> None:
    client = tmp_path / "client.sh"
    client.write_text("sleep 2\nexit 3\n")  # it still works when the job looks first
    done = run_job(script, tmp_path, port, CLIENT=f"bash {client}")
    assert done.returncode == 3, done.stderr  # the client's own
    told = done.stdout + "".join(p.read_text() for p in tmp_path.glob("pbs_results/*_pbs.out"))
    assert "VLLM OK - org_Tiny" in told
    assert "generated, " in told
    names = {path.name.partition("_realtime")[2] for path in tmp_path.glob("pbs_results/*")}
    assert {".log", ".err", ".metrics.jsonl"} <= names
    assert not [pid for pid in written_pids(tmp_path) if alive(pid)]


@pytest.mark.slow
@pytest.mark.parametrize("script", ["server.pbs", "server.slurm"])
def test_a_job_whose_server_dies_ends_with_the_reason(
    script: str, tmp_path: Path, port: int
) -> None:
    done = run_job(script, tmp_path, port, FLAGS="--behave oom")
    assert done.returncode == 1
    told = done.stderr + "".join(p.read_text() for p in tmp_path.glob("pbs_results/*_pbs.err"))
    assert "CUDA out of memory" in told
