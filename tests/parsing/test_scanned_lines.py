"""Searches of single lines: access lines, errors, prompts, companions."""

from __future__ import annotations

import pytest

from tests.parsing.scanning import (
    ACCESS,
    ENVELOPE,
    OTHER,
    PROMPT,
    STATS,
    minute,
    samples,
    scanner,
    stamped,
)
from vllm_watch.core.records import Amendment, Event, Requests, Sample


def events(block: bytes, *, twin: bool = False) -> list[Event]:
    return [r for r in scanner(twin=twin).scan(block).records if isinstance(r, Event)]


def requests(*blocks: bytes) -> list[Requests]:
    one = scanner()
    return [r for block in blocks for r in one.scan(block).records if isinstance(r, Requests)]


def test_a_companion_line_of_a_later_block_is_an_amendment() -> None:
    companion = (
        ENVELOPE.replace(b"loggers", b"metrics")
        + b"SpecDecoding metrics: Mean acceptance length: 2.5\n"
    )
    one = scanner()
    (sample,) = one.scan(ENVELOPE + STATS + b"\n").records
    assert isinstance(sample, Sample)
    assert one.scan(companion).records == [Amendment({"spec_mean_acceptance_length": 2.5})]
    (together,) = scanner().scan(ENVELOPE + STATS + b"\n" + companion).records
    assert isinstance(together, Sample)
    assert together.values == {**sample.values, "spec_mean_acceptance_length": 2.5}


def test_two_stats_lines_run_into_each_other_keep_their_own_values() -> None:
    for block in (ENVELOPE + STATS + OTHER + b"\n", OTHER + ENVELOPE + STATS + b"\n"):
        found = {sample.engine: sample.values for sample in samples(block)}
        assert found[0] == {
            "prompt_tps": 1.0,
            "generation_tps": 2.0,
            "running": 3,
            "waiting": 4,
            "kv_cache_usage": 0.05,
            "prefix_cache_hit_rate": 0.06,
        }
        assert found[1] == {"prompt_tps": 9.0, "running": 33}


def test_a_coloured_line_that_runs_into_another_is_cut_off_too() -> None:
    coloured = b"\x1b[0;36m(APIServer pid=8)\x1b[0;0m \x1b[32mINFO\x1b[0m \x1b[90m11-23 09:00:00\x1b[0m \x1b[90m[loggers.py:1]\x1b[0m Engine 001: Running: 33 reqs, Avg prompt throughput: 9.0 tokens/s"
    found = {
        sample.engine: sample.values["running"]
        for sample in samples(ENVELOPE + STATS + coloured + b"\n")
    }
    assert found == {0: 3, 1: 33}
    (event,) = events(
        ENVELOPE.replace(b"INFO", b"ERROR")
        + b"bad things"
        + coloured.replace(b"INFO", b"ERROR")
        + b"\n"
    )
    assert event.text == "bad things"


def test_colours_change_nothing() -> None:
    plain = ENVELOPE + STATS
    coloured = (
        b"\x1b[0;36m(APIServer pid=7)\x1b[0;0m \x1b[32mINFO\x1b[0m \x1b[90m11-23 09:00:00\x1b[0m "
        b"\x1b[90m[loggers.py:310]\x1b[0m " + STATS
    )
    assert samples(coloured + b"\n") == samples(plain + b"\n") != []
    assert samples(
        b"\x1b[1;36m(APIServer pid=7)\x1b[0;0m " + plain.partition(b") ")[2] + b"\x1b[0m\n"
    ) == samples(plain)


def test_an_access_line_quoted_in_a_prompt_is_not_counted() -> None:
    quoting = stamped(1, b"logger.py", PROMPT)
    assert requests(quoting) == []
    for row in (
        [ACCESS + b"\n", quoting],
        [quoting, ACCESS + b"\n"],
        [ACCESS + b"\n", quoting, ACCESS + b"\n"],
    ):
        real = sum(line is not quoting for line in row)
        assert sum(found.served["200"] for found in requests(b"".join(row))) == real
        assert sum(found.served["200"] for found in requests(*row)) == real


@pytest.mark.parametrize(
    "words",
    [
        b"Received request cmpl-1: prompt: '",
        b"Request cmpl-1 details: prompt: '",
        b"Request cmpl-1 JSON body: '",
        b"Generated response cmpl-1: output: '",
    ],
)
@pytest.mark.parametrize("file", [b"logger.py", b"request_logger.py"])
def test_whatever_the_request_logger_quotes_is_not_read(words: bytes, file: bytes) -> None:
    text = words + ENVELOPE + STATS + b" Killed EngineCore encountered a fatal error. " + ACCESS
    scan = scanner().scan(stamped(1, file, text))
    assert (scan.records, scan.stats_like, scan.newest_stamp) == ([], 0, minute(1))


def test_requests_have_the_stamp_of_the_newest_line_before_them() -> None:
    row = [
        ACCESS + b"\n",
        stamped(1),
        ACCESS + b"\n",
        stamped(2),
        stamped(3),
        ACCESS + b"\n" + ACCESS + b"\n",
        stamped(4),
    ]
    expected = [(None, 1), (minute(1), 1), (minute(3), 2)]
    assert [(found.time, found.served["200"]) for found in requests(b"".join(row))] == expected
    assert [(found.time, found.served["200"]) for found in requests(*row)] == expected


def test_requests_are_distinguished_by_route_method_and_status() -> None:
    lines = [
        b'POST /v1/chat/completions HTTP/1.1" 200 OK',
        b'POST /v1/chat/completions HTTP/1.0" 200 OK',
        b'POST /v1/embeddings?x=y HTTP/1.1" 400 Bad Request',
        b'GET /metrics HTTP/1.1" 200 OK',
        b'GET /metrics HTTP/1.0" 200 OK',
        b'GET /health HTTP/1.1" 503 Service Unavailable',
        b'GET /docs HTTP/1.1" 200 OK',
        b'GET /v1/completions HTTP/1.1" 405 Method Not Allowed',
    ]
    block = b"".join(b'INFO:     127.0.0.1:1 - "' + line + b"\n" for line in lines)
    assert requests(block) == [
        Requests(None, {"200": 2, "400": 1}, polls=3, failing={"/v1/embeddings": 1})
    ]
    old = b'INFO:     127.0.0.1:1 - "POST /v1/completions HTTP/1.0" 200 OK\n'
    assert requests(old) == [Requests(None, {"200": 1}, polls=0)]


def test_further_lines_of_an_error_continue_it() -> None:
    line = b"(EngineCore pid=1) ERROR 11-23 09:00:%02d [core.py:9] %s\n"
    block = (
        line % (0, b"first")
        + line % (0, b"more")
        + ENVELOPE
        + b"between\n"
        + line % (0, b"new")
        + line % (1, b"later")
        + line % (1, b"more")
    )
    for found in (
        events(block),
        [
            r
            for one in [scanner()]
            for part in block.splitlines(keepends=True)
            for r in one.scan(part).records
        ],
    ):
        assert [(r.text, r.continues) for r in found if isinstance(r, Event)] == [
            ("first", False),
            ("more", True),
            ("new", False),
            ("later", False),
            ("more", True),
        ]


def test_two_processes_errors_are_two() -> None:
    line = b"(%s pid=1) ERROR 11-23 09:00:00 [core.py:9] x\n"
    assert [event.continues for event in events(line % b"EngineCore" + line % b"APIServer")] == [
        False,
        False,
    ]


def test_one_line_without_envelope_is_one_event() -> None:
    slurm = b"slurmstepd: error: Detected 1 oom_kill event in StepId=1.0. Some of the step tasks have been OOM Killed.\n"
    assert [event.kind for event in events(slurm, twin=True)] == ["killed"]
    assert [event.kind for event in events(b"Killed\nTerminated\n", twin=True)] == [
        "killed",
        "killed",
    ]
    assert events(b"Killed by hand\n  Killed it\n" + stamped(1, text=b"Killed"), twin=True) == []


def test_lines_of_the_twin_are_marked() -> None:
    block = b"(APIServer pid=447) INFO:     Started server process [447]\n\x1b[0;36m(APIServer pid=447)\x1b[0;0m INFO:     Application startup complete.\n"
    found = events(block, twin=True)
    assert [(event.kind, event.twin, event.time) for event in found] == [
        ("process_started", True, None),
        ("ready", True, None),
    ]
    assert found[0].fields == {"pid": 447}
    assert [event.twin for event in events(block)] == [False, False]


def test_a_stamp_that_is_no_moment_gives_no_sample_and_stops_nothing() -> None:
    block = ENVELOPE.replace(b"11-23", b"02-30") + STATS + b"\n" + ENVELOPE + STATS + b"\n"
    assert [sample.time for sample in samples(block)] == [minute(0)]


def test_the_last_line_may_lack_its_newline() -> None:
    assert samples(ENVELOPE + STATS) == samples(ENVELOPE + STATS + b"\n") != []


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "piece",
    [
        b".py:1] ",
        b"INFO 11-23 09:00:00 [x.py:1] ",
        b"ERROR 11-23 09:00:00 [x.py:1] ",
        b"Killed ",
        b"\x1b[",
        ACCESS[:30],
        b"Engine 000: ",
        b"Traceback (most recent call last):",
    ],
)
def test_one_endless_line_is_read_in_time_and_kept_short(piece: bytes) -> None:
    records = (
        scanner().scan(piece * (400_000 // len(piece)) + b"\n" + ENVELOPE + STATS + b"\n").records
    )
    assert isinstance(records[-1], Sample)
    assert sum(len(record.text) for record in records if isinstance(record, Event)) < 1_000_000
