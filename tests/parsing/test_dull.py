"""Lines known to have no information are skipped; the result stays the same."""

from __future__ import annotations

import random

import pytest

from tests.logs import FIXTURES, log_of
from tests.parsing import scanning
from vllm_watch.parsing import dull, scanner
from vllm_watch.parsing.scanner import Scan

CAPTURES = sorted(path.name for path in FIXTURES.iterdir() if path.is_dir())


def scans(text: bytes, *, cut: int) -> list[Scan]:
    reader = scanning.scanner(fresh=True)
    lines = text.splitlines(keepends=True)
    blocks = (b"".join(lines[i : i + cut]) for i in range(0, len(lines), cut))
    return [reader.scan(block) for block in blocks]


@pytest.mark.parametrize("capture", CAPTURES)
def test_with_and_without_the_memory_the_same_is_read(
    capture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(capture)
    lines = log_of(capture).read_bytes().splitlines(keepends=True)
    # Twice, with digits of lines changed at random: shapes repeat, damaged and whole.
    changed = [
        bytes(
            chance.choice(b"0123456789x")
            if byte in b"0123456789" and chance.random() < 0.02
            else byte
            for byte in line
        )
        for line in lines
    ]
    text = b"".join([*lines, *changed, *lines])
    monkeypatch.setattr(scanner, "LARGE_BLOCK", 1 << 60)  # its results are in another form
    for cut in (7, 1_000_000):
        quick = scans(text, cut=cut)
        with monkeypatch.context() as patch:
            patch.setattr(dull, "LONGEST", 0)
            assert scans(text, cut=cut) == quick


def test_a_dull_line_still_shows_the_time_between_requests() -> None:
    dull_line = b"(EngineCore pid=7) INFO 11-23 09:00:%02d [core.py:58] chatter %d\n"
    access = b'INFO:     1.2.3.4:5 - "POST /v1/completions HTTP/1.1" 200 OK\n'
    text = b"".join(dull_line % (i, i) + access for i in range(5))
    (scan,) = scans(text, cut=100)
    stamps = [record.time for record in scan.records]  # type: ignore[union-attr]
    assert [time - stamps[0] for time in stamps] == [0, 1, 2, 3, 4]  # type: ignore[operator]
    assert [record.served for record in scan.records] == [{"200": 1}] * 5  # type: ignore[union-attr]
