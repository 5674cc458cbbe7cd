"""Blocks searched: the same records however a file is cut, and nothing fooled."""

from __future__ import annotations

from collections import Counter
from datetime import UTC
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.logs import formats, log_of
from vllm_watch.core.records import Amendment, Event, Record, Requests, Sample
from vllm_watch.parsing.scanner import Scanner
from vllm_watch.parsing.timestamps import StampClock, Zone

FORMATS = formats()
STATS = (
    b"Engine 000: Avg prompt throughput: 1.0 tokens/s, Avg generation throughput: 2.0 tokens/s, "
    b"Running: 3 reqs, Waiting: 4 reqs, GPU KV cache usage: 5.0%, Prefix cache hit rate: 6.0%"
)
ENVELOPE = b"(APIServer pid=7) INFO 11-23 09:00:00 [loggers.py:310] "


def scanner(*, twin: bool = False) -> Scanner:
    return Scanner(FORMATS, StampClock(Zone(UTC, "given"), 2026), twin=twin)


def samples(block: bytes) -> list[Sample]:
    return [r for r in scanner().scan(block).records if isinstance(r, Sample)]


def merged(records: list[Record]) -> tuple[list[object], Counter[str], int]:
    """Return samples with their amendments, events, and requests added up."""
    seen: list[object] = []
    served: Counter[str] = Counter()
    polls = 0
    for record in records:
        if isinstance(record, Amendment):
            last = next(i for i in range(len(seen) - 1, -1, -1) if isinstance(seen[i], Sample))
            sample = seen[last]
            assert isinstance(sample, Sample)
            seen[last] = Sample(sample.time, sample.engine, {**sample.values, **record.values})
        elif isinstance(record, Requests):
            served.update(record.served)
            polls += record.polls
        else:
            seen.append(record)
    return seen, served, polls


@pytest.mark.parametrize("capture", ["cpu_spec_decode_colour", "h100_saturated_then_killed"])
def test_cutting_between_lines_changes_nothing(capture: str) -> None:
    data = log_of(capture).read_bytes()
    whole = merged(scanner().scan(data).records)

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.integers(0, data.count(b"\n")), max_size=12))
    def check(cuts: list[int]) -> None:
        lines = data.splitlines(keepends=True)
        edges = [0, *sorted(cuts), len(lines)]
        one = scanner()
        records: list[Record] = []
        for start, stop in pairwise(edges):
            records += one.scan(b"".join(lines[start:stop])).records
        assert merged(records) == whole

    check()


def test_a_glued_stats_line_counts() -> None:
    glued = b"WARNING: something without newline" + ENVELOPE + STATS + b"\n"
    assert [s.values["running"] for s in samples(glued)] == [3.0]
    twice = ENVELOPE + STATS + b" " + ENVELOPE.strip() + b" x\n"
    assert len(samples(twice)) == 1


def test_a_prompt_with_a_whole_stats_line_gives_nothing() -> None:
    prompt = (
        b"(APIServer pid=7) INFO 11-23 09:00:00 [logger.py:40] Received request cmpl-1: prompt: 'a "
        + ENVELOPE
        + STATS
        + b' INFO:     1.2.3.4:5 - "POST /v1/completions HTTP/1.1" 500 x'
        + b" INFO 11-23 09:00:00 [core.py:1] EngineCore encountered a fatal error.'\n"
    )
    scan = scanner().scan(prompt + ENVELOPE + STATS + b"\n")
    assert [type(record) for record in scan.records] == [Sample]
    assert scan.stats_like == 0


@pytest.mark.parametrize("broken_at", [200, 210, 260, 300, 400])
def test_the_rest_of_a_prompt_that_was_cut_stays_opaque(broken_at: int) -> None:
    """A line of more than 8 MB comes in pieces; what is quoted in a later one is quoted, too."""
    head = (
        b"(APIServer pid=7) INFO 11-23 09:00:00 [logger.py:40] Received request cmpl-1: prompt: '"
    )
    line = head + b"x" * 100 + ENVELOPE + STATS + b" y" + ENVELOPE + STATS + b"'\n"
    one = scanner()
    assert len(head) < broken_at < len(line)
    first = one.scan(line[:broken_at])
    second = one.scan(line[broken_at : broken_at + 50], continued=True)
    third = one.scan(line[broken_at + 50 :] + ENVELOPE + STATS + b"\n", continued=True)
    found = [*first.records, *second.records, *third.records]
    assert [type(record) for record in found] == [Sample]
    assert first.lines + second.lines + third.lines == 2
    assert len(samples(line + ENVELOPE + STATS + b"\n")) == 1


def test_a_line_behind_one_that_was_never_ended_is_read() -> None:
    """After a truncation the next block does not continue the line that the last one ended in."""
    one = scanner()
    one.scan(b"INFO 11-23 09:00:00 [logger.py:40] Received request cmpl-1: prompt: 'a")
    assert len(one.scan(ENVELOPE + STATS + b"\n").records) == 1


def test_a_stats_line_without_its_envelope_is_counted_not_read() -> None:
    scan = scanner().scan(b"somebody said: " + STATS + b"\n" + ENVELOPE + STATS + b"\n")
    assert len([r for r in scan.records if isinstance(r, Sample)]) == 1
    assert scan.stats_like == 1


def test_another_logger_s_file_gives_no_sample() -> None:
    other = ENVELOPE.replace(b"loggers.py", b"serving.py")
    assert samples(other + STATS + b"\n") == []


@pytest.mark.parametrize(
    "noise",
    [b"\x00" * 5000, b"\xff\xfe\x80" * 1000, b"x" * 1_000_000, b"\x1b]0;title\x07", b".py:" * 9000],
)
def test_noise_around_it_loses_nothing(noise: bytes) -> None:
    block = noise + b"\n" + ENVELOPE + STATS + b"\r\n" + noise + b"\n" + ENVELOPE + STATS + b"\n"
    assert len(samples(block)) == 2


def test_errors_of_one_message_belong_together() -> None:
    records = scanner().scan(log_of("cpu_startup_failure").read_bytes()).records
    errors = [r for r in records if isinstance(r, Event) and r.kind == "error"]
    assert all(error.level == "ERROR" for error in errors)
    assert [error.continues for error in errors].count(False) <= 1
    causes = [r for r in records if isinstance(r, Event) and r.kind == "cause"]
    assert [cause.fields["cause"] for cause in causes] == ["KV cache too small"]
    assert causes[0].text.startswith("ValueError: To serve at least one request")


def test_a_traceback_may_arrive_in_two_blocks() -> None:
    data = log_of("cpu_port_in_use").with_suffix(".err").read_bytes()
    lines = data.splitlines(keepends=True)
    for cut in range(1, len(lines)):
        one = scanner(twin=True)
        records = one.scan(b"".join(lines[:cut])).records + one.scan(b"".join(lines[cut:])).records
        found = [r for r in records if isinstance(r, Event) and r.kind == "traceback"]
        assert [event.fields["error"] for event in found] == [
            "OSError: [Errno 98] Address already in use"
        ]
        assert found[0].twin
        assert found[0].text.count("\n") == 29  # lines 2 … 31 of the file


def test_shown_text_holds_nothing_that_acts() -> None:
    line = (
        b"(EngineCore pid=1) ERROR 11-23 09:00:00 [core.py:9] \x1b]0;evil\x07bad \x1b[31mred"
        b"\x1b[0m \xe2\x80\xae[bold]x[/bold]\x07\n"
    )
    (event,) = scanner().scan(line).records
    assert isinstance(event, Event)
    assert event.text == "bad red [bold]x[/bold]"


ACCESS = b'INFO:     127.0.0.1:41234 - "POST /v1/completions HTTP/1.1" 200 OK'
OTHER = (
    b"(APIServer pid=8) INFO 11-23 09:00:00 [loggers.py:310] Engine 001: Avg prompt throughput: "
    b"9.0 tokens/s, Running: 33 reqs"
)


def events(block: bytes, *, twin: bool = False) -> list[Event]:
    return [r for r in scanner(twin=twin).scan(block).records if isinstance(r, Event)]


def requests(*blocks: bytes) -> list[Requests]:
    one = scanner()
    return [r for block in blocks for r in one.scan(block).records if isinstance(r, Requests)]


def stamped(minute: int, file: bytes = b"x.py", text: bytes = b"nothing") -> bytes:
    return b"(APIServer pid=7) INFO 11-23 09:%02d:00 [%s:1] %s\n" % (minute, file, text)


def minute(number: int) -> float:
    return 1795424400.0 + 60 * number  # date -u -d '2026-11-23 09:00:00' +%s


PROMPT = b"Received request cmpl-1: prompt: 'a " + ENVELOPE + STATS + b" " + ACCESS + b"'"
PIECES = st.sampled_from(
    [
        ENVELOPE + STATS + b"\n",
        ENVELOPE + STATS + OTHER + b"\n",
        ENVELOPE + STATS + ACCESS + b"\n",
        ACCESS + ENVELOPE + STATS + b"\n",
        ACCESS + b"\n",
        ACCESS + ACCESS + b"\n",
        ACCESS.replace(b"200 OK", b"500 Internal Server Error") + b"\n",
        ACCESS.replace(b"POST /v1/completions", b"GET /health") + b"\n",
        stamped(1),
        stamped(2),
        stamped(3, b"logger.py", PROMPT),
        ENVELOPE.replace(b"loggers", b"metrics")
        + b"SpecDecoding metrics: Mean acceptance length: 2.5\n",
        stamped(4).replace(b"INFO", b"ERROR"),
        b"Killed\n",
        b"Traceback (most recent call last):\n",
        b"  indented\n",
        b"ValueError: x\n",
        b"\n",
        b"noise\r\n",
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=20), st.lists(st.integers(0, 20), max_size=6))
def test_any_row_of_lines_gives_the_same_however_it_is_cut(
    lines: list[bytes], cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(lines)) for cut in cuts), len(lines)]
    whole = scanner().scan(b"".join(lines))
    one = scanner()
    scans = [one.scan(b"".join(lines[a:b])) for a, b in pairwise(edges)]
    records = [record for scan in scans for record in scan.records]
    assert merged_in_place(records) == merged_in_place(whole.records)
    assert sum(scan.stats_like for scan in scans) == whole.stats_like
    assert sum(scan.lines for scan in scans) == whole.lines
    stamps = [scan.newest_stamp for scan in scans if scan.newest_stamp is not None]
    assert max(stamps, default=None) == whole.newest_stamp


def merged_in_place(records: list[Record]) -> list[object]:
    """Return records with amendments put in and neighbouring requests of one stamp added up."""
    seen: list[object] = []
    newest: int | None = None
    for record in records:
        last = seen[-1] if seen else None
        if isinstance(record, Amendment):
            if newest is not None:
                sample = seen[newest]
                assert isinstance(sample, Sample)
                values = {**sample.values, **record.values}
                seen[newest] = Sample(sample.time, sample.engine, values)
        elif (
            isinstance(record, Requests) and isinstance(last, Requests) and last.time == record.time
        ):
            served = Counter(last.served) + Counter(record.served)
            polls, other = last.polls + record.polls, last.other + record.other
            failing = dict(Counter(last.failing) + Counter(record.failing))
            seen[-1] = Requests(last.time, dict(served), polls, other, failing)
        else:
            if isinstance(record, Sample):
                newest = len(seen)
            seen.append(record)
    return seen


@pytest.mark.parametrize(
    "capture",
    ["cpu_two_engines", "cpu_one_file", "h100_baseline_eager", "cpu_startup_failure"],
)
def test_one_line_at_a_time_gives_the_same_in_the_same_order(capture: str) -> None:
    data = log_of(capture).read_bytes()
    one = scanner()
    records = [r for line in data.splitlines(keepends=True) for r in one.scan(line).records]
    assert merged_in_place(records) == merged_in_place(scanner().scan(data).records)


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


def test_requests_are_told_apart_by_route_method_and_status() -> None:
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
        Requests(None, {"200": 2, "400": 1}, polls=3, other=2, failing={"/v1/embeddings": 1})
    ]
    old = b'INFO:     127.0.0.1:1 - "POST /v1/completions HTTP/1.0" 200 OK\n'
    assert requests(old) == [Requests(None, {"200": 1}, polls=0, other=0)]


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
