"""Text around a line does not change its content."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parsing.scanning import scanner
from vllm_watch.core.records import Event, Record, Sample
from vllm_watch.parsing.scan import Scan

BODY = (
    "Engine 003: Avg prompt throughput: 12.5 tokens/s, Avg generation throughput: 2.0 tokens/s, "
    "Running: 3 reqs, Waiting: 4 reqs, GPU KV cache usage: 5.1%, Prefix cache hit rate: 6.0%"
)
VALUES = {
    "prompt_tps": 12.5,
    "generation_tps": 2.0,
    "running": 3.0,
    "waiting": 4.0,
    "kv_cache_usage": 0.051,
    "prefix_cache_hit_rate": 0.06,
}
PLAIN = f"INFO 11-23 09:00:00 [loggers.py:310] {BODY}"
NAMED = f"(APIServer pid=7) {PLAIN}"
COLOURED = (
    "\x1b[0;36m(APIServer pid=7)\x1b[0;0m \x1b[32mINFO\x1b[0m \x1b[90m11-23 09:00:00\x1b[0m "
    f"\x1b[90m[loggers.py:310]\x1b[0m {BODY}"
)
OLD_COLOURED = f"\x1b[1;36m(APIServer pid=7)\x1b[0;0m {PLAIN}"
PREFIXED = f"[node07] {NAMED}"
BARE = "INFO:     Application startup complete."
LOGGER_JSON = json.dumps(
    {
        "asctime": "2026-11-23 09:00:00,925",
        "levelname": "INFO",
        "name": "vllm.v1.metrics.loggers",
        "processName": "MainProcess",
        "process": 3584,
        "message": BODY,
        "vllm_process_name": "APIServer",
    }
)
OTEL_JSON = json.dumps(
    {
        "timestamp": "2026-11-23T09:00:00.925Z",
        "severity_text": "INFO",
        "logger": "vllm.v1.metrics.loggers",
        "body": BODY,
        "attributes": {"code.lineno": 310},
    }
)
WRAPPERS = {
    "container": "2026-11-23T09:00:00.331095044Z ",
    "offset": "2026-11-23T10:00:00.331+01:00 ",
    "compose": "vllm-1  | ",
    "syslog": "Nov 23 09:00:00 host-1 vllm[123]: ",
    "journald, one digit": "Nov  3 09:00:00 host vllm@a.service[9]: ",
    "srun": "0: ",
    "Ray": "(vllm_worker pid=77, ip=10.0.0.1) ",
    "RayWorkerWrapper": "(RayWorkerWrapper pid=77, ip=10.0.0.1) ",
    "rank": "[rank0]: ",
    "user": "[node07] ",
    "process": "(EngineCore_DP0 pid=12) ",
    "process with rank": "(VllmWorker rank=0 pid=12) ",
}
STATS_LINES = [PLAIN, NAMED, COLOURED, OLD_COLOURED, PREFIXED]
LINES = [*STATS_LINES, BARE, LOGGER_JSON, OTEL_JSON]
STACKS = st.lists(st.sampled_from(sorted(WRAPPERS.values())), max_size=4).map("".join)


def scan(*lines: str, twin: bool = False) -> Scan:
    return scanner(twin=twin).scan("".join(f"{line}\n" for line in lines).encode())


def docker(line: str) -> str:
    return json.dumps(
        {"log": line + "\n", "stream": "stdout", "time": "2026-11-23T09:00:00.331095044Z"}
    )


def compact(line: str) -> str:
    return json.dumps(json.loads(line), separators=(",", ":"))


def of(line: str) -> list[Record]:
    """Return the expected result of a line, whatever is around it."""
    return scan(BARE if line == BARE else PLAIN).records


def test_the_plain_lines_say_what_they_say() -> None:
    (sample,) = of(PLAIN)
    assert isinstance(sample, Sample)
    assert (sample.engine, sample.values) == (3, VALUES)
    (event,) = of(BARE)
    assert isinstance(event, Event)
    assert (event.kind, event.time) == ("ready", None)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("wrapper", WRAPPERS.values(), ids=list(WRAPPERS))
def test_each_wrapper_alone(wrapper: str, line: str) -> None:
    found = scan(wrapper + line)
    assert [bare(record) for record in found.records] == [bare(record) for record in of(line)]
    assert found.stats_like == 0


def bare(record: Record) -> tuple[object, ...]:
    """Return a record without its text, which shows the whole line."""
    if isinstance(record, Event):
        return record.kind, record.time, dict(record.fields), record.level
    assert isinstance(record, Sample)
    return record.time, record.engine, dict(record.values)


@settings(deadline=None, max_examples=400)
@given(STACKS, st.sampled_from(LINES), STACKS, st.integers(0, 2), st.booleans())
def test_any_stack_of_wrappers(
    stack: str, line: str, outer: str, dockers: int, tight: bool
) -> None:
    wrapped = stack + line
    for _ in range(dockers):
        wrapped = docker(wrapped)
        wrapped = compact(wrapped) if tight else wrapped
    if dockers:
        wrapped = outer + wrapped
    found = scan(wrapped)
    assert [bare(record) for record in found.records] == [bare(record) for record in of(line)]
    assert found.stats_like == 0


TRACE = [
    "Traceback (most recent call last):",
    '  File "/x.py", line 8, in <module>',
    "    sys.exit(main())",
    "OSError: [Errno 98] Address already in use",
]


@given(STACKS, st.booleans())
def test_a_traceback_in_any_stack_of_wrappers(stack: str, in_docker: bool) -> None:
    lines = [stack + line for line in TRACE]
    lines = [docker(line) for line in lines] if in_docker else lines
    (event,) = scan(*lines, twin=True).records
    assert isinstance(event, Event)
    assert event.fields["error"] == "OSError: [Errno 98] Address already in use"
    assert event.text.splitlines() == TRACE


@pytest.mark.parametrize(
    "quoted",
    [
        f"user said: {NAMED}",
        f"a\n{NAMED}",
        f"x {COLOURED}",
        "y (EngineCore pid=1) ERROR 11-23 09:00:00 [core.py:9] EngineCore encountered a fatal error.",
    ],
)
@pytest.mark.parametrize(
    "keys",
    [
        {"asctime": "2026-11-23 09:00:00,1", "levelname": "INFO", "name": "vllm.v1.loggers"},
        {"timestamp": "2026-11-23T09:00:00Z", "logger": "vllm.v1.metrics.loggers"},
        {"timestamp": "2026-11-23T09:00:00Z"},
        {"name": "vllm.v1.metrics.loggers"},
        {},
    ],
)
def test_a_json_message_that_quotes_a_line_says_nothing(keys: dict[str, str], quoted: str) -> None:
    for name in ("message", "body", "prompt"):
        assert scan(json.dumps({**keys, name: quoted})).records == []
        assert scan(json.dumps({name: quoted, **keys})).records == []
    assert scan(json.dumps({**keys, "message": "hello", "prompt": quoted})).records == []


@pytest.mark.parametrize("start", [NAMED, PLAIN, COLOURED, PREFIXED, "vllm-1  | " + NAMED])
@pytest.mark.parametrize("key", ["message", "log", "msg"])
def test_a_json_message_that_is_a_whole_line_is_that_line(key: str, start: str) -> None:
    found = scan(json.dumps({"time": "2026-11-23T09:00:00Z", key: start, "stream": "stdout"}))
    assert found.records == of(PLAIN)


@pytest.mark.parametrize("line", [LOGGER_JSON, docker(NAMED), docker(BARE), docker(LOGGER_JSON)])
def test_json_that_is_cut_off_anywhere_raises_nothing(line: str) -> None:
    for end in range(len(line)):
        assert scan(line[:end], NAMED).records[-1] == of(PLAIN)[0]


@pytest.mark.parametrize(
    "line",
    [
        '{"message": 5, "name": "vllm.v1.metrics.loggers", "asctime": "2026-11-23 09:00:00"}',
        '{"message": null}',
        '{"message": ["Engine 000: "], "name": {}, "asctime": []}',
        '{"log": {"log": "x"}}',
        '{"log": "{\\"log\\": 5}"}',
        '{"log": "\\ud800"}',
        '{"message": "x", "name": "a.b", "asctime": "2026-13-45 99:99:99"}',
        '{"message": "x", "name": "..", "asctime": "2026-11-23 09:00:00", "levelname": 3}',
        '{"":{"":""}}',
        '{"log": ' + "9" * 5000 + "}",
        '{"log": NaN}',
        '[{"log": "x"}]',
        '{"log": "' + "x" * 5_000_000 + '"}',
        '{"log": "' + "x" * 5_000_000,
        '{"a": ' * 1000 + "1" + "}" * 1000,
        '{"log": ' * 100_000,
        '{"log": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"' * 100_000,
        "\ufeff" + LOGGER_JSON[:40],
    ],
    ids=range(19),
)
def test_odd_json_raises_nothing_and_hides_nothing(line: str) -> None:
    assert scan(line, NAMED).records == of(PLAIN)


def test_json_that_is_nested_1000_deep_as_a_docker_line() -> None:
    line = BARE
    for _ in range(12):  # each layer doubles the backslashes
        line = docker(line)
    scan(line)
    deep = json.dumps({"log": '{"log": ' * 1000 + '"x"' + "}" * 1000})
    assert scan(deep, NAMED).records == of(PLAIN)


def test_bytes_that_are_no_utf8_in_json() -> None:
    assert scanner().scan(b'{"log": "\xff\xfe"}\n' + PLAIN.encode()).records == of(PLAIN)
