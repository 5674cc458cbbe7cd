"""Names before lines: which line of a stream is whose."""

from __future__ import annotations

import pytest

from vllm_watch.cli.common import formats
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.streams import MAIN, Streams

STATS = (
    b"(APIServer pid=1) INFO 11-23 09:00:00 [loggers.py:127] Engine 000: Avg prompt throughput: "
    b"1.0 tokens/s, Avg generation throughput: 2.0 tokens/s, Running: 1 reqs, Waiting: 0 reqs\n"
)
READY = b"(APIServer pid=1) INFO:     Application startup complete.\n"


@pytest.fixture(scope="module")
def known() -> Formats:
    return formats()


def parts(known: Formats, *blocks: bytes) -> dict[str, bytes]:
    streams, found = Streams(known.unwrapper), dict[str, bytes]()
    for block in blocks:
        for part, lines in streams.read(block):
            found[part] = found.get(part, b"") + lines
    return found


def test_an_ordinary_log_is_one_part_as_it_is(known: Formats) -> None:
    assert parts(known, STATS + READY) == {MAIN: STATS + READY}


def test_one_name_before_all_lines_makes_no_second_server(known: Formats) -> None:
    lines = b"heron-0 vllm " + STATS + b"heron-0 vllm Killed\n"
    assert parts(known, lines) == {MAIN: STATS + b"Killed\n"}


def test_a_name_is_known_in_later_blocks_and_cut_anywhere(known: Formats) -> None:
    lines = [b"heron-0 vllm " + STATS, b"heron-1 vllm " + STATS, b"heron-1 vllm Killed\n"]
    assert parts(known, *lines) == parts(known, b"".join(lines))
    assert parts(known, *lines) == {MAIN: STATS, "heron-1 vllm": STATS + b"Killed\n"}


def test_a_name_makes_a_server_only_where_it_writes_as_one(known: Formats) -> None:
    worker = b"(Worker_TP1 pid=7) INFO 11-23 09:00:00 [gpu_worker.py:2] Loading model\n"
    lines = b"[node01] " + STATS + b"[node02] " + worker
    assert parts(known, lines) == {MAIN: STATS + worker}


def test_what_is_not_of_vllm_is_left_out(known: Formats) -> None:
    gateway = b"gateway-1  | INFO:     Application startup complete.\n"
    assert parts(known, gateway + b"vllm-1     | " + STATS) == {MAIN: STATS}


def test_a_stamp_before_a_name_stays_and_tells_the_year(known: Formats) -> None:
    line = b"2026-11-23 09:00:00.118 | vllm-1  | " + READY
    assert parts(known, line) == {MAIN: b"2026-11-23 09:00:00.118 | " + READY}


def test_ranks_and_levels_are_no_names(known: Formats) -> None:
    lines = b"[rank0]: " + STATS + b"[INFO] " + STATS + b"[W1123] x\n"
    assert parts(known, lines) == {MAIN: lines}


def test_names_within_names(known: Formats) -> None:
    line = b"Nov 23 09:00:00 host vllm[12]: [Stage-%d] " + STATS
    assert set(parts(known, line % 0 + line % 1)) == {MAIN, "host vllm Stage-1"}
