"""Compressed saved logs: read like plain ones, broken ones as far as they go."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import zstandard

from tests.logs import log_of
from vllm_watch.cli import main
from vllm_watch.sources.compressed import SavedArchive
from vllm_watch.sources.paths import LogSet, find_logs

LINES = [b"line %d of a log\n" % number for number in range(50_000)]
DATA = b"".join(LINES)


def packed(ending: str, data: bytes) -> bytes:
    return gzip.compress(data) if ending == ".gz" else zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_an_archive_is_read_once_and_whole(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.log{ending}"
    path.write_bytes(packed(ending, DATA[:300_000]) + packed(ending, DATA[300_000:]))
    archive = SavedArchive(str(path))
    assert b"".join(chunk.data for chunk in archive.read()) == DATA
    assert list(archive.read()) == []
    assert archive.trouble is None


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_of_a_cut_archive_text_before_the_cut_is_read(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.log{ending}"
    first, second = packed(ending, DATA[:300_000]), packed(ending, DATA[300_000:])
    path.write_bytes(first + second[: len(second) // 2])
    archive = SavedArchive(str(path), now=lambda: 7.0)
    read = b"".join(chunk.data for chunk in archive.read())
    assert len(read) >= 300_000
    assert DATA.startswith(read)
    assert archive.trouble == f"{path}: is cut off; the part before the cut is read"
    assert archive.trouble_since == 7.0


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_what_is_no_archive_gives_one_line(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.log{ending}"
    path.write_bytes(b"this is plain text\n" * 9)
    archive = SavedArchive(str(path))
    assert list(archive.read()) == []
    assert archive.trouble == f"{path}: is damaged; the part before the damage is read"


def test_the_missing_library_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.log.zst"
    path.write_bytes(packed(".zst", b"x\n"))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    archive = SavedArchive(str(path))
    assert list(archive.read()) == []
    assert archive.trouble is not None
    assert "pip install 'vllm-watch[zstd]'" in archive.trouble


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_folder_holds_archives_and_their_companions(ending: str, tmp_path: Path) -> None:
    for name in ("x.log", "x.err", "y_pbs.out"):
        (tmp_path / f"{name}{ending}").write_bytes(packed(ending, b"x\n"))
    log, twin = str(tmp_path / f"x.log{ending}"), str(tmp_path / f"x.err{ending}")
    assert find_logs([str(tmp_path)]).logs == (LogSet(log, (twin,)),)
    assert find_logs([twin]).logs == (LogSet(log, (twin,)),)


def test_an_export_of_an_archive_is_that_of_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = log_of("h100_optimised")
    plain = tmp_path / log.name
    shutil.copy2(log, plain)
    archive = plain.with_name(plain.name + ".gz")
    archive.write_bytes(gzip.compress(plain.read_bytes()))
    os.utime(archive, (plain.stat().st_mtime,) * 2)

    def rows(path: Path) -> list[dict[str, object]]:
        assert main(["export", str(path), "-o", "-"]) == 0
        out = capsys.readouterr().out.splitlines()
        return [{**json.loads(line), "source": ""} for line in out]

    expected = rows(plain)
    assert len(expected) == plain.read_bytes().count(b"Avg generation throughput")
    assert rows(archive) == expected
