"""`export`: CSV, Parquet, events, steps and spans, read back with the usual libraries."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean

import jsonschema
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.logs import FIXTURES, log_of, stats_by_hand
from tests.processes import as_process
from vllm_watch.cli import main

Output = pytest.CaptureFixture[str]
SCHEMAS = Path(__file__).parents[1] / "docs" / "schemas"
OPTIMISED = log_of("h100_optimised")
TWO = log_of("cpu_two_engines")


def export(target: Path, *words: Path | str, code: int = 0) -> Path:
    """Export to a file and return it."""
    assert main(["export", *map(str, words), "-o", str(target)]) == code
    return target


def lines(capsys: Output, *words: Path | str, code: int = 0) -> list[dict[str, object]]:
    """Export to stdout and return the records."""
    assert main(["export", *map(str, words), "-o", "-"]) == code
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("capture", ["h100_optimised", "cpu_two_engines", "cpu_spec_decode_colour"])
def test_csv_holds_what_the_log_says(capture: str, tmp_path: Path) -> None:
    target = export(tmp_path / "x.csv", log_of(capture))
    frame = pd.read_csv(target, parse_dates=["time"], dtype={"engine": str})
    expected = pd.DataFrame(stats_by_hand(capture))
    assert len(frame) == len(expected)
    assert list(frame["engine"]) == [str(n) for n in expected["engine"]]
    assert list(frame["time"]) == list(pd.to_datetime(expected["time"]))
    for name in expected.columns.drop(["time", "engine"]):
        values, by_hand = frame[name], expected[name]
        assert values.dropna().tolist() == by_hand.dropna().tolist()
        assert values.isna().tolist() == by_hand.isna().tolist()
    assert frame["swapped"].isna().all()


@pytest.mark.parametrize("capture", ["h100_optimised", "cpu_two_engines", "cpu_spec_decode_colour"])
def test_parquet_holds_what_the_log_says_in_the_right_types(capture: str, tmp_path: Path) -> None:
    table = pq.read_table(export(tmp_path / "x.parquet", log_of(capture)))
    expected = stats_by_hand(capture)
    types = dict(zip(table.schema.names, table.schema.types, strict=True))
    assert types["time"] == pa.timestamp("us", tz="UTC")
    assert types["run"] == pa.int32()
    assert types["engine"] == pa.string()
    for name in ("running", "waiting", "swapped", "preemptions"):
        assert types[name] == pa.int64()
    assert types["kv_cache_usage"] == types["generation_tps"] == pa.float64()
    rows = table.to_pylist()
    assert len(rows) == len(expected)
    for row, by_hand in zip(rows, expected, strict=True):
        assert row["engine"] == str(by_hand["engine"])
        assert row["time"] == datetime.fromisoformat(str(by_hand["time"]))
        figures = {k: v for k, v in by_hand.items() if k not in ("engine", "time")}
        assert {name: row[name] for name in figures} == figures
        assert row["swapped"] is None


def test_the_zone_of_parquet_is_the_logs_own(tmp_path: Path) -> None:
    target = tmp_path / "x.parquet"
    schema = pq.read_table(export(target, OPTIMISED, "--tz", "America/New_York")).schema
    assert schema.field("time").type == pa.timestamp("us", tz="-05:00")


def test_the_forms_agree(tmp_path: Path, capsys: Output) -> None:
    """pandas reads the same from all three."""
    jsonl = pd.read_json(export(tmp_path / "x.jsonl", TWO), lines=True, dtype={"engine": str})
    table = pd.read_csv(export(tmp_path / "x.csv", TWO), dtype={"engine": str})
    parquet = pd.read_parquet(export(tmp_path / "x.parquet", TWO))
    assert list(jsonl.columns) == list(table.columns) == list(parquet.columns)
    for name in ("generation_tps", "running", "kv_cache_usage", "engine", "server"):
        assert jsonl[name].tolist() == table[name].tolist() == parquet[name].tolist()


def test_steps_are_means_by_hand(capsys: Output) -> None:
    steps = lines(capsys, TWO, "--resample", "30s")
    groups: dict[tuple[datetime, int], list[dict[str, float | int | str]]] = defaultdict(list)
    for row in stats_by_hand("cpu_two_engines"):
        at = datetime.fromisoformat(str(row["time"]))
        begin = at.replace(second=at.second // 30 * 30)
        groups[begin, int(row["engine"])].append(row)
    assert [(step["time"], step["engine"]) for step in steps] == [
        (begin.isoformat(), engine) for begin, engine in sorted(groups)
    ]
    for step, key in zip(steps, sorted(groups), strict=True):
        group = groups[key]
        assert step["samples"] == len(group)
        for name in ("generation_tps", "running", "kv_cache_usage"):
            mean = fmean(float(row[name]) for row in group)
            assert step[name] == pytest.approx(mean, abs=1e-6)
        assert step["swapped"] is None


def test_gaps_stay_gaps_and_counts_are_summed(tmp_path: Path, capsys: Output) -> None:
    line = (
        "INFO 11-23 {} [loggers.py:248] Engine 000: Avg prompt throughput: 1.0 tokens/s, "
        "Avg generation throughput: {} tokens/s, Running: {} reqs, Waiting: 0 reqs, "
        "Preemptions: {}, GPU KV cache usage: 1.0%, Prefix cache hit rate: 0.0%\n"
    )
    log = tmp_path / "a.log"
    log.write_text(
        line.format("09:00:10", 10.0, 1, 7)
        + line.format("09:00:20", 20.0, 2, 5)
        + line.format("09:05:00", 40.0, 3, 1)
    )
    first, second = lines(capsys, log, "--resample", "1min")
    assert (str(first["time"])[11:19], str(second["time"])[11:19]) == ("09:00:00", "09:05:00")
    assert (first["generation_tps"], first["running"], first["preemptions"]) == (15.0, 1.5, 12)
    assert (second["samples"], second["preemptions"]) == (1, 1)


def test_steps_begin_on_the_hour_of_the_logs_zone(capsys: Output) -> None:
    (step,) = lines(capsys, OPTIMISED, "--resample", "1h", "--tz", "+05:30")
    assert step["time"] == "2026-11-23T08:00:00+05:30"


@pytest.mark.parametrize(
    ("words", "low", "high"),
    [
        (["--since", "08:56"], "08:56:00", "08:57:50"),
        (["--until", "08:56"], "08:54:10", "08:56:00"),
        (["--since", "2026-11-23 08:55", "--until", "2026-11-23 08:56"], "08:55:00", "08:56:00"),
        (["--since", "40s"], "08:57:10", "08:57:50"),
        # The log begins at 08:52:30, with the banner.
        (["--since", "+2m"], "08:54:30", "08:57:50"),
        (["--until", "+2m"], "08:54:10", "08:54:30"),
    ],
)
def test_spans(words: list[str], low: str, high: str, capsys: Output) -> None:
    clocks = [str(row["time"])[11:19] for row in stats_by_hand("h100_optimised")]
    expected = [clock for clock in clocks if low <= clock <= high]
    assert [str(row["time"])[11:19] for row in lines(capsys, OPTIMISED, *words)] == expected
    assert 0 < len(expected) < len(clocks)


def test_a_span_counts_from_each_logs_own_newest_sample(capsys: Output) -> None:
    rows = lines(capsys, OPTIMISED, log_of("h100_baseline_eager"), "--since", "0s")
    assert len(rows) == 2
    newest = [stats_by_hand(c)[-1]["time"] for c in ("h100_optimised", "h100_baseline_eager")]
    assert [row["time"] for row in rows] == newest


@pytest.mark.parametrize("target", ["-", "x.csv", "x.parquet"])
def test_nothing_in_the_span_is_said_and_nothing_is_written(
    target: str, tmp_path: Path, capsys: Output
) -> None:
    where = target if target == "-" else str(tmp_path / target)
    assert main(["export", str(OPTIMISED), "-o", where, "--since", "2027-01-01"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "vllm-watch: no sample between --since and --until: "
        "the samples are from 2026-11-23 08:54:10 to 2026-11-23 08:57:50\n"
    )
    assert os.listdir(tmp_path) == []


def test_a_single_sample_is_enough(tmp_path: Path) -> None:
    for name in ("x.csv", "x.jsonl", "x.parquet"):
        export(tmp_path / name, OPTIMISED, "--since", "0s", "--resample", "1min")
    assert len(pq.read_table(tmp_path / "x.parquet")) == 1
    assert len(pd.read_csv(tmp_path / "x.csv")) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since", "soon"], "--since 'soon' is not a time"),
        (["--resample", "fast"], "--resample: 'fast' is not a time step"),
        (["--resample", "0.5s"], "at least 1s"),
        (["--resample", "+1min"], "is not a time step"),
        (["--resample", "1min", "--events"], "--resample cannot be combined with --events"),
        (["--resample", "1min", "--follow"], "--resample cannot be combined with --follow"),
        (["--until", "1m", "--follow"], "leave out --follow or --until"),
    ],
)
def test_options_that_make_no_sense(words: list[str], said: str, capsys: Output) -> None:
    assert main(["export", str(OPTIMISED), "-o", "-", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err


def test_the_record_of_a_sample_keeps_to_its_schema(capsys: Output) -> None:
    schema = json.loads((SCHEMAS / "sample.json").read_text(encoding="utf-8"))
    checker = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    rows = lines(capsys, FIXTURES / "cpu_spec_decode_colour", TWO, OPTIMISED)
    rows += lines(capsys, OPTIMISED, "--resample", "1min")
    for row in rows:
        checker.validate(row)
        assert set(row) <= set(schema["properties"])
    with pytest.raises(jsonschema.ValidationError):
        checker.validate({**rows[0], "running": 1.5})
    with pytest.raises(jsonschema.ValidationError):
        checker.validate({**rows[0], "kv_cache_usage": 87.0})


@pytest.mark.parametrize(
    "capture",
    ["h100_optimised", "h100_saturated_then_killed", "cpu_startup_failure", "cpu_one_file"],
)
def test_events_keep_to_their_schema(capture: str, tmp_path: Path, capsys: Output) -> None:
    schema = json.loads((SCHEMAS / "event.json").read_text(encoding="utf-8"))
    checker = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    rows = lines(capsys, FIXTURES / capture, "--events")
    assert len(rows) > 3
    for row in rows:
        checker.validate(row)
        assert list(row) == schema["required"]
    times = [str(row["time"]) for row in rows]
    assert times == sorted(times)
    table = pq.read_table(export(tmp_path / "x.parquet", FIXTURES / capture, "--events"))
    assert [row["kind"] for row in table.to_pylist()] == [row["kind"] for row in rows]
    assert [json.loads(row["fields"]) for row in table.to_pylist()] == [r["fields"] for r in rows]
    with export(tmp_path / "x.csv", FIXTURES / capture, "--events").open(newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == [row["text"] for row in rows]


def test_events_tell_what_killed_a_server(capsys: Output) -> None:
    rows = lines(capsys, FIXTURES / "h100_saturated_then_killed", "--events", "--since", "10s")
    (dead,) = [row for row in rows if row["kind"] == "dead"][:1]
    assert dead["time"] == "2026-11-23T08:51:43+00:00"
    assert "engine core exited unexpectedly" in str(dead["text"])
    # 400 clients got an answer when the engine was gone: by `grep -c " 500 "`.
    text = log_of("h100_saturated_then_killed").read_text(errors="replace")
    refused = text.count('HTTP/1.1" 500 ')
    bursts = [row["fields"] for row in rows if row["kind"] == "http_errors"]
    assert sum(burst["500"] for burst in bursts if isinstance(burst, dict)) == refused > 0
    (failed,) = [row for row in rows if "output_handler failed" in str(row["text"])]
    # Its traceback of six lines; the error it reports is a separate event.
    assert str(failed["text"]).count("\n") == 6
    assert any(str(row["text"]).startswith("vllm.v1.engine.exceptions.EngineDead") for row in rows)


def test_following_events_and_since(tmp_path: Path) -> None:
    """Existing rows within the span first, then new ones; each once."""
    data = OPTIMISED.read_bytes()
    cut = data.index(b"11-23 08:57:54")
    cut = data.rindex(b"\n", 0, cut) + 1
    log = tmp_path / OPTIMISED.name
    log.write_bytes(data[:cut])
    words = as_process("export", log, "-o", "-", "--follow")
    words += ["--events", "--since", "2026-11-23 08:54"]
    environ = {**os.environ, "VLLM_WATCH_WATCH_POLL_SECONDS": "0.1"}
    with subprocess.Popen(
        [*words, "--tz", "UTC"],
        stdout=subprocess.PIPE,
        env=environ,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        with log.open("ab") as file:
            file.write(data[cut:])
        rows = [first]
        while rows[-1]["kind"] != "stop":
            rows.append(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert all(row["time"] >= "2026-11-23T08:54" for row in rows)
    assert [row["kind"] for row in rows].count("spike") == data.count(b"causes a latency spike")


def test_a_file_that_outgrows_what_is_left_leaves_nothing(tmp_path: Path) -> None:
    """A limit on file sizes simulates a full disk."""
    target = tmp_path / "x.csv"
    target.write_text("what stood there before")

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = subprocess.run(
        as_process("export", OPTIMISED, "-o", target),
        stderr=subprocess.PIPE,
        preexec_fn=limit,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"x.csv: cannot be written: file too large" in done.stderr
    assert os.listdir(tmp_path) == ["x.csv"]
    assert target.read_text() == "what stood there before"


def test_parquet_without_pyarrow_asks_for_it(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    export(tmp_path / "x.parquet", OPTIMISED, code=1)
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "pip install 'vllm-watch[parquet]'" in err
    assert os.listdir(tmp_path) == []


def test_json_is_utf8_whatever_the_locale(tmp_path: Path) -> None:
    log = tmp_path / "ümläut.log"
    log.write_bytes(OPTIMISED.read_bytes())
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        as_process("export", log, "-o", "-"),
        env={**environ, "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    source = json.loads(done.stdout.splitlines()[0])["source"]
    assert source.encode("utf-8", "surrogateescape") == bytes(log), "byte by byte its name"


def test_of_two_zones_parquet_keeps_the_moments(tmp_path: Path) -> None:
    """Two logs with different offsets: the column is UTC, the moments are right."""
    for name, zone in (("a", "+02:00"), ("b", "UTC")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "x.log").write_bytes(OPTIMISED.read_bytes())
        (folder / "capture.toml").write_text(f'year = 2026\ntz = "{zone}"\n')
    table = pq.read_table(export(tmp_path / "x.parquet", tmp_path / "a", tmp_path / "b"))
    times = table.column("time").to_pylist()
    assert table.schema.field("time").type == pa.timestamp("us", tz="UTC")
    assert times[0] == datetime(2026, 11, 23, 6, 54, 10, tzinfo=UTC)
    assert times[len(times) // 2] - times[0] == timedelta(hours=2)
