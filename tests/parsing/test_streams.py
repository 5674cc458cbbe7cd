"""Names before lines: which server of a stream a line belongs to."""

from __future__ import annotations

import random

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
    read = [streams.read(block) for block in blocks]
    for part, lines in (pair for pairs in (*read, streams.rest()) for pair in pairs):
        found[part] = found.get(part, b"") + lines
    return found


@pytest.mark.parametrize("cut", [1, 2, 3, 100])
def test_the_parts_do_not_depend_on_how_the_stream_is_cut(known: Formats, cut: int) -> None:
    begun = b"(APIServer pid=1) INFO 11-23 08:59:00 [api_utils.py:347] version 0.32.0\n"
    worker = b"(Worker_TP1 pid=7) INFO 11-23 09:00:00 [gpu_worker.py:2] Loading model\n"
    lines = [
        *(b"gateway-1 | INFO:     Application startup complete.\n", b"pod-0 | " + begun),
        *(b"pod-0 | " + STATS, b"pod-1 | " + begun, b"pod-2 | " + worker, b"pod-1 | " + STATS),
        *(b"pod-2 | " + worker for _ in range(9)),
    ]
    blocks = [b"".join(lines[at : at + cut]) for at in range(0, len(lines), cut)]
    assert parts(known, *blocks) == {MAIN: begun + STATS + worker * 10, "pod-1": begun + STATS}


def test_lines_that_are_left_out_do_not_count_among_those_that_wait(known: Formats) -> None:
    gateway = b"gateway-1 | INFO:     Application startup complete.\n"
    begun = b"(APIServer pid=1) INFO 11-23 08:59:00 [api_utils.py:347] version 0.32.0\n"
    streams = Streams(known.unwrapper)
    streams.read(gateway * (60_000 // len(gateway)))
    assert streams.read(b"pod-0 | " + STATS + gateway) == [(MAIN, STATS)]
    # Nearly as much as may wait was left out: what waits now is only what is kept.
    assert streams.read((b"pod-1 | " + begun) * 8) == [(MAIN, b"")]
    assert streams._waiting_bytes == 8 * len(begun)


def test_a_stream_without_lines_of_vllm_waits_only_once(known: Formats) -> None:
    lines = [b"web-%d | GET /%d\n" % (index % 2, index) for index in range(9_000)]
    streams = Streams(known.unwrapper)
    streams.read(b"".join(lines))
    streams.rest()
    # Later lines are passed on at once, in their order, and a server is still told from others.
    assert streams.read(lines[0] + lines[1]) == [(MAIN, b"GET /0\nGET /1\n")]
    begun = b"(APIServer pid=1) INFO 11-23 08:59:00 [api_utils.py:347] version 0.32.0\n"
    assert streams.read(b"pod-0 | " + begun + b"pod-1 | " + begun) == [(MAIN, b"")]
    assert streams.read(b"pod-0 | " + STATS) == [(MAIN, begun + STATS)]
    assert streams.read(b"pod-1 | " + STATS + lines[0]) == [("pod-1", begun + STATS)]


def test_an_ordinary_log_is_one_unchanged_part(known: Formats) -> None:
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


def test_a_stamp_before_a_name_stays_and_gives_the_year(known: Formats) -> None:
    line = b"2026-11-23 09:00:00.118 | vllm-1  | " + READY
    assert parts(known, line) == {MAIN: b"2026-11-23 09:00:00.118 | " + READY}


def test_ranks_and_levels_are_no_names(known: Formats) -> None:
    lines = b"[rank0]: " + STATS + b"[INFO] " + STATS + b"[W1123] x\n"
    assert parts(known, lines) == {MAIN: lines}


def test_names_within_names(known: Formats) -> None:
    line = b"Nov 23 09:00:00 host vllm[12]: [Stage-%d] " + STATS
    assert set(parts(known, line % 0 + line % 1)) == {MAIN, "host vllm Stage-1"}


HEADS = [
    *(b"vllm-1  | ", b"nginx-1 | ", b"[pod/vllm-0/server] ", b"", b"[Stage-0] "),
    b"Nov 26 07:%02d:%02d gpu01 vllm[4242]: ",
    b"Nov 26 07:%02d:%02d gpu01 vllm[43]: ",
    b"vllm-1  | 2025-11-23T07:%02d:%02d.123Z ",
    b"\x1b[36mvllm-2  |\x1b[0m ",
]
BODIES = [
    b'(APIServer pid=1211) INFO:     127.0.0.1:1 - "POST /v1/completions HTTP/1.1" 200 OK',
    b"INFO 11-23 07:00:01 [loggers.py:310] Engine 000: Avg prompt throughput: 1.0 tokens/s, x",
    b"INFO 11-23 07:00:01 [api_server.py:1] vLLM API server version 0.1",
    *(b"some text", b"", b"  File x", b"progress\r 10%|##\r 20%|"),
]


def random_blocks(chance: random.Random) -> list[bytes]:
    heads, blocks = chance.sample(HEADS, chance.choice([1, 1, 2, 3])), []
    for _ in range(6):
        lines = []
        for _ in range(chance.choice([1, 5, 40])):
            head = chance.choice(heads)
            if b"%02d" in head:
                head %= chance.randrange(60), chance.randrange(60)
            lines.append(head + chance.choice(BODIES) + b"\n")
        blocks.append(b"".join(lines)[: chance.choice([None, None, None, -1])])
    return blocks


def test_lines_behind_a_known_beginning_are_read_as_the_first_was(
    known: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [random_blocks(random.Random(seed)) for seed in range(150)]

    def read_all() -> list[list[tuple[str, bytes]]]:
        found = []
        for blocks in cases:
            streams = Streams(known.unwrapper)
            found += [streams.read(block) for block in blocks]
        return found

    quickly = read_all()
    monkeypatch.setattr(Streams, "_remember", lambda *_: None)
    assert quickly == read_all()
