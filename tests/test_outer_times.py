"""Since when a server is dead or fails, where only a wrapper says when the line was written."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.logs import read
from tests.summaries import summary_of
from vllm_watch.cli import main
from vllm_watch.config import Settings
from vllm_watch.health.monitor import Monitor
from vllm_watch.ingest import ReadOptions

STATS = (
    "[loggers.py:310] Engine 000: Avg prompt throughput: 1.0 tokens/s, Avg generation throughput: "
    "%d.0 tokens/s, Running: %d reqs, Waiting: 0 reqs, GPU KV cache usage: 5.0%%, Prefix cache hit "
    "rate: 6.0%%"
)
FAILED = 'INFO:     10.0.0.7:41234 - "POST /v1/completions HTTP/1.1" 500 Internal Server Error'
BERLIN = timezone(timedelta(hours=1))
NOW = datetime(2026, 11, 23, 9, 18, tzinfo=UTC).timestamp()
Wrapper = Callable[[datetime], str]
WRAPPERS: dict[str, Wrapper] = {
    "docker compose logs -t": lambda at: at.strftime("vllm-1  | %Y-%m-%dT%H:%M:%S.331095044Z "),
    "kubectl logs --timestamps": lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.9Z "),
    "journalctl": lambda at: at.astimezone(BERLIN).strftime("%b %d %H:%M:%S gpu vllm[8707]: "),
    "ts": lambda at: at.astimezone(BERLIN).strftime("%b %d %H:%M:%S "),
    "a supervisor": lambda at: at.strftime("%Y-%m-%d %H:%M:%S.604 [Info] (Process) "),
}


def log(wrapper: Wrapper, lines: list[tuple[str, str]]) -> str:
    """Lines behind a wrapper, each with its time; `{}` is vLLM's stamp."""
    made = []
    for clock, text in lines:
        at = datetime.fromisoformat(f"2026-11-23T{clock}+00:00")
        made.append(wrapper(at) + text.replace("{}", at.strftime("%m-%d %H:%M:%S")))
    return "\n".join(made) + "\n"


STARTED = [
    ("08:50:00", "(APIServer pid=7) INFO {} [api_server.py:1839] vLLM API server version 0.11.0"),
    ("08:51:00", "(APIServer pid=7) INFO {} [api_server.py:1912] Starting vLLM server on http://a"),
    ("08:51:02", "(APIServer pid=7) INFO:     Application startup complete."),
    *(
        (f"08:5{m}:10", "(APIServer pid=7) INFO {} " + STATS % (9 * (m < 6), m < 6))
        for m in (4, 5, 6)
    ),
]
"""Idle since 08:56:10: vLLM writes no further line with a stamp."""
KILLED = [*STARTED, ("09:17:05", "Killed")]
FAULT = [
    ("09:17:05", "(EngineCore_DP0 pid=9) Traceback (most recent call last):"),
    ("09:17:05", '(EngineCore_DP0 pid=9)   File "core.py", line 1, in run'),
    ("09:17:06", "(EngineCore_DP0 pid=9) torch.OutOfMemoryError: CUDA out of memory."),
    ("09:17:09", "Killed"),
]


def write(folder: Path, text: str, name: str = "a.log") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_an_idle_server_was_killed_when_the_wrapper_says(
    wrapper: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, log(WRAPPERS[wrapper], KILLED))
    server = summary_of(capsys, path, "--tz", "UTC")
    assert server["state"] == "dead"
    assert server["state_since"] == "2026-11-23T09:17:05+00:00"
    assert server["last"] == "2026-11-23T09:17:05+00:00"
    assert server["first"] == "2026-11-23T08:50:00+00:00"
    assert server["ready_after_s"] == 60.0
    (dead,) = [one for one in server["findings"] if one["id"] == "server-dead"]
    assert dead["since"] == "2026-11-23T09:17:05+00:00"


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_the_errors_of_an_idle_server_have_their_own_time(
    wrapper: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [*STARTED, ("09:10:01", FAILED), ("09:10:03", FAILED), ("09:30:00", FAILED)]
    path = write(tmp_path, log(WRAPPERS[wrapper], lines))
    assert main(["export", "--events", "-o", "-", "--tz", "UTC", str(path)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    failed = [(row["time"], row["text"]) for row in rows if row["kind"] == "http_errors"]
    assert failed == [
        ("2026-11-23T09:10:01+00:00", "2 requests answered 500 at /v1/completions"),
        ("2026-11-23T09:30:00+00:00", "1 request answered 500 at /v1/completions"),
    ]


def test_vllm_and_its_wrapper_have_different_zones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The wrapper writes UTC and names it, vLLM writes eight hours later: its zone is known."""
    east = timezone(timedelta(hours=8))
    text = log(WRAPPERS["kubectl logs --timestamps"], KILLED)
    for clock in [clock for clock, text_of in STARTED if "{}" in text_of]:
        at = datetime.fromisoformat(f"2026-11-23T{clock}+00:00")
        text = text.replace(f" {at:%m-%d %H:%M:%S} ", f" {at.astimezone(east):%m-%d %H:%M:%S} ")
    assert "11-23 16:56:10" in text
    server = summary_of(capsys, write(tmp_path, text))
    assert server["state_since"] == "2026-11-23T17:17:05+08:00"
    assert server["last"] == server["state_since"]


def test_a_death_in_the_err_file_has_its_wrapper_s_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrapper = WRAPPERS["kubectl logs --timestamps"]
    path = write(tmp_path, log(wrapper, STARTED), "vllm_M_port8000_realtime.log")
    write(tmp_path, log(wrapper, FAULT), "vllm_M_port8000_realtime.err")
    server = summary_of(capsys, path, "--tz", "UTC")
    assert server["state"] == "dead"
    assert server["state_why"] == "OutOfMemoryError: CUDA out of memory."
    assert server["state_since"] == "2026-11-23T09:17:09+00:00"


def test_further_lines_without_a_stamp_do_not_take_a_failed_start_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only a line that vLLM stamped shows that the start-up went on after a traceback."""
    wrapper = WRAPPERS["docker compose logs -t"]
    first = [("08:50:20", text) for _, text in FAULT[:2]]
    second = [("08:50:45", text) for _, text in FAULT[:2]]
    text = "(APIServer pid=7) ValueError: no such model"
    lines = [STARTED[0], *first, ("08:50:20", text), *second, ("08:50:45", text)]
    server = summary_of(capsys, write(tmp_path, log(wrapper, lines)), "--tz", "UTC")
    assert (server["state"], server["state_since"]) == ("dead", "2026-11-23T08:50:20+00:00")
    server = summary_of(capsys, write(tmp_path, log(wrapper, [*lines, STARTED[1]])), "--tz", "UTC")
    assert server["state"] == "ready"


def test_a_server_that_goes_on_generating_was_not_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [*KILLED, ("09:30:00", "(APIServer pid=7) INFO {} " + STATS % (9, 1))]
    path = write(tmp_path, log(WRAPPERS["ts"], lines))
    assert summary_of(capsys, path, "--tz", "UTC")["state"] != "dead"


def test_the_event_is_placed_exactly_not_about(tmp_path: Path) -> None:
    monitor = Monitor(Settings())
    for news in read(write(tmp_path, log(WRAPPERS["ts"], KILLED))).read_once():
        monitor.apply(news)
    (server,) = monitor.store.servers.values()
    at, kept = [*server.run.placed()][-1]
    assert kept.event.kind == "killed"
    assert at == datetime(2026, 11, 23, 9, 17, 5, tzinfo=UTC).timestamp()
    assert not kept.about


BAR = "Processed prompts: %3d%%|██████    | %d/2000 [05:02<37:40,  1.29s/it, est. speed input: 4.1 toks/s, output: 1.0 toks/s]"
OFFLINE = [
    ("08:50:00", "INFO {} [utils.py:253] non-default args: {'disable_log_stats': True, 'model': 'n/A'}"),
    ("08:51:00", "(EngineCore_DP0 pid=9) INFO {} [core.py:259] init engine (profile, create kv cache, warmup model) took 60.02 seconds"),
    ("09:20:00", BAR % (12, 240)),
    ("09:33:20", BAR % (100, 2000)),
]  # fmt: skip
"""A run of `LLM` without a server: after its start-up only progress bars."""


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_run_without_a_server_lasts_until_its_last_bar(
    wrapper: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, log(WRAPPERS[wrapper], OFFLINE))
    server = summary_of(capsys, path, "--tz", "UTC")
    assert (server["state"], server["state_since"]) == ("finished", "2026-11-23T09:33:20+00:00")
    path = write(tmp_path, log(WRAPPERS[wrapper], OFFLINE[:-1]))
    server = summary_of(capsys, path, "--tz", "UTC")
    assert (server["state"], server["last"]) == ("ended", "2026-11-23T09:20:00+00:00")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_rotated_log_keeps_the_clock_of_its_wrapper(
    wrapper: str, seed: int, tmp_path: Path
) -> None:
    """The newest line with both stamps is in the file that was moved away."""
    chance, path = random.Random(seed), tmp_path / "a.log"
    before, after = (log(WRAPPERS[wrapper], part).encode() for part in (STARTED, FAULT))
    options = ReadOptions(tz=UTC, live=True, events=False, now=lambda: NOW)
    path.write_bytes(before)
    ingest = read(path, options=options)
    ingest.discover()
    reader = ingest.reader(str(path))
    assert reader is not None
    monitor = Monitor(Settings())
    for news in reader.read():
        monitor.apply(news)
    path.rename(tmp_path / "a.log.1")
    path.touch()
    while after:
        size = chance.randrange(1, 90)
        with path.open("ab") as file:
            file.write(after[:size])
        after = after[size:]
        for news in reader.read():
            monitor.apply(news)
    ingest.close()
    (server,) = monitor.store.servers.values()
    died = datetime(2026, 11, 23, 9, 17, 5, tzinfo=UTC).timestamp()
    assert [at for at, _ in server.run.placed()][-2:] == [died, died + 4]
