"""`export --times`: mean times over steps, their basis, and why they are unknown."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.core.test_answered import answered, came
from tests.core.test_steps import START, written
from tests.logs import FIXTURES, log_of
from tests.serverlog import stats
from vllm_watch.cli import main

Output = pytest.CaptureFixture[str]
ACCESS = 'INFO:     127.0.0.1:40000 - "POST /v1/completions HTTP/1.1" 200 OK\n'
RECORDED = FIXTURES.parent / "recordings" / "h100x2_tp2"


def rows(capsys: Output, *words: Path | str) -> list[dict[str, object]]:
    assert main(["export", "--times", *map(str, words), "-o", "-"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def work(begin: float, lines: int, *, waiting: int = 2) -> str:
    """Return lines with 8 running, each with five answers in ten seconds behind it."""
    return "".join(
        stats(START + begin + 10 * n, running=8, waiting=waiting) + ACCESS * 5 for n in range(lines)
    )


def test_each_step_by_hand(tmp_path: Path, capsys: Output) -> None:
    """START is 100 s behind a full five minutes: the first step ends 200 s later."""
    assert START % 300 == 100
    text = work(10, 20) + work(210, 30, waiting=12) + work(510, 3)
    first, second, third = rows(capsys, written(tmp_path, text))
    # 10 in the system and 5 answered in ten seconds; then 20.
    assert first["request_s"] == pytest.approx(20, rel=0.1)
    assert first["queue_s"] == pytest.approx(4, rel=0.1)
    assert second["request_s"] == pytest.approx(40, rel=0.05)
    assert second["per_token_s"] == pytest.approx(8 / 734.9, rel=0.01)
    assert (second["answered"], second["lines"], second["basis"]) == (150, 30, "log")
    assert (first["unknown"], second["unknown"]) == (None, None)
    assert (third["request_s"], third["basis"], third["lines"]) == (None, None, 3)
    assert third["unknown"] == "only 3 stats lines; 10 are needed"
    assert sum(int(str(row["answered"])) for row in (first, second, third)) == 5 * 53


def test_a_gap_stays_a_gap(tmp_path: Path, capsys: Output) -> None:
    log = written(tmp_path, work(10, 20) + work(3610, 20))
    steps = rows(capsys, log, "--resample", "5min")
    begins = pd.to_datetime([str(row["time"]) for row in steps])
    assert (begins[-1] - begins[0]).total_seconds() == 3600
    assert len(steps) == 2


def test_requests_timed_one_by_one_are_exact(tmp_path: Path, capsys: Output) -> None:
    timed = "".join(
        came(20 + n, f"chatcmpl-{n}") + answered(27 + n, f"chatcmpl-{n}") for n in range(40)
    )
    (row,) = rows(capsys, written(tmp_path, work(10, 20) + timed))
    assert (row["request_s"], row["answered"], row["basis"]) == (7.0, 40, "requests")
    assert row["queue_s"] == pytest.approx(4, rel=0.1)


def test_a_recording_is_exact(capsys: Output) -> None:
    """The page's own means: 0.001 s in the queue, 3.38 s a request, 7.78 ms a token."""
    (row,) = rows(capsys, RECORDED)
    assert row["basis"] == "metrics"
    assert row["queue_s"] == pytest.approx(0.001, abs=0.001)
    assert row["request_s"] == pytest.approx(3.38, abs=0.01)
    assert row["per_token_s"] == pytest.approx(0.00778, abs=0.00001)


def test_all_forms_hold_the_same(tmp_path: Path, capsys: Output) -> None:
    logs = [log_of("h100_optimised"), log_of("h100_saturated_then_killed")]
    expected = pd.DataFrame(rows(capsys, *logs, "--resample", "2min"))
    assert expected["unknown"].notna().any()
    assert expected["request_s"].notna().any()
    for ending, read in (("csv", pd.read_csv), ("parquet", pd.read_parquet)):
        path = tmp_path / f"times.{ending}"
        words = [*map(str, logs), "--resample", "2min", "-o", str(path)]
        assert main(["export", "--times", *words]) == 0
        frame = read(path)
        assert list(frame.columns) == list(expected.columns)
        for name in ("queue_s", "request_s", "per_token_s", "answered", "lines"):
            assert frame[name].tolist() == pytest.approx(
                expected[name].astype(float).tolist(), nan_ok=True
            )
        assert frame["unknown"].fillna("").tolist() == expected["unknown"].fillna("").tolist()


def test_what_does_not_go_with_times(tmp_path: Path, capsys: Output) -> None:
    log = written(tmp_path, work(10, 3))
    for more in (["--follow"], ["--events"], ["--iterations"], ["--resample", "0s"]):
        assert main(["export", str(log), "--times", "-o", "-", *more]) == 2
        assert capsys.readouterr().err.count("\n") == 1
