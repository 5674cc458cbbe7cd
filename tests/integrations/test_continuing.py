"""A log that grew is read from one of its runs on; the archive is as after a full read."""

from __future__ import annotations

import os
import random
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests import serverlog as log
from tests.logs import formats, log_of
from vllm_watch.config import Settings
from vllm_watch.integrations.archive import PLACE, archive_log, key_of
from vllm_watch.integrations.archivefiles import entry_of
from vllm_watch.sources.paths import LogSet, find_logs

CAPTURES = (
    "cpu_startup_failure", "cpu_startup_failure", "h100_optimised", "cpu_startup_failure",
    "cpu_clean_stop", "cpu_two_engines", "cpu_startup_failure",
)  # fmt: skip
_DAY = re.compile(rb"(?<=[A-Z] )\d\d-\d\d(?= \d\d:\d\d:\d\d )")
WRITTEN = datetime(2026, 11, 20, tzinfo=UTC).timestamp()


def many_runs(ending: str) -> bytes:
    """Return captures one after another, each on another day, over the end of a month."""
    text = b""
    for number, capture in enumerate(CAPTURES):
        path = log_of(capture).with_suffix(ending)
        day = f"10-{29 + number}" if number < 3 else f"11-{number:02d}"
        text += _DAY.sub(day.encode(), path.read_bytes()) if path.exists() else b""
    return text


WHOLE = {ending: many_runs(ending) for ending in (".log", ".err")}


def grow(path: Path, lengths: dict[str, int]) -> LogSet:
    """Write a part of the log and of its companion; return them."""
    for ending, length in lengths.items():
        file = path.with_suffix(ending)
        file.write_bytes(WHOLE[ending][:length])
        os.utime(file, (WRITTEN, WRITTEN))
    return find_logs([str(path)]).logs[0]


def archive(folder: Path, logs: LogSet) -> int:
    """Archive a log; return how many runs were read."""
    done = archive_log(folder, logs, formats(), Settings())
    assert done.trouble == ""
    return done.runs


def rows_of(folder: Path) -> list[Any]:
    files = [*(folder / "runs").glob("*.parquet"), *(folder / "samples").rglob("*.parquet")]
    return sorted(repr(row) for file in files for row in pq.read_table(file).to_pylist())


def same_as_read_whole(tmp_path: Path, seed: int, endings: tuple[str, ...]) -> tuple[int, int]:
    """Archive a log that grows by random pieces; return runs read, and all runs."""
    chance = random.Random(seed)
    path, grown = tmp_path / "logs" / log.NAME, tmp_path / f"grown{seed}"
    path.parent.mkdir(exist_ok=True)
    cuts = [*sorted(chance.random() for _ in range(2)), 1.0]
    read = runs = 0
    for step, cut in enumerate(cuts):
        late = min(1.0, cut + chance.choice((0.0, 0.0, 0.02)))
        lengths = {
            ending: round(len(WHOLE[ending]) * (cut if ending == ".log" else late))
            for ending in endings
        }
        logs = grow(path, lengths)
        read = archive(grown, logs)
        whole = tmp_path / f"whole{seed}_{step}"
        runs = archive(whole, logs)
        assert rows_of(grown) == rows_of(whole), (seed, step, lengths)
    return read, runs


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("endings", [(".log",), (".log", ".err")])
def test_random_pieces_give_what_reading_whole_gives(
    tmp_path: Path, seed: int, endings: tuple[str, ...]
) -> None:
    same_as_read_whole(tmp_path, seed, endings)


NOW = datetime(2026, 11, 18, 12, tzinfo=UTC).timestamp()


def served(at: float) -> str:
    """Return a run that worked for a minute and was stopped."""
    return log.begun(at) + log.ready(at + 30) + log.busy(at + 90) + log.stopped(at + 95)


def test_only_the_newest_runs_are_read(tmp_path: Path) -> None:
    target, runs = tmp_path / "archive", [served(NOW + 1000 * n) for n in range(5)]
    path = log.write(tmp_path, "".join(runs[:3]))
    assert archive(target, LogSet(str(path))) == 3
    place = entry_of(target, key_of(str(path)))[PLACE]
    assert (place["run"], place["offset"]) == (2, len("".join(runs[:2])))
    with path.open("a") as file:
        file.write("".join(runs[3:]))
    assert archive(target, LogSet(str(path))) == 3  # the third again, and two new ones
    rows = pq.read_table(target / "runs").sort_by("run").to_pylist()
    assert [row["run"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["samples"] for row in rows] == [4] * 5
    assert pq.read_table(target / "samples").num_rows == 20


def test_a_crash_loop_is_read_from_before_its_first_death(tmp_path: Path) -> None:
    target = tmp_path / "archive"
    dead = [log.begun(NOW + 60 * n) + log.died(NOW + 60 * n + 20) for n in range(1, 4)]
    text = served(NOW - 1000) + "".join(dead)
    path = log.write(tmp_path, text[: text.index(dead[2])])
    archive(target, LogSet(str(path)))
    assert entry_of(target, key_of(str(path)))[PLACE]["run"] == 1
    path.write_text(text)
    archive(target, LogSet(str(path)))
    newest = pq.read_table(target / "runs").sort_by("run").to_pylist()[-1]
    assert "crash-loop" in newest["findings"]


def test_a_log_that_was_cut_or_replaced_is_read_whole(tmp_path: Path) -> None:
    target, runs = tmp_path / "archive", [served(NOW + 1000 * n) for n in range(4)]
    path = log.write(tmp_path, "".join(runs[:3]))
    archive(target, LogSet(str(path)))
    path.write_text(runs[0])  # truncated
    assert archive(target, LogSet(str(path))) == 1
    path.write_text("".join(runs[:3]))
    archive(target, LogSet(str(path)))
    other = path.with_suffix(".new")
    other.write_text("".join(runs[1:]) + log.begun(NOW + 5000))  # replaced by a longer one
    other.replace(path)
    assert archive(target, LogSet(str(path))) == 4
    assert pq.read_table(target / "samples").num_rows == 12


def test_an_archive_that_lacks_a_file_is_read_whole(tmp_path: Path) -> None:
    target, path = tmp_path / "archive", log.write(tmp_path, served(NOW) + served(NOW + 1000))
    logs = LogSet(str(path))
    archive(target, logs)
    runs = target / "runs" / f"{key_of(str(path))}.parquet"
    runs.write_bytes(b"PAR1 not at all")
    assert archive(target, logs) == 2
    assert archive(target, logs) == 1
    assert archive(target, replace(logs, recordings=("beside.metrics.jsonl",))) == 1
    assert entry_of(target, key_of(str(path)))[PLACE] is None  # its rows belong to runs by time
