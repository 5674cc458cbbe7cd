"""`vllm-watch record` as a process: signals, refusals, what it imports."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import PATIENCE, as_process, until
from tests.serverside.pages import page, plain, serving
from vllm_watch.cli import main


def record(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(as_process("record", *words), stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_records_until_a_signal(tmp_path: Path, number: signal.Signals, code: int) -> None:
    log = tmp_path / "vllm_Tiny-Qwen3_port9101_realtime.log"
    log.write_text("x\n")
    recording = log.with_suffix(".metrics.jsonl")
    with serving(plain(page())) as url:
        process = record(str(log), "--metrics", url, "--every", "0.5s")
        until(lambda: recording.exists() and recording.read_text().count("\n") >= 2, process)
        second = record(str(log), "--metrics", url)
        _, said = second.communicate(timeout=PATIENCE)
        assert second.returncode == 1
        assert said.strip().endswith(
            f"{recording}: another recorder writes this file already; one is enough"
        )
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert said.splitlines() == [f"vllm-watch: records into {recording} every 0.5 s"]
    assert all(json.loads(line)["running"] == 3 for line in recording.read_text().splitlines())


def test_neither_textual_nor_pandas_is_imported() -> None:
    code = (
        "import sys, vllm_watch.serverside.recorder, vllm_watch.serverside.gpus\n"
        "import vllm_watch.cli.record_command, vllm_watch.cli.metricsurl as c\n"
        "import vllm_watch.cli.arguments\n"
        "c.fetcher_of('http://127.0.0.1:9/metrics', 1.0)\n"
        "from vllm_watch.serverside.metricspage import read_page\n"
        "read_page('vllm:num_requests_running 1\\n')\n"
        "print([m for m in ('textual', 'pandas', 'numpy', 'plotext') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["server.log"], "server.log: its name has no port; add --metrics"),
        (["x.log", "--metrics", "ftp://a/metrics"], "--metrics ftp://a/metrics: give an http"),
        (["x.log", "--every", "0"], "--every: must be a time of 0.5s to 1h"),
        (["x.log", "--every", "+10s"], "--every: must be a time"),
    ],
)
def test_refusals(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_no_gpu_on_this_machine_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert main(["record", str(tmp_path / "x.log"), "--gpu"]) == 2
    assert capsys.readouterr().err == (
        "vllm-watch: --gpu needs another package: pip install 'vllm-watch[gpu]'\n"
    )
