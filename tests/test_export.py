"""`export`: records, files, messages, and following a log as it grows."""

from __future__ import annotations

import json
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.core.test_metrics import RECORD
from tests.failing import denied, full
from tests.logs import log_of, rows_of, stats_by_hand
from tests.processes import as_process
from vllm_watch.cli import main
from vllm_watch.core.news import Block, ZoneFound
from vllm_watch.core.records import Sample

Output = pytest.CaptureFixture[str]

ROOT = Path(__file__).parents[1]

KEYS = ["time", "server", "source", "run", "engine", *RECORD]
"""The columns that scripts read, word for word: new ones may be added, none removed or moved."""
ALL = json.loads((ROOT / "docs/schemas/sample.json").read_text(encoding="utf-8"))["required"]
COUNTS = ("running", "waiting")
LOG = log_of("cpu_clean_stop")


def export(capsys: Output, *words: Path | str, code: int = 0) -> tuple[list[str], list[str]]:
    """Run an export; return the lines of stdout and of stderr."""
    assert main(["export", *map(str, words)]) == code
    out, err = capsys.readouterr()
    assert all(line.startswith("vllm-watch: ") for line in err.splitlines())
    return out.splitlines(), err.splitlines()


@pytest.mark.parametrize("capture", ["cpu_clean_stop", "cpu_two_engines", "cpu_spec_decode_colour"])
def test_the_record_of_a_sample(capture: str, capsys: Output) -> None:
    out, err = export(capsys, log_of(capture), "-o", "-")
    by_hand = stats_by_hand(capture)
    assert len(out) == len(by_hand)
    assert err == []
    for line, expected in zip(out, by_hand, strict=True):
        row = json.loads(line)
        assert [key for key in row if key in KEYS] == KEYS
        assert list(row) == ALL, "if docs/schemas/sample.json is out of date, run `make reference`"
        assert row["source"] == str(log_of(capture))
        assert re.fullmatch(r"Tiny-Qwen3:\d+", row["server"])
        assert {key: row[key] for key in expected} == expected
        assert all(row[key] is None for key in RECORD[6:] if key not in expected)
        for count in COUNTS:
            assert type(row[count]) is int
        assert type(row["run"]) is int
        assert datetime.fromisoformat(row["time"]).utcoffset() is not None


def test_the_time_carries_the_offset_of_the_zone_given(capsys: Output) -> None:
    out, _ = export(capsys, LOG, "-o", "-", "--tz", "America/New_York")
    clock = stats_by_hand("cpu_clean_stop")[0]["time"]
    assert json.loads(out[0])["time"] == str(clock).replace("+00:00", "-05:00")


def test_a_file_holds_what_stdout_would(tmp_path: Path, capsys: Output) -> None:
    out, _ = export(capsys, LOG, "-o", "-")
    target = tmp_path / "samples.jsonl"
    target.write_text("what stood there before")
    assert export(capsys, LOG, "-o", target) == ([], [])
    assert target.read_text().splitlines() == out
    assert os.listdir(tmp_path) == ["samples.jsonl"]
    umask = os.umask(0)
    os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.mkstemp", denied)
    target = tmp_path / "x.jsonl"
    out, err = export(capsys, LOG, "-o", target, code=1)
    assert (out, err) == ([], [f"vllm-watch: {target}: cannot be written: permission denied"])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("what", ["no folder", "is a folder", "fails half-way"])
def test_nothing_is_left_of_a_file_that_could_not_be_written(
    what: str, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "x.jsonl"
    left = []
    if what == "no folder":
        target = tmp_path / "absent" / "x.jsonl"
    elif what == "is a folder":
        target.mkdir()
        left = ["x.jsonl"]
    else:
        monkeypatch.setattr("vllm_watch.reports.pieces.json_line", full)
    _, err = export(capsys, LOG, "-o", target, code=1)
    assert len(err) == 1
    assert str(target) in err[0]
    assert os.listdir(tmp_path) == left


@pytest.mark.parametrize("name", ["x.xlsx", "x", "x.json", "jsonl"])
def test_a_wrong_ending_is_refused(name: str, tmp_path: Path, capsys: Output) -> None:
    out, err = export(capsys, LOG, "-o", tmp_path / name, code=2)
    assert out == []
    assert len(err) == 1
    assert name in err[0]
    assert ".jsonl" in err[0]
    assert os.listdir(tmp_path) == []


def test_a_path_that_is_not_there(tmp_path: Path, capsys: Output) -> None:
    out, err = export(capsys, tmp_path / "absent.log", "-o", "-", code=2)
    assert out == []
    assert len(err) == 1
    assert str(tmp_path / "absent.log") in err[0]
    out, err = export(capsys, tmp_path / "absent.log", LOG, "-o", "-")
    assert len(out) == 5
    assert len(err) == 1


def test_following_writes_to_stdout_only(tmp_path: Path, capsys: Output) -> None:
    _, err = export(capsys, LOG, "-o", tmp_path / "x.jsonl", "--follow", code=2)
    assert len(err) == 1


STRANGE = {
    "empty": b"",
    "binary": bytes(random.Random(1).randrange(256) for _ in range(9000)),
    "binary without line ends": b"\x00\xff\x80" * 3000,
    "foreign": b"2026-11-23 09:00:00 nginx started\n" * 20,
    "without samples": b"INFO 11-23 09:00:00 [model.py:623] Resolved architecture: Qwen3ForCausalLM\n",
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_log_without_samples_is_reported_and_the_others_are_exported(
    kind: str, tmp_path: Path, capsys: Output
) -> None:
    strange = tmp_path / "strange.log"
    strange.write_bytes(STRANGE[kind])
    out, err = export(capsys, strange, LOG, "-o", "-")
    assert len(out) == 5
    assert len(err) == 1, err
    assert str(strange) in err[0]


def test_a_log_of_one_foreign_line(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "a.log").write_text("hello\n", encoding="utf-8")
    _, err = export(capsys, tmp_path / "a.log", "-o", "-")
    assert err == [
        f"vllm-watch: {tmp_path}/a.log: its only line is not from vLLM; is it a vLLM log?"
    ]


def test_a_log_that_cannot_be_read_is_a_failure_and_the_others_are_exported(
    tmp_path: Path, capsys: Output
) -> None:
    pipe = tmp_path / "pipe.log"
    os.mkfifo(pipe)
    out, err = export(capsys, pipe, LOG, "-o", "-", code=1)
    assert len(out) == 5
    assert len(err) == 1
    assert err[0].startswith(f"vllm-watch: {pipe}: is a pipe")


@pytest.mark.parametrize("stem", ["caf\udce9", "ümläut", "a\nb", "a[1] 'b\"", "-x", "\u202egpj"])
def test_odd_names(stem: str, tmp_path: Path, capsys: Output) -> None:
    path = os.path.join(str(tmp_path), stem + ".log")
    with open(os.fsencode(path), "wb") as file:
        file.write(LOG.read_bytes())
    target = tmp_path / "out.jsonl"
    assert main(["export", path, "-o", str(target)]) == 0
    assert capsys.readouterr().err == ""
    rows = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert {row["source"] for row in rows} == {path}
    os.truncate(os.fsencode(path), 0)
    assert main(["export", path, "-o", str(target)]) == 0
    assert capsys.readouterr().err.count("\n") == 1


def command(*words: Path | str) -> list[str | bytes]:
    return as_process("export", *words)


def test_a_reader_that_has_enough(tmp_path: Path) -> None:
    """`vllm-watch export … | head -1` prints no error."""
    log = tmp_path / "a.log"
    log.write_bytes(LOG.read_bytes() * 200)  # more than a pipe holds
    with subprocess.Popen(
        command(log, "-o", "-"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"time":')
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(20) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk_behind_stdout() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command(LOG, "-o", "-"), stdout=full, stderr=subprocess.PIPE, check=False, timeout=60
        )
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"no space left on device" in done.stderr


def test_a_pipe_that_is_filled_slowly() -> None:
    with subprocess.Popen(
        command("-", "-o", "-"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        data = LOG.read_bytes()
        for start in range(0, len(data), 4000):
            process.stdin.write(data[start : start + 4000])
            process.stdin.flush()
            time.sleep(0.02)
        out, err = process.communicate(timeout=20)
    assert len(out.splitlines()) == 5
    assert err == b""
    assert process.returncode == 0


class Following:
    """`export --follow` as a separate process."""

    def __init__(self, *words: Path | str) -> None:
        self.process = subprocess.Popen(
            command(*words, "-o", "-", "--follow"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A parent that ignores it would pass that on to its child.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self.lines: queue.Queue[bytes] = queue.Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(b"")  # it has ended: waiting for more fails at once

    def rows(self, count: int) -> list[dict[str, object]]:
        """Wait for so many rows."""
        return [json.loads(self.lines.get(timeout=20)) for _ in range(count)]

    def interrupt(self) -> tuple[int, float, bytes]:
        """Return exit code, seconds until the end, and the messages."""
        assert self.process.stderr is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(20)
        took = time.monotonic() - began
        self.reader.join(20)
        return code, took, self.process.stderr.read()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


def generation(rows: list[dict[str, object]]) -> list[object]:
    return [row["generation_tps"] for row in rows]


@pytest.mark.parametrize("events", [True, False])
def test_following_writes_every_sample_once_until_interrupted(
    events: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_WATCH_WATCH_POLL_SECONDS", "0.1")
    monkeypatch.setenv("VLLM_WATCH_WATCH_EVENTS", str(events).lower())
    capture = "cpu_spec_decode_colour"
    expected = stats_by_hand(capture)
    data = log_of(capture).read_bytes()
    log = tmp_path / "vllm_Tiny-Qwen3_port9104_realtime.log"
    middle = data.index(b"\n", len(data) // 3) + 1
    log.write_bytes(data[:middle])
    rng = random.Random(7)

    def write() -> None:
        rest = data[middle:]
        while rest:
            cut = rng.randint(1, 3000)
            with log.open("ab") as file:
                file.write(rest[:cut])
            rest = rest[cut:]
            time.sleep(0.005)

    following = Following(log)
    try:
        begun = following.rows(1)
        writer = threading.Thread(target=write)
        writer.start()
        rows = begun + following.rows(len(expected) - 1)
        writer.join()
        code, took, said = following.interrupt()
        assert following.lines.get(timeout=20) == b""
    finally:
        following.close()
    assert generation(rows) == [row["generation_tps"] for row in expected]
    assert [row["engine"] for row in rows] == [row["engine"] for row in expected]
    assert (code, said) == (130, b"")
    assert took < 1


def test_following_waits_for_a_log_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_WATCH_WATCH_POLL_SECONDS", "0.1")
    pattern = f"{tmp_path}/*.log"
    following = Following(pattern)
    try:
        assert following.process.stderr is not None
        said = following.process.stderr.readline().decode()
        assert said == f"vllm-watch: {pattern}: matches no file yet; waiting for one\n"
        shutil.copy(LOG, tmp_path / "a.log")
        rows = following.rows(5)
        code, _, rest = following.interrupt()
    finally:
        following.close()
    assert generation(rows) == [row["generation_tps"] for row in stats_by_hand("cpu_clean_stop")]
    assert (code, rest) == (130, b"")


def test_a_sample_that_is_held_moves_with_the_zone() -> None:
    """A row waits for its companion lines; if the zone is found meanwhile, its time changes."""
    noon = datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp()
    east = timezone(timedelta(hours=2))
    held = Block("a.log", (Sample(noon + 7200, 0, {}),))
    found = ZoneFound("a.log", east, shift=-7200.0)
    more = Block("a.log", (Sample(noon + 10, 0, {}),))
    times = [row["time"] for row in rows_of([held, found, more])]
    assert times == ["2026-11-23T14:00:00+02:00", "2026-11-23T14:00:10+02:00"]
