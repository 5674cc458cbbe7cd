"""`formats` lists the known formats; `formats check` shows the lines that are not read."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.logs import FIXTURES, formats, log_of, read, records_in
from vllm_watch.cli import main
from vllm_watch.core.records import Amendment, Sample
from vllm_watch.locations import builtin_formats_folder, user_formats_folder
from vllm_watch.reports.formatcheck import CLASSES, check_file, shape_of

Output = pytest.CaptureFixture[str]

STATS = (
    "Engine 000: Avg prompt throughput: 1.0 tokens/s, Avg generation throughput: 2.0 tokens/s, "
    "Running: 1 reqs, Waiting: 0 reqs, GPU KV cache usage: 3.0%, Prefix cache hit rate: 0.0%"
)
KNOWN = f"(APIServer pid=1) INFO 11-23 09:00:10 [loggers.py:335] {STATS}"
STRANGE = f"<6> 23.11.2026 09:00:20 loggers#335 | {STATS}"
BUILT_IN = {path.name for path in builtin_formats_folder().glob("*.toml")}
LOGS = sorted(path for path in FIXTURES.glob("*/*") if path.suffix in (".log", ".err"))

MINE = r"""
name = "mine"
title = "Our own launcher \u001b[31mred"
versions = "7"
kind = "envelope"
[[envelope]]
pattern = '''(?P<process>)<\d> (?:\d\d\.){2}\d{4} (?P<level>)(?P<stamp>)(?P<path>)(?P<line>)'''
"""
LAUNCHER = r"""
name = "launcher"
title = "Our launcher"
versions = "7"
kind = "event"
[[event]]
kind = "launched"
bare = true
contains = "launcher: "
pattern = '''^launcher: begins$'''
[[event.sample]]
line = 'launcher: begins'
expect = {}
"""


def run(capsys: Output, *words: str, code: int = 0) -> str:
    assert main(["formats", *words]) == code
    return capsys.readouterr().out


def checked(capsys: Output, *words: str, code: int = 0) -> dict[str, Any]:
    """Return the result of `check --json` for the one file."""
    report = json.loads(run(capsys, "check", "--json", *words, code=code))
    (file,) = report["files"]
    assert isinstance(file, dict)
    return file


def write(path: Path, *lines: str) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def user_file(name: str, text: str) -> Path:
    folder = user_formats_folder()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize("columns", ["60", "100", "250"])
def test_the_list_is_aligned_and_fits(
    columns: str, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = run(capsys).splitlines()
    assert len(lines) == len(BUILT_IN) + 1
    assert all(len(line) <= min(100, int(columns)) for line in lines)
    assert lines[0].split() == ["NAME", "KIND", "SAMPLES", "VERSIONS", "TITLE", "ORIGIN"]
    if columns != "60":
        assert all(line.endswith("built in") for line in lines[1:])
        assert all(line[lines[0].index("KIND") - 1] == " " for line in lines)


def test_the_list_as_json(capsys: Output) -> None:
    entries = json.loads(run(capsys, "--json"))["formats"]
    assert len(entries) == len(BUILT_IN)
    (stats,) = [entry for entry in entries if entry["name"] == "vllm-v1-stats"]
    assert stats == {
        "name": "vllm-v1-stats",
        "kind": "stats",
        "title": stats["title"],
        "versions": stats["versions"],
        "origin": "built in",
        "samples": stats["samples"],
    }
    counted = {
        entry["name"]: entry["samples"] for entry in entries
    }  # grep -c 'sample\]\]' of each file
    for path in builtin_formats_folder().glob("*.toml"):
        text = path.read_text(encoding="utf-8")
        name = text.split('"')[1]
        assert counted[name] == len(re.findall(r"(?m)^\[\[(?:\w+\.)?sample\]\]", text)), name


def test_a_file_of_the_user_is_listed_and_used(capsys: Output, tmp_path: Path) -> None:
    log = write(tmp_path / "a.log", "launcher: begins", KNOWN)
    assert checked(capsys, log)["unread"] == 1
    assert "  1  unread lines: no known format, no known log prefix\n" in run(
        capsys, "check", str(log)
    )
    path = user_file("launcher.toml", LAUNCHER)
    assert json.loads(run(capsys, "--json"))["formats"][-1]["origin"] == str(path)
    last = run(capsys).splitlines()[-1]
    assert last.startswith("launcher ")
    assert last.endswith("launcher.toml")
    assert len(last) <= 100
    file = checked(capsys, log)
    assert (file["unread"], file["events"]) == (0, {"launched": 1})


@pytest.mark.parametrize("words", [[], ["check", "a.log"]])
@pytest.mark.parametrize(
    "text", ["kind = ", MINE, LAUNCHER.replace("^launcher", "^(?:a+)+launcher")]
)
def test_a_broken_file_of_the_user_is_one_line(
    words: list[str], text: str, capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.log", KNOWN)
    path = user_file("broken.toml", text)
    assert main(["formats", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert str(path) in err


@pytest.mark.parametrize("path", LOGS, ids=[f"{p.parent.name}{p.suffix}" for p in LOGS])
def test_every_line_of_the_captures_is_accounted_for(path: Path) -> None:
    raw = path.read_bytes()
    check = check_file(str(path), formats(), twin=path.suffix == ".err", tz=None, words=())
    assert check.trouble is None
    assert check.lines == len(raw.splitlines(keepends=False)) or check.lines == raw.count(b"\n")
    assert sum(check.classes[name] for name in CLASSES) == check.lines
    assert set(check.classes) <= set(CLASSES)
    assert sum(check.kinds.values()) == check.classes["events"]
    assert check.stats_unread == 0
    lines = raw.split(b"\n")
    assert check.classes["stats"] == sum(b"Avg generation throughput: " in line for line in lines)
    assert check.classes["companions"] == sum(b"SpecDecoding metrics: " in line for line in lines)
    assert check.classes["access"] == sum(b' HTTP/1.1" ' in line for line in lines)
    shaped = sum(shape.count for shape in check.shapes.values())
    assert shaped == check.classes["unread"] + check.classes["envelope_only"]


@pytest.mark.parametrize("capture", sorted({path.parent.name for path in LOGS}))
def test_the_check_agrees_with_what_is_read(capture: str) -> None:
    path = log_of(capture)
    records = records_in(read(path).read_once(), twins=False)
    check = check_file(str(path), formats(), twin=False, tz=None, words=())
    assert check.classes["stats"] == sum(isinstance(record, Sample) for record in records)
    assert not any(isinstance(record, Amendment) for record in records)
    kinds = [record.kind for record in records if hasattr(record, "kind")]
    continued = sum(getattr(record, "continues", False) for record in records)
    assert sum(check.kinds.values()) == len(kinds) - continued


def test_all_captures_at_once(capsys: Output) -> None:
    out = run(capsys, "check", str(FIXTURES / "h100_optimised"), str(FIXTURES / "cpu_*" / "*.log"))
    assert out.count("  0  stats lines unread\n") == len(
        re.findall(r"(?m)^\S+: [\d,]+ lines$", out)
    )
    assert out.count(".err: ") == 6
    assert re.search(r"(?m)^ +22  stats lines$", out)


def test_an_unknown_envelope_is_said_and_fails(capsys: Output, tmp_path: Path) -> None:
    log = write(tmp_path / "a.log", KNOWN, STRANGE, STRANGE.replace("1.0", "7.5"), "x 1", "x 2")
    out = run(capsys, "check", log, code=1)
    assert re.search(r"(?m)^ +1  stats lines$", out)
    assert re.search(r"(?m)^ +2  stats lines unread: .*parsers", out)
    assert re.search(r"(?m)^ +2 +2  stats-like! <6> 23\.11\.2026", out)
    file = checked(capsys, log, code=1)
    assert (file["stats"], file["unread"], file["stats_unread"]) == (1, 4, 2)
    assert [(s["count"], s["line"], s["stats_like"]) for s in file["unread_shapes"]] == [
        (2, 2, True),
        (2, 4, False),
    ]


def test_a_stats_line_that_another_file_of_vllm_repeats_is_unread(
    capsys: Output, tmp_path: Path
) -> None:
    log = write(tmp_path / "a.log", KNOWN.replace("loggers.py", "other.py"))
    file = checked(capsys, log, code=1)
    assert (file["stats_unread"], file["unread"], file["envelope_only"]) == (1, 1, 0)


def test_alike_lines_are_one_row(capsys: Output, tmp_path: Path) -> None:
    lines = [f"took {n}.5 s at 0x{n:x} in /data/run{n}/m.bin, id {n:08x}f1" for n in range(500)]
    log = write(tmp_path / "a.txt", "once", *lines)
    out = run(capsys, "check", log)
    assert "501 in 2 shapes\n" in out
    assert "1 in 1 shape\n" in run(capsys, "check", write(tmp_path / "b.txt", "once"))
    assert re.search(r"(?m)^ +500 +2  took 0\.5 s", out)
    assert out.index("took 0.5 s") < out.index("  once")
    assert shape_of(lines[3]) == "took # s at <hex> in <path>, id <hex>"


def test_at_most_twenty_shapes_unless_all_are_wanted(capsys: Output, tmp_path: Path) -> None:
    log = write(tmp_path / "a.log", *("word" + "x" * n for n in range(30)))
    out = run(capsys, "check", log)
    assert out.count("wordx") == 19
    assert "30 in 30 shapes; these are the first 20, --all shows all" in out
    assert run(capsys, "check", log, "--all").count("wordx") == 29
    assert len(checked(capsys, log)["unread_shapes"]) == 20
    assert len(checked(capsys, log, "--all")["unread_shapes"]) == 30


def test_what_lines_can_be(capsys: Output, tmp_path: Path) -> None:
    head = "(APIServer pid=1) {} 11-23 09:00:10 [{}:1] "
    log = write(
        tmp_path / "a.log",
        KNOWN,
        head.format("INFO", "metrics.py") + "SpecDecoding metrics: Mean acceptance length: 2.5",
        '(APIServer pid=1) INFO:     127.0.0.1:1 - "POST /v1/completions HTTP/1.1" 200 OK',
        head.format("INFO", "logger.py") + "Received request cmpl-1: prompt: " + STATS,
        head.format("INFO", "launcher.py") + "Route: /ping, Methods: POST",
        head.format("ERROR", "core.py") + "It failed",
        head.format("ERROR", "core.py") + "  further",
        "Traceback (most recent call last):",
        '  File "a.py", line 1, in <module>',
        "    f()",
        "ValueError: no",
        "",
        "(APIServer pid=1) ",
        head.format("INFO", "odd.py") + "A new wording 1",
        head.format("WARNING", "odd.py") + "Traceback (most recent call last):",
        head.format("WARNING", "odd.py") + '  File "x"',
        "nothing that we know",
        "INFO:     Application startup complete.",
    )
    file = checked(capsys, log)
    assert {name: file[name] for name in CLASSES} == {
        "stats": 1,
        "companions": 1,
        "access": 1,
        "events": {"error": 1, "ready": 1, "traceback": 1},
        "envelope_only": 2,
        "opaque": 1,
        "known": 1,
        "continuations": 5,
        "blank": 2,
        "unread": 1,
    }
    assert [s["example"] for s in file["unread_shapes"]] == ["nothing that we know"]
    assert file["message_shapes"][0]["example"] == "odd.py: A new wording 1"
    assert file["stats_unread"] == 0


def test_parts_of_stats_lines_that_are_not_read_are_listed(capsys: Output, tmp_path: Path) -> None:
    drafts = (
        "SpecDecoding metrics: Mean acceptance length: 2.5, "
        "Per-position acceptance rate: 0.8, 0.7, Drafted: 9 tokens"
    )
    sglang = "[2026-11-23 09:00:30] Decode batch. #running-req: 2, token usage: 0.35, #token: 20"
    log = write(
        tmp_path / "a.log",
        KNOWN,
        KNOWN.replace(", GPU", ", Parked slots: 3, GPU"),
        KNOWN.replace("1 reqs", "1 reqs (2 paused)") + ", Parked slots: 14",
        KNOWN.replace(STATS, drafts).replace("loggers.py", "metrics.py"),
        sglang,
    )
    file = checked(capsys, log)
    assert [(s["count"], s["line"], s["shape"], s["example"]) for s in file["part_shapes"]] == [
        (2, 2, "Parked slots: #", "Parked slots: 3"),
        (1, 3, "(# paused)", "(2 paused)"),
        (1, 4, "Per-position acceptance rate: #, #", "Per-position acceptance rate: 0.8, 0.7"),
        (1, 4, "Drafted: # tokens", "Drafted: 9 tokens"),
        (1, 5, "#token: #", "#token: 20"),
    ]
    out = run(capsys, "check", log)
    assert "parts of stats lines that are not read: 6 in 5 shapes" in out
    assert re.search(r"(?m)^ +2 +2  Parked slots: 3$", out)
    log = write(tmp_path / "b.log", *(f"{KNOWN}, {'x' * n}: 1" for n in range(1, 31)))
    assert run(capsys, "check", log).count("x: 1") == 20
    assert run(capsys, "check", log, "--all").count("x: 1") == 30
    assert checked(capsys, log)["part_shapes_total"] == 30


def test_json_logs_are_unwrapped(capsys: Output, tmp_path: Path) -> None:
    entry = {
        "asctime": "2026-11-23 09:31:01,925",
        "levelname": "INFO",
        "name": "vllm.v1.metrics.loggers",
        "message": STATS,
    }
    log = write(tmp_path / "a.log", json.dumps(entry), json.dumps(entry | {"message": "odd 1"}))
    file = checked(capsys, log)
    assert (file["stats"], file["envelope_only"], file["unread"]) == (1, 1, 0)


def test_nothing_in_a_log_acts(
    capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    path = tmp_path / "a\x1b[31m.log"
    path.write_bytes(
        b"\x1b]0;owned\x07 title \x1b[2J\x9b31m \xc2\x9b31m \xe2\x80\xae rtl \xe2\x80\xa8 \xff\x08\n"
        + "宽".encode() * 300
        + b"\n"
        + b"\0" * 50
        + b"\n[bold]x[/bold] "
        + b"y" * 100_000
    )
    out = run(capsys, "check", str(path))
    assert all(c.isprintable() or c == "\n" for c in out)
    rows = [line for line in out.splitlines() if re.match(r" +1 +[0-9]+  ", line)]
    assert len(rows) == 3
    assert all(sum(2 if c == "宽" else 1 for c in line) <= 80 for line in rows)
    assert all(len(line) <= 80 for line in rows if "宽" not in line)
    raw = run(capsys, "check", "--json", str(path))
    assert raw.isascii()
    assert all(c.isprintable() or c == "\n" for c in raw)


def test_what_is_not_there(capsys: Output, tmp_path: Path) -> None:
    for words in (["check", str(tmp_path / "no*.log")], ["check"], ["chek", "a.log"]):
        assert main(["formats", *words]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1


def test_a_file_that_cannot_be_read_fails(capsys: Output, tmp_path: Path) -> None:
    (tmp_path / "gone.log").symlink_to(tmp_path / "nowhere")
    assert main(["formats", "check", str(tmp_path)]) == 1
    assert "gone.log" in capsys.readouterr().err


def test_an_empty_log_and_a_last_line_without_its_end(capsys: Output, tmp_path: Path) -> None:
    (tmp_path / "e.log").touch()
    assert checked(capsys, str(tmp_path / "e.log"))["lines"] == 0
    (tmp_path / "b.log").write_text(f"x\n{KNOWN}")
    file = checked(capsys, str(tmp_path / "b.log"))
    assert (file["lines"], file["stats"]) == (2, 1)


def test_a_leap_day_is_read_as_when_it_is_exported(capsys: Output, tmp_path: Path) -> None:
    (tmp_path / "capture.toml").write_text('year = 2024\ntz = "UTC"\n')
    log = write(tmp_path / "a.log", KNOWN.replace("11-23", "02-29"))
    assert checked(capsys, log)["stats"] == 1


def test_options_stand_before_and_behind_check(capsys: Output) -> None:
    log = str(log_of("cpu_one_file"))
    first = run(capsys, "--json", "--tz", "UTC", "check", log)
    assert first == run(capsys, "check", "--json", log, "--tz", "UTC")
    assert main(["formats", "--tz", "Mars", "check", log]) == 2
    assert main(["formats", "check", log, "--tz", "Mars"]) == 2


def test_the_help_of_check_shows_an_example(capsys: Output) -> None:
    with pytest.raises(SystemExit):
        main(["formats", "check", "--help"])
    assert "example: vllm-watch formats check " in capsys.readouterr().out


def test_an_output_that_knows_only_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(buffer, "ascii", write_through=True))
    assert main(["formats"]) == 0
    assert b"vllm-v1-stats" in buffer.getvalue()
