"""Searches of blocks: the same records wherever a file is cut, and no false matches."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.logs import log_of
from tests.parsing.scanning import ACCESS, ENVELOPE, OTHER, PROMPT, STATS, samples, scanner, stamped
from vllm_watch.core.records import Amendment, Event, Record, Requests, Sample


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

    @settings(max_examples=25)
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
    """Return records with amendments applied and neighbouring requests of one stamp added up."""
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
            polls = last.polls + record.polls
            failing = dict(Counter(last.failing) + Counter(record.failing))
            seen[-1] = Requests(last.time, dict(served), polls, failing)
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
