from __future__ import annotations

import pytest

from vllm_watch.locations import builtin_formats_folder
from vllm_watch.parsing.envelope import ANCHOR, Envelope
from vllm_watch.parsing.formatfiles import load_formats
from vllm_watch.parsing.formatsamples import split_sample

FORMATS = load_formats(sorted(builtin_formats_folder().glob("*.toml")))
READER = FORMATS.envelope
BODY = b"Engine 000: x"


def envelope(line: bytes) -> Envelope | None:
    anchor = ANCHOR.search(line)
    return READER.read(line[: anchor.end()]) if anchor else None


# Line, then process, level, stamp, file, line number.
FORMS = {
    "no bracket": (
        b"INFO 02-20 18:40:12 metrics.py:455] " + BODY,
        ("", "INFO", b"02-20 18:40:12", "metrics.py", "455"),
    ),
    "bracket": (
        b"INFO 08-11 09:20:10 [loggers.py:118] " + BODY,
        ("", "INFO", b"08-11 09:20:10", "loggers.py", "118"),
    ),
    "process prefix": (
        b"(APIServer pid=3646) INFO 05-19 10:13:11 [loggers.py:271] " + BODY,
        ("APIServer", "INFO", b"05-19 10:13:11", "loggers.py", "271"),
    ),
    "colour": (
        b"\x1b[0;36m(APIServer pid=1673)\x1b[0;0m \x1b[32mINFO\x1b[0m \x1b[90m11-23 09:26:18\x1b[0m \x1b[90m[loggers.py:335]\x1b[0m "
        + BODY,
        ("APIServer", "INFO", b"11-23 09:26:18", "loggers.py", "335"),
    ),
    "colour of the process prefix alone": (
        b"\x1b[1;36m(APIServer pid=1)\x1b[0;0m INFO 11-23 09:26:18 [loggers.py:335] " + BODY,
        ("APIServer", "INFO", b"11-23 09:26:18", "loggers.py", "335"),
    ),
    "user prefix": (
        b"[node07] (APIServer pid=4257) INFO 11-23 09:32:10 [loggers.py:335] " + BODY,
        ("APIServer", "INFO", b"11-23 09:32:10", "loggers.py", "335"),
    ),
    "user prefix without process": (
        b"[node07] INFO 11-23 09:32:10 [loggers.py:335] " + BODY,
        ("", "INFO", b"11-23 09:32:10", "loggers.py", "335"),
    ),
    "shortened path": (
        b"(APIServer pid=1) DEBUG 11-23 09:32:10 [v1/metrics/loggers.py:335] " + BODY,
        ("APIServer", "DEBUG", b"11-23 09:32:10", "loggers.py", "335"),
    ),
}


@pytest.mark.parametrize(("line", "expected"), FORMS.values(), ids=FORMS.keys())
def test_each_form_is_recognised(line: bytes, expected: tuple[str, str, bytes, str, str]) -> None:
    found = envelope(line)
    assert found is not None
    assert (found.process, found.level, found.stamp, found.file, found.line) == expected


@pytest.mark.parametrize(("line", "expected"), FORMS.values(), ids=FORMS.keys())
def test_the_message_begins_right_behind_it(line: bytes, expected: object) -> None:
    found, body = split_sample(FORMATS, line.decode())
    assert found is not None
    assert body == BODY


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("(APIServer pid=1)", "APIServer"),
        ("(ApiServer_0 pid=1)", "ApiServer_0"),
        ("(EngineCore pid=1)", "EngineCore"),
        ("(EngineCore_0 pid=1)", "EngineCore_0"),
        ("(EngineCore_DP0 pid=1)", "EngineCore_DP0"),
        ("(Worker pid=1)", "Worker"),
        ("(Worker_TP0 pid=1)", "Worker_TP0"),
        ("(VllmWorker rank=0 pid=1)", "VllmWorker"),
        ("(VllmWorker rank=0)", "VllmWorker"),
        ("(RayWorkerWrapper pid=12, ip=10.0.0.2)", "RayWorkerWrapper"),
    ],
)
def test_every_process_name_seen_is_read(prefix: str, name: str) -> None:
    found = envelope(f"{prefix} INFO 11-23 09:32:10 [x.py:1] y".encode())
    assert found is not None
    assert found.process == name


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_every_level_is_read(level: str) -> None:
    found = envelope(f"{level} 11-23 09:32:10 [x.py:1] y".encode())
    assert found is not None
    assert found.level == level


@pytest.mark.parametrize(
    "before",
    [
        b"vllm-1  | ",
        b"2026-05-12T08:01:39.331095044Z ",
        b"May 12 08:01:39 host vllm[123]: ",
        b"0: ",
        b"(vllm_worker pid=7, ip=10.0.0.2) ",
        b"[rank0]:",
        b"\xff\xfe\x00",
        b'INFO:     127.0.0.1:1 - "GET /health HTTP/1.1" 200 OK',
        b'{"log":"',
    ],
)
def test_anything_may_stand_before_it(before: bytes) -> None:
    found = envelope(before + FORMS["process prefix"][0])
    assert found is not None
    assert (found.process, found.stamp) == ("APIServer", b"05-19 10:13:11")
    assert found.start == len(before)


@pytest.mark.parametrize(
    "line",
    [
        b"see [loggers.py:271] for more",
        b"INFO 11-23 09:32 [loggers.py:271] x",
        b"NOTICE 11-23 09:32:10 [loggers.py:271] x",
        b"INFO 11-23 09:32:10 [loggers.cc:271] x",
        b"INFO 11-23 09:32:10 text [loggers.py:271] x",
        b"[W1123 08:52:55.786150305 socket.cpp:207] x",
        b"INFO:     Started server process [1670]",
    ],
)
def test_similar_text_is_not_an_envelope(line: bytes) -> None:
    assert envelope(line) is None


def test_it_must_end_where_the_message_begins() -> None:
    assert READER.read(b"INFO 11-23 09:32:10 [x.py:1] and more") is None
