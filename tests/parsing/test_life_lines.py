"""Lines about the life of a server: progress, failures, stops, requests."""

from __future__ import annotations

import pytest

from tests.logs import log_of
from tests.parsing.dialects import READY, STATS, events, said, scan
from tests.parsing.scanning import scanner
from vllm_watch.core.records import Event, Record

# --- progress ------------------------------------------------------------------------------------


def progress(data: bytes, *pieces: bytes) -> list[tuple[object, object, object]]:
    one = scanner(twin=True)
    records: list[Record] = [r for piece in (data, *pieces) for r in one.scan(piece).records]
    return [
        (event.fields["phase"], event.fields["done"], event.fields["total"])
        for event in records
        if isinstance(event, Event) and event.kind == "progress"
    ]


@pytest.mark.parametrize(
    ("capture", "expected"),
    [
        ("h100_optimised", (51, 51)),
        ("h100_long_context", (9, 9)),
        ("h100_long_context", (6, 6)),
    ],
)
def test_the_progress_of_the_captures(capture: str, expected: tuple[int, int]) -> None:
    data = log_of(capture).with_suffix(".err").read_bytes()
    assert ("capturing graphs", *expected) in progress(data)
    lines = data.splitlines(keepends=True)  # \r ends a line here: every state is separate
    assert ("capturing graphs", *expected) in progress(b"", *lines)


def test_the_newest_state_of_a_bar_counts() -> None:
    states = [
        f"Loading safetensors checkpoint shards: {25 * n:3}% Completed | {n}/4 " for n in range(5)
    ]
    one_line = "\r".join(f"\r{state}[00:0{n}<00:01]" for n, state in enumerate(states)) + "\n"
    assert progress(one_line.encode()) == [("loading weights", 4, 4)]
    lines = [f"{state}[00:03<00:01,  1.02s/it]\n".encode() for state in states]
    assert progress(b"".join(lines)) == [("loading weights", n, 4) for n in range(5)]
    assert progress(b"", *lines) == [("loading weights", n, 4) for n in range(5)]


# --- failures ------------------------------------------------------------------------------------

CAUSES = [
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "out of memory"),
    ("torch.cuda.OutOfMemoryError: no room", "out of memory"),
    ("ValueError: No available memory for the cache blocks.", "no memory for the KV cache"),
    ("RuntimeError: NCCL error: unhandled cuda error", "NCCL error"),
    ("RuntimeError: NCCL error in: ProcessGroupNCCL.cpp:1275", "NCCL error"),
    ("OSError: [Errno 98] Address already in use", "port in use"),
    ("OSError: [Errno 98] error while attempting to bind: address already in use", "port in use"),
]


@pytest.mark.parametrize(("text", "cause"), CAUSES)
def test_why_it_died(text: str, cause: str) -> None:
    (event,) = events(said("core.py", text, "ERROR"))
    assert (event.kind, event.fields["cause"]) == ("cause", cause)


@pytest.mark.parametrize("level", ["INFO", "WARNING", "DEBUG"])
@pytest.mark.parametrize(
    "text",
    [
        *(text for text, _ in CAUSES),
        "limit errors like `OSError: [Errno 24] Too many open files`",
        "retrying after EngineDeadError",
        "if you see Engine core initialization failed. look above",
    ],
)
def test_a_warning_that_only_mentions_an_error_is_nothing(text: str, level: str) -> None:
    assert events(said("core.py", f"This may end in {text}", level)) == []


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("[shutdown] MPClient: engine core exited unexpectedly; starting cleanup", "WARNING"),
        ("EngineCore encountered a fatal error.", "ERROR"),
        ("EngineCore failed to start.", "ERROR"),
        ("RuntimeError: Engine core initialization failed. See root cause above.", "ERROR"),
        ("Worker proc VllmWorker-0 died unexpectedly, shutting down executor.", "ERROR"),
        ("vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue.", "ERROR"),
        ("AsyncLLM output_handler failed.", "ERROR"),
    ],
)
def test_death(text: str, level: str) -> None:
    (event,) = events(said("core.py", text, level))
    assert event.kind == "dead"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("slurmstepd: error: *** JOB 1 ON n CANCELLED AT 2026-11-23T10:00:00 DUE TO TIME LIMIT ***", "killed"),
        ("slurmstepd: error: *** STEP 1.0 ON n CANCELLED AT 2026-11-23T10:00:00 ***", "killed"),
        ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=1.0 cgroup.", "killed"),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=1.0.", "killed"),
        ("=>> PBS: job killed: walltime 3612 exceeded limit 3600", "killed"),
        ("=>> PBS: job killed: mem 70000000kb exceeded limit 67108864kb", "killed"),
        ("Killed", "killed"),
        ("Terminated", "killed"),
        ("vllm: error: unrecognized arguments: --max-num-sequences 5", "usage"),
        ("INFO:     Shutting down", "shutting_down"),
        ("INFO:     Finished server process [1670]", "process_finished"),
        ("INFO:     Started server process [1670]", "process_started"),
    ],
)  # fmt: skip
def test_the_word_of_others(line: str, kind: str) -> None:
    assert [event.kind for event in events(f"{line}\n", twin=True)] == [kind]
    assert [event.kind for event in events(f"0: {line}\r\n", twin=True)] == [kind]
    assert events(f"somebody said {line}\n", twin=True) == []


@pytest.mark.parametrize(
    "text", ["[shutdown] API server: shutdown triggered", "Shutting down FastAPI HTTP server."]
)
def test_stops(text: str) -> None:
    assert [event.kind for event in events(said("launcher.py", text))] == ["stop"]


# --- the request logger --------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["logger.py", "request_logger.py", "entrypoints/logger.py"])
@pytest.mark.parametrize(
    "words",
    [
        "Received request cmpl-1: prompt: '",
        "Request cmpl-1 details: prompt: '",
        "Request cmpl-1 JSON body: '",
        "Generated response cmpl-1: output: '",
    ],
)
def test_what_the_request_logger_quotes_is_not_read(words: str, file: str) -> None:
    quoted = f"{STATS} {said('core.py', CAUSES[0][0], 'ERROR').strip()} {READY}\rKilled"
    found = scan(said(file, words + quoted) + said("x.py", "next"))
    assert (found.records, found.stats_like) == ([], 0)
