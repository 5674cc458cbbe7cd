"""torch stamps its own lines: month and day, no year, no zone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.logs import formats
from tests.summaries import summary_of
from vllm_watch.core.records import Event
from vllm_watch.parsing.scanner import Scanner
from vllm_watch.parsing.timestamps import StampClock, Zone

TIMEOUT = (
    "[rank1]:[E%s.408271257 ProcessGroupNCCL.cpp:607] [Rank 1] Watchdog caught collective operation "
    "timeout: WorkNCCL(SeqNum=7, OpType=ALLREDUCE, Timeout(ms)=600000) ran for 600041 milliseconds "
    "before timing out.\n"
)
LEFT = (
    "[rank0]:[W%s.786150305 ProcessGroupNCCL.cpp:1496] Warning: WARNING: destroy_process_group() was "
    "not called before program exit, which can leak resources.\n"
)
LINE = "(APIServer pid=7) INFO %s [api_server.py:1] vLLM API server version 0.11.0\n"


def torch_times(first: str, *stamps: str) -> list[float | None]:
    """When torch's lines were written, if vLLM's stamp before them is `first` in 2026."""
    scanner = Scanner(formats(), StampClock(Zone(UTC, "given"), 2026))
    text = (LINE % first if first else "") + "".join(TIMEOUT % stamp for stamp in stamps)
    found = scanner.scan(text.encode()).records
    known = [r for r in found if isinstance(r, Event) and "torch_stamp" in r.fields]
    assert [r.time for r in known] == [None] * len(stamps)
    return [r.written for r in known]


def utc(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("first", "stamp", "written"),
    [
        ("11-23 08:51:43", "1123 09:01:43", utc(2026, 11, 23, 9, 1, 43)),
        ("03-21 02:07:00", "321 02:07:08", utc(2026, 3, 21, 2, 7, 8)),  # the month has one digit
        ("11-23 08:51:43", "1123 08:51:03", utc(2026, 11, 23, 8, 51, 3)),  # a slow pipe
        ("12-31 23:59:00", "101 00:03:00", utc(2027, 1, 1, 0, 3)),
        ("11-23 08:51:43", "1123 08:11:43", None),
        ("11-23 08:51:43", "101 00:00:00", None),
        ("11-23 08:51:43", "1127 08:51:43", None),
        ("11-23 08:51:43", "1399 08:51:43", None),
        ("", "1123 09:01:43", None),
    ],
)
def test_it_counts_near_vllm_s_newest_stamp(first: str, stamp: str, written: float | None) -> None:
    assert torch_times(first, stamp) == [written]


def test_a_wrong_date_changes_neither_year_nor_later_stamps() -> None:
    scanner = Scanner(formats(), StampClock(Zone(UTC, "given"), 2026))
    lines = [LINE % "12-23 08:51:43", TIMEOUT % "101 00:00:00", LINE % "12-23 08:52:00"]
    found = scanner.scan("".join(lines).encode()).records
    times = [record.time for record in found if isinstance(record, Event) and record.time]
    assert times == [utc(2026, 12, 23, 8, 51, 43), utc(2026, 12, 23, 8, 52)]


@pytest.mark.parametrize("stamp", ["101 00:00:00", "1122 23:59:59", "1123 08:49:00"])
def test_a_run_begins_with_vllm_s_first_stamp(
    stamp: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.log"
    path.write_text(LEFT % stamp + LINE % "11-23 08:51:43" + LEFT % stamp + TIMEOUT % stamp)
    server = summary_of(capsys, path, "--tz", "UTC")
    assert server["first"] == server["last"] == f"{server['first'][:4]}-11-23T08:51:43+00:00"
