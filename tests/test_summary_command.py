"""`summary`, `compare` and `report` on paths that are missing, broken or no logs, and their helpers."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.logs import log_of
from tests.processes import as_process
from vllm_watch.cli import main
from vllm_watch.cli.progress import QUIET_SECONDS, Progress, reading_shown, total_size
from vllm_watch.cli.saying import CommandError
from vllm_watch.cli.writing import path_aside, text_aside
from vllm_watch.core.news import Block
from vllm_watch.sources.paths import find_logs

Output = pytest.CaptureFixture[str]
LOG = log_of("cpu_clean_stop")


def summary(capsys: Output, *words: Path | str, code: int = 0) -> tuple[str, list[str]]:
    assert main(["summary", *map(str, words)]) == code
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert all(line.startswith("vllm-watch: ") for line in lines)
    return out, [line.removeprefix("vllm-watch: ") for line in lines]


def test_nothing_matched(tmp_path: Path, capsys: Output) -> None:
    out, (line,) = summary(capsys, tmp_path / "*.log", code=2)
    assert out == ""
    assert line.startswith(f"{tmp_path}/*.log: matches no file; name a log")


def test_an_empty_path_is_named_as_such(capsys: Output) -> None:
    empty = "an empty path: name a log, a folder or a quoted glob (is a variable unset?)"
    assert summary(capsys, "", code=2) == ("", [empty, "nothing could be read; see above"])
    out, said = summary(capsys, "", log_of("h100_optimised"))
    assert out.startswith("Random-Qwen3-1.7B:8001")
    assert said == [empty]


def test_a_folder_without_logs_is_named_as_such(tmp_path: Path, capsys: Output) -> None:
    _, (line,) = summary(capsys, tmp_path, code=2)
    glob = f"'{tmp_path}/*/*.log'"
    assert (
        line == f"{tmp_path}: the folder has no *.log; name a log or a quoted glob such as {glob}"
    )


def test_half_of_the_files_cannot_be_read(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "a.log").symlink_to(tmp_path / "gone")
    (tmp_path / "b.log").write_bytes(LOG.read_bytes())
    out, (line,) = summary(capsys, tmp_path, "--json", code=1)
    assert line.startswith(f"{tmp_path / 'a.log'}: ")
    servers = json.loads(out)["servers"]
    assert [server["source"] for server in servers] == [str(tmp_path / "b.log")]
    out, lines = summary(capsys, tmp_path / "a.log", code=1)
    assert (out, lines[-1]) == ("", "no vLLM log could be read; see above")


def test_what_is_no_log_of_vllm(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "a.log").write_bytes(b"")
    (tmp_path / "b.log").write_bytes(bytes(range(256)) * 400)
    (tmp_path / "c.log").write_text("hello\n")
    (tmp_path / "c2.log").write_bytes(bytes(3_000_000))
    out, lines = summary(capsys, tmp_path, code=1)
    assert out == ""
    assert lines == [
        f"{tmp_path}/a.log: is empty",
        f"{tmp_path}/b.log: has no vLLM line in 400 lines; is it a vLLM log?",
        f"{tmp_path}/c.log: its only line is not from vLLM; is it a vLLM log?",
        f"{tmp_path}/c2.log: its only line is not from vLLM; is it a vLLM log?",
        "no vLLM log could be read; see above",
    ]
    (tmp_path / "d.log").write_bytes(LOG.read_bytes())
    out, lines = summary(capsys, tmp_path)
    assert out.startswith("Tiny-Qwen3:9101\n")
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("pack", "unpack"), [(gzip.compress, "gunzip"), (bz2.compress, "bunzip2"), (lzma.compress, "unxz")]
)  # fmt: skip
def test_compressed_logs_say_how_to_unpack_them(
    pack: object, unpack: str, tmp_path: Path, capsys: Output
) -> None:
    assert callable(pack)
    log = tmp_path / "a.log.packed"
    log.write_bytes(pack(LOG.read_bytes()))
    out, lines = summary(capsys, log, code=1)
    assert (out, lines[0]) == ("", f"{log}: is compressed; unpack it first: {unpack} -k {log}")


def test_a_log_without_stats_lines_is_summed_up_and_said_so(tmp_path: Path, capsys: Output) -> None:
    log = tmp_path / "a.log"
    lines = LOG.read_text().splitlines(keepends=True)
    log.write_text("".join(line for line in lines if "Avg prompt throughput" not in line))
    out, (line,) = summary(capsys, log)
    assert "unknown: no stats line" in out
    assert line == f"{log}: has no stats line, so there are no figures"


@pytest.mark.parametrize("command", ["summary", "compare"])
def test_a_pipe_closed_early(command: str) -> None:
    words = [str(LOG), str(log_of("cpu_two_engines"))]
    process = subprocess.Popen(
        as_process(command, *words, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=60) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a full device")
def test_a_full_disk_behind_stdout() -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            as_process("summary", LOG),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "vllm-watch: standard output: no space left on device; fix that and try again\n"
    )


def test_json_and_markdown_exclude_each_other(capsys: Output) -> None:
    _, (line,) = summary(capsys, LOG, "--json", "--markdown", code=2)
    assert "not allowed with argument" in line


def test_aside_keeps_what_stood_there_until_all_is_written(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    target.write_text("old")

    def interrupted() -> None:
        with text_aside(target) as file:
            file.write("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (target.read_text(), os.listdir(tmp_path)) == ("old", ["x.txt"])
    with path_aside(target) as aside:
        aside.write_text("new")
        assert target.read_text() == "old"
    assert (target.read_text(), os.listdir(tmp_path)) == ("new", ["x.txt"])
    with pytest.raises(CommandError, match=r"cannot be written: no such file"):
        text_aside(tmp_path / "none" / "x").__enter__()


def test_progress_is_one_line_that_goes_away() -> None:
    now = [0.0]
    screen = io.StringIO()
    progress = Progress(4_000_000, screen, lambda: now[0])
    progress.passed(Block("a", size=1_000_000))
    assert screen.getvalue() == ""  # short reading shows nothing
    now[0] = QUIET_SECONDS
    progress.passed(Block("a", size=1_000_000))
    assert screen.getvalue() == "\rreading: 2 of 4 MB, 50%"
    progress.passed(Block("a", size=1_000_000))
    assert screen.getvalue().count("\r") == 1  # not more often than can be seen
    progress.clear()
    assert screen.getvalue().endswith("\r" + " " * len("reading: 2 of 4 MB, 50%") + "\r")
    assert "\n" not in screen.getvalue()


def test_progress_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_logs([str(LOG)])
    files = (LOG, LOG.with_suffix(".err"))
    assert total_size(found) == sum(file.stat().st_size for file in files)
    with reading_shown(found) as passed:
        assert passed is None
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with reading_shown(found) as passed:
        assert passed is not None


def test_times_are_shown_in_the_zone_that_is_set(
    monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    out, _ = summary(capsys, log_of("h100_optimised"))
    assert "stopped since 08:57:54" in out
    monkeypatch.setenv("VLLM_WATCH_TIME_DISPLAY_TZ", "Asia/Tokyo")
    out, _ = summary(capsys, log_of("h100_optimised"))
    assert "stopped since 17:57:54" in out
    assert "17:52:30 – 17:57:54 JST" in out


def test_what_a_command_does_not_use_is_not_imported() -> None:
    code = (
        "import sys; from vllm_watch.cli import main;"
        f"main(['summary', {str(LOG)!r}, '--json']);"
        "print(*sorted({n.partition('.')[0] for n in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "numpy" in loaded
    assert "pandas" not in loaded
    assert loaded.isdisjoint({"textual", "rich", "plotext", "watchfiles"})
