"""Files read in large blocks: the same rows and requests wherever they are cut."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from tests.logs import read, records_in, rows_of
from tests.parsing.test_large_blocks import random_log, told
from vllm_watch.core.news import Block, News
from vllm_watch.parsing import scanner
from vllm_watch.parsing.scan import Scan

pytestmark = pytest.mark.usefixtures("small_is_large")


def said(batches: list[News]) -> tuple[object, int]:
    blocks = [news for news in batches if isinstance(news, Block)]
    return told([Scan(items=list(one.items)) for one in blocks]), sum(one.lines for one in blocks)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("block", [3_000, 20_000])
def test_a_file_gives_the_same_read_in_large_blocks_and_in_small_ones(
    seed: int, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vllm_M_port8000_realtime.log"
    path.write_bytes(random_log(seed).rstrip(b"\n"))  # its last line lacks the newline
    monkeypatch.setattr("vllm_watch.sources.chunks.BLOCK", block)
    large = list(read(path).read_once())
    rows = rows_of(read(path).read_once())
    monkeypatch.setattr(scanner, "LARGE_BLOCK", 1 << 60)
    monkeypatch.setattr("vllm_watch.sources.chunks.BLOCK", 1 << 20)

    assert said(large) == said(list(read(path).read_once()))
    assert rows == rows_of(read(path).read_once())


def test_a_file_truncated_while_it_is_read_ends_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(random_log(3))
    monkeypatch.setattr("vllm_watch.sources.chunks.BLOCK", 4_000)
    whole = records_in(read(path).read_once())
    batches = read(path).read_once()
    found = records_in(itertools.islice(batches, 4))

    os.truncate(path, 0)

    found += records_in(batches)
    assert 0 < len(found) < len(whole)
    assert [type(record) for record in found] == [type(record) for record in whole[: len(found)]]
