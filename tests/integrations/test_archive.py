"""Logs into Parquet: once each, changed ones again, by processes and by Dask; read by others."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from tests import serverlog
from tests.failing import full
from tests.logs import FIXTURES, log_of, stats_by_hand
from vllm_watch.cli import main
from vllm_watch.integrations import archivefiles
from vllm_watch.integrations.archive import Archived, archive_log, key_of
from vllm_watch.integrations.archiving import in_dask, in_processes
from vllm_watch.sources.paths import LogSet

Output = pytest.CaptureFixture[str]
CAPTURES = ("h100_optimised", "h100_baseline_eager", "cpu_two_engines", "cpu_startup_failure")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder with some captures, like an archive of runs."""
    folder = tmp_path / "logs"
    folder.mkdir()
    for capture in CAPTURES:
        for path in (FIXTURES / capture).glob("*.???"):
            if path.suffix in (".log", ".err"):
                shutil.copy2(path, folder / path.name)
    return folder


def archived(capsys: Output, *words: Path | str | int, code: int = 0) -> str:
    assert main(["archive", *map(str, words)]) == code
    return capsys.readouterr().out


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Return every run and every sample, in an order of their own."""
    runs = pq.read_table(folder / "runs").to_pylist()
    samples = pq.read_table(folder / "samples").to_pylist()
    return sorted((*runs, *samples), key=repr)


def test_a_run_is_a_row_and_a_second_call_reads_nothing(
    logs: Path, tmp_path: Path, capsys: Output
) -> None:
    target = tmp_path / "archive"
    told = archived(capsys, logs, "-o", target, "--processes", "2")
    samples = sum(len(stats_by_hand(capture)) for capture in CAPTURES)
    assert told == f"{target}: 4 logs archived (4 runs, {samples} samples), 0 unchanged, 0 failed\n"
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*.parquet")}
    told = archived(capsys, logs, "-o", target)
    assert told == f"{target}: 0 logs archived (0 runs, 0 samples), 4 unchanged, 0 failed\n"
    assert before == {path: path.stat().st_mtime_ns for path in target.rglob("*.parquet")}


def test_others_read_the_values_of_the_log(logs: Path, tmp_path: Path, capsys: Output) -> None:
    target = tmp_path / "archive"
    archived(capsys, logs, "-o", target)
    hand = stats_by_hand("h100_optimised")
    peak = max(float(row["generation_tps"]) for row in hand)
    total = sum(int(row["running"]) for row in hand)
    samples = pd.read_parquet(target / "samples")
    of = samples[samples["server"] == "Random-Qwen3-1.7B:8001"]
    assert (of["generation_tps"].max(), of["running"].sum()) == (peak, total)
    lazy = pl.scan_parquet(f"{target}/samples/**/*.parquet", hive_partitioning=True)
    lazy = lazy.filter(pl.col("server") == "Random-Qwen3-1.7B:8001")
    assert lazy.select(pl.col("generation_tps").max()).collect().item() == peak
    query = (
        f"select max(generation_tps), sum(running), any_value(month) "
        f"from read_parquet('{target}/samples/**/*.parquet', hive_partitioning=true) "
        f"where server = 'Random-Qwen3-1.7B:8001'"
    )
    with duckdb.connect() as connection:
        assert connection.execute(query).fetchall() == [(peak, total, "2026-11")]
    runs = pd.read_parquet(target / "runs").set_index("server")
    assert runs.loc["Random-Qwen3-1.7B:8001", "max_num_seqs"] == 512
    assert runs.loc["Random-Qwen3-1.7B:8001", "generation_tps"] == pytest.approx(12438.525)
    assert runs.loc["Random-Qwen3-1.7B:8000", "enforce_eager"]


def test_what_grew_is_read_again_and_what_moved_stays_one(
    logs: Path, tmp_path: Path, capsys: Output
) -> None:
    target = tmp_path / "archive"
    archived(capsys, logs, "-o", target)
    grown, moved = logs / log_of("h100_optimised").name, logs / log_of("h100_baseline_eager").name
    line = grown.read_text().splitlines()[-1].replace("08:57:54", "08:59:54")
    with grown.open("a") as file:
        file.write(line + "\n")
    moved.rename(logs / f"old_{moved.name}")
    told = archived(capsys, logs, "-o", target)
    assert "2 logs archived" in told
    sources = [row["source"] for row in pq.read_table(target / "runs").to_pylist()]
    assert sorted(sources) == sorted(str(path) for path in logs.glob("*.log"))


def test_a_call_that_broke_off_continues(
    logs: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    archived(capsys, logs, "-o", whole)

    def killed(folder: Path, path: Path, text: str) -> None:
        raise KeyboardInterrupt

    log = logs / log_of("h100_optimised").name
    with monkeypatch.context() as patch:  # killed before the log's entry was written
        patch.setattr(archivefiles, "_write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            archive_here(broken, log)
    assert list((broken / "samples").rglob("*.parquet"))
    left = broken / archivefiles.ASIDE / "half.parquet.1"  # by a writer that was killed
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"PAR1 half")
    assert "4 logs archived" in archived(capsys, logs, "-o", broken)
    assert rows_of(broken) == rows_of(whole)
    assert not list((broken / archivefiles.ASIDE).iterdir())


def archive_here(folder: Path, log: Path) -> Archived:
    from tests.logs import formats
    from vllm_watch.config import Settings

    return archive_log(folder, LogSet(str(log)), formats(), Settings())


def dies(log: LogSet) -> Archived:
    """Work whose process dies at one log."""
    if "8001" in log.source:
        os._exit(9)
    return Archived(log.source, 1, 1)


def test_a_process_that_dies_takes_only_its_own_log_with_it(logs: Path) -> None:
    sets = [LogSet(str(path)) for path in sorted(logs.glob("*.log"))]
    done = list(in_processes(dies, sets, 2))
    assert sorted(a.source for a in done) == sorted(s.source for s in sets)
    assert ["the process that read it died" in a.trouble for a in done if a.trouble] == [True]


def test_two_at_once_and_a_damaged_file(logs: Path, tmp_path: Path, capsys: Output) -> None:
    target = tmp_path / "archive"
    archived(capsys, logs, "-o", target)
    with (target / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert main(["archive", str(logs), "-o", str(target)]) == 1
    assert "another `vllm-watch archive` writes into it" in capsys.readouterr().err
    damaged = target / "runs" / f"{key_of(str(logs / log_of('h100_optimised').name))}.parquet"
    damaged.write_bytes(b"PAR1 not at all")
    assert main(["runs", str(target), "--json"]) == 1
    told = capsys.readouterr()
    assert f"{damaged}: is damaged" in told.err
    assert len(json.loads(told.out)["runs"]) == 3


def test_all_samples_of_several_servers_in_one_log(tmp_path: Path, capsys: Output) -> None:
    at, target = datetime(2026, 11, 18, 12, tzinfo=UTC).timestamp(), tmp_path / "archive"
    lines: list[str] = []
    for step in range(3):
        for pod in ("chat-0", "chat-1"):
            text = serverlog.begun(at) if not step else serverlog.busy(at + 60 * step)
            lines += [f"[pod/{pod}/vllm] {line}\n" for line in text.splitlines()]
    log = serverlog.write(tmp_path, "".join(lines), name="pods.log")
    told = archived(capsys, log, "-o", target)
    assert "1 log archived (2 runs, 16 samples)" in told
    assert pq.read_table(target / "samples").num_rows == 16


def test_a_full_disk_ends_it_in_one_line_and_keeps_what_is_there(
    logs: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "archive"
    first = logs / log_of("h100_optimised").name
    archived(capsys, first, "-o", target)
    kept = rows_of(target)
    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", full)
        assert main(["archive", str(logs), "-o", str(target)]) == 1
    assert capsys.readouterr().err == (
        f"vllm-watch: {target}: no space left on device; free some space or choose "
        "another folder with -o, then run it again: logs archived so far are kept\n"
    )
    assert rows_of(target) == kept
    assert "3 logs archived" in archived(capsys, logs, "-o", target)


@pytest.mark.parametrize("words", [["--dask", "nonsense"], ["--scheduler-file", "{log}"],
                                   ["--scheduler-file", "/nowhere/scheduler.json"]])  # fmt: skip
def test_no_cluster_is_reported_in_one_line(
    words: list[str], logs: Path, tmp_path: Path, capsys: Output
) -> None:
    log = str(logs / log_of("h100_optimised").name)
    words = [word.replace("{log}", log) for word in words]
    assert main(["archive", log, "-o", str(tmp_path / "archive"), *words]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"vllm-watch: {' '.join(words)}: ")
    assert told.count("\n") == 1


def test_a_folder_that_cannot_be_made(logs: Path, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "file").write_text("")
    assert main(["archive", str(logs), "-o", str(tmp_path / "file" / "archive")]) == 1
    assert capsys.readouterr().err == (
        f"vllm-watch: {tmp_path / 'file' / 'archive'}: not a directory; choose another folder "
        "with -o\n"
    )


def test_a_log_that_cannot_be_read_is_not_unchanged(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "gone.log").symlink_to(tmp_path / "nowhere")
    target = tmp_path / "archive"
    said = archived(capsys, tmp_path / "gone.log", "-o", target, code=1)
    assert said == f"{target}: 0 logs archived (0 runs, 0 samples), 0 unchanged, 1 failed\n"


def test_an_archive_without_a_run(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "other.log").write_text("no line of vLLM\n")
    (tmp_path / "empty.log").write_text("")
    assert main(["archive", str(tmp_path), "-o", str(tmp_path / "archive")]) == 0
    assert sorted(capsys.readouterr().err.splitlines()) == [
        f"vllm-watch: {tmp_path}/empty.log: has no vLLM line",
        f"vllm-watch: {tmp_path}/other.log: has no vLLM line",
    ]
    assert main(["runs", str(tmp_path / "archive")]) == 1
    assert capsys.readouterr().err == f"vllm-watch: {tmp_path / 'archive'}: no run of vLLM in it\n"


@contextmanager
def cluster(*, processes: bool) -> Iterator[str]:
    """Start a scheduler and a worker; yield the scheduler's address.

    Limits of waiting are far away: on a busy machine a worker takes half a minute to start.
    """
    import dask
    import dask.distributed

    limits = {
        "distributed.comm.timeouts.connect": "300s",
        "distributed.scheduler.allowed-failures": 0,  # a worker that dies is not tried again
    }
    with (
        dask.config.set(limits),
        dask.distributed.LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=1,
            threads_per_worker=1,
            processes=processes,
            protocol="tcp",  # what is sent is serialised also within one process
            dashboard_address=None,
        ) as made,
    ):
        yield made.scheduler_address


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client wait for a scheduler as long as a busy machine needs."""
    monkeypatch.setattr("vllm_watch.integrations.archiving._CONNECT_SECONDS", 300.0)


@pytest.mark.usefixtures("patient")
def test_dask_gives_the_same(logs: Path, tmp_path: Path, capsys: Output) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    archived(capsys, logs, "-o", here, "--processes", 1)
    with cluster(processes=False) as address:
        assert "4 logs archived" in archived(capsys, logs, "-o", there, "--dask", address)
    assert rows_of(there) == rows_of(here)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("patient")
def test_a_worker_of_dask_that_dies_is_reported() -> None:
    with cluster(processes=True) as address:
        (done,) = in_dask(dies, [LogSet("/x_8001.log")], {"address": address}, print)
    assert done.trouble.startswith("/x_8001.log: KilledWorker")
