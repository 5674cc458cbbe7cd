"""Lines known to have no information are skipped; the result stays the same."""

from __future__ import annotations

import random

import pytest

from tests.logs import FIXTURES, log_of
from tests.parsing import scanning
from vllm_watch.parsing import scanner, skippedlines, statslines
from vllm_watch.parsing.scan import Scan

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
            patch.setattr(skippedlines, "LONGEST", 0)
            patch.setattr(statslines, "LONGEST", 0)
            assert scans(text, cut=cut) == quick


def test_blocks_that_begin_with_known_stats_lines_are_read_like_single_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    envelope = b"(APIServer pid=7) INFO 11-23 09:%02d:00 [loggers.py:310] "
    body = scanning.STATS.removeprefix(b"Engine 000: ")
    others = [
        scanning.ACCESS,
        b"Traceback (most recent call last):",
        b'  File "x.py", line 1, in <module>',
        b"RuntimeError: out of memory",
        b"(APIServer pid=7) INFO 13-45 09:00:00 [loggers.py:310] Engine 001: " + body,
        scanning.PROMPT,
        envelope % 1 + body + b" " + scanning.ACCESS,
        (envelope % 2).replace(b"INFO", b"ERROR") + b"broken",
        b'{"time": "x"} ' + envelope % 3 + body,
    ]
    chance = random.Random(5)
    lines = [
        chance.choice(others)
        if chance.random() < 0.15
        else envelope % min(59, at // 8) + b"Engine 00%d: " % (at % 8) + body
        for at in range(600)
    ]
    text = b"\n".join(lines) + b"\n"
    quick = scans(text, cut=8)
    assert sum(scan.lines for scan in quick) == len(lines)
    with monkeypatch.context() as patch:
        patch.setattr(skippedlines, "LONGEST", 0)
        patch.setattr(statslines, "LONGEST", 0)
        assert scans(text, cut=8) == quick


def test_a_stats_line_is_known_again_whatever_its_numbers() -> None:
    reader = scanning.scanner(fresh=True)
    line = scanning.ENVELOPE + scanning.STATS
    (first,) = reader.scan(line + b"\n").records
    known = list(reader.formats.stats_lines)
    assert known == [line.translate(bytes.maketrans(b"123456789", b"0" * 9))]
    (second,) = reader.scan(line.replace(b"3 reqs", b"8 reqs") + b"\n").records
    assert (first.values["running"], second.values["running"]) == (3, 8)  # type: ignore[union-attr]
    assert list(reader.formats.stats_lines) == known
    for text in (b", \x1b[0m", b', {"', b", GET / HTTP/1.1", b", \0?", b", " + line):
        assert reader.scan(line + text + b"\n").records
    assert list(reader.formats.stats_lines) == known
    reader.scan(line + b", further\n")
    assert len(reader.formats.stats_lines) == 2


def test_a_skipped_line_still_shows_the_time_between_requests() -> None:
    skipped_line = b"(EngineCore pid=7) INFO 11-23 09:00:%02d [core.py:58] chatter %d\n"
    access = b'INFO:     1.2.3.4:5 - "POST /v1/completions HTTP/1.1" 200 OK\n'
    text = b"".join(skipped_line % (i, i) + access for i in range(5))
    (scan,) = scans(text, cut=100)
    stamps = [record.time for record in scan.records]  # type: ignore[union-attr]
    assert [time - stamps[0] for time in stamps] == [0, 1, 2, 3, 4]  # type: ignore[operator]
    assert [record.served for record in scan.records] == [{"200": 1}] * 5  # type: ignore[union-attr]


def test_stats_lines_of_a_known_shape_are_read_like_the_first() -> None:
    line = (
        b"(ApiServer_%d pid=7) INFO 11-23 09:00:%02d [loggers.py:310] Engine 00%d: "
        b"Avg prompt throughput: %d.5 tokens/s, Running: %d reqs"
    )
    cut = b"(ApiServer_1 pid=7) INFO 11-23 09:00:04 [loggers.py:310] Engine 000: Avg prompt\n"
    joined = line % (1, 5, 0, 5, 5) + line % (2, 5, 3, 6, 6) + b"\n"  # two processes at once
    first, second, third = scans(
        line % (1, 1, 0, 9, 9)
        + b"\n"
        + line % (2, 2, 3, 8, 10)
        + b"\n"
        # a number that is no stamp, and what is no stats line
        + (line % (1, 3, 0, 7, 7)).replace(b"11-23", b"13-23")
        + b"\n"
        + cut
        + joined,
        cut=2,
    )
    assert [
        (sample.writer, sample.engine, dict(sample.values))  # type: ignore[union-attr]
        for sample in first.records
    ] == [
        ("ApiServer_1", 0, {"prompt_tps": 9.5, "running": 9}),
        ("ApiServer_2", 3, {"prompt_tps": 8.5, "running": 10}),
    ]
    assert second.records == []
    assert [record.values for record in third.records] == [  # type: ignore[union-attr]
        {"prompt_tps": 5.5, "running": 5},
        {"prompt_tps": 6.5, "running": 6},
    ]
