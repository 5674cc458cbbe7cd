"""Large blocks are read in another way than small ones, with the same result."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.badlogs import almost_stats
from tests.logs import FIXTURES
from tests.parsing.scanning import scanner
from vllm_watch.core.records import (
    Amendment,
    Event,
    Record,
    Requests,
    RequestTable,
    Sample,
    SampleTable,
)
from vllm_watch.parsing import accessfilter, blocks, smallaccessfilter
from vllm_watch.parsing import scanner as scanning
from vllm_watch.parsing.accessfilter import AccessFilter
from vllm_watch.parsing.scan import Scan
from vllm_watch.parsing.text import STATS_LIKE

STATS = (
    b"%b Engine %03d: Avg prompt throughput: %d.%d tokens/s, Avg generation throughput: %d.0 "
    b"tokens/s, Running: %d reqs, Waiting: 0 reqs, GPU KV cache usage: %d.%d%%%b\n"
)
SPEC = (
    b"(APIServer pid=7) INFO %b [metrics.py:101] SpecDecoding metrics: Mean acceptance length: 2.%d,"
    b" Accepted throughput: 1.00 tokens/s, Drafted throughput: 3.00 tokens/s, Accepted: 7 tokens, "
    b"Drafted: 9 tokens, Per-position acceptance rate: 0.7, 0.3, Avg Draft acceptance rate: %d.5%%\n"
)
ACCESS = b'%b127.0.0.1:%d - "%b HTTP/1.1" %b\n'
POST = b"POST /v1/completions"
ODD = (
    b"(APIServer pid=7) INFO %b [scheduler.py:9] something happened with %d requests\n",
    b"(EngineCore pid=%d) INFO %b [scheduler.py:9] other things happened\n",
    b"(APIServer pid=7) INFO %b [logger.py:40] Received request cmpl-%d: prompt: 'Killed {\"a\"'\n",
    b"(EngineCore pid=9) ERROR %b [core.py:7] CUDA out of memory. %d\n",
    b"(EngineCore pid=9) ERROR %b [core.py:7] and another line of it %d\n",
    b"(APIServer pid=7) INFO %b [api_server.py:1] vLLM API server version 0.%d.0\n",
    b"Traceback (most recent call last):\n",
    b'  File "x.py", line %d, in f\n',
    b"ValueError: %d is wrong\n",
    b"INFO:     Application startup complete.\n",
    b"some words of a library, %d of them\n",
    b"(APIServer pid=7) WARNING %b [x.py:3] it said Killed %d times\r\n",
    b"Loading safetensors checkpoint shards:  75%% Completed | %d/4 [00:03<00:01,  1.02s/it]\r\n",
    b'INFO:     10.0.0.1 x:%d - "POST /v1/completions HTTP/1.1" 200 OK\n',
    b"\x00\x00\xff\xfe\n",
    b'{"message": "said by %d", "levelname": "INFO", "name": "a.b", "asctime": "2026-11-23 09:0"}\n',
)


def stamp(second: int) -> bytes:
    day, rest = divmod(second, 86_400)
    return b"11-%02d %02d:%02d:%02d" % (20 + day, rest // 3600, rest // 60 % 60, rest % 60)


def filled(pattern: bytes, when: bytes, chance: random.Random) -> bytes:
    kinds = pattern.replace(b"%%", b"").split(b"%")[1:]
    values = [when if kind.startswith(b"b") else chance.randrange(12) for kind in kinds]
    return pattern % tuple(values)


def random_log(seed: int, size: int = 250) -> bytes:
    """Return a log with any lines next to each other, mostly access lines."""
    chance = random.Random(seed)
    prefixes = [b"(APIServer pid=7) INFO:     ", b"INFO:     ", b"2026-11-2%d INFO:     "]
    lines, now = [], chance.randrange(80_000)
    for _ in range(size):
        now += chance.choice((0, 0, 1, 10))
        when, share = stamp(now), chance.random()
        if share < 0.6:
            prefix = chance.choice(prefixes) if chance.random() < 0.2 else prefixes[seed % 3]
            prefix = prefix.replace(b"%d", b"%d" % chance.randrange(9))
            route = chance.choice((POST, POST, POST, b"GET /metrics", b"POST /v1/other"))
            status = chance.choice((b"200 OK",) * 9 + (b"500 Internal Server Error",))
            line = ACCESS % (prefix, chance.randrange(70_000), route, status)
            if chance.random() < 0.1:
                line = line.replace(b"127.0.0.1", b"fd00:1::2a")
            lines += [line] * 3
        elif share < 0.8:
            head = b"(APIServer pid=%d) INFO %b [loggers.py:310]" % (
                chance.choice((7, 7, 1211)),
                when,
            )
            more = chance.choice((b"", b"", b"", b", Prefix cache hit rate: 1.5%", b", new: x"))
            numbers = [chance.choice((0, 3, 12, 4567)) for _ in range(6)]
            lines.append(STATS % (head, chance.randrange(2), *numbers, more))
            if chance.random() < 0.3:
                lines.append(SPEC % (when, chance.randrange(10), chance.randrange(99)))
        else:
            lines.append(filled(chance.choice(ODD), when, chance))
    return b"".join(lines)


def told(scans: list[Scan]) -> tuple[list[object], list[object], Counter[object]]:
    """Return samples (completed), events with the number of samples before, requests by time."""
    samples: list[tuple[float, int, dict[str, float], str]] = []
    events: list[object] = []
    requests: Counter[object] = Counter()
    records: list[Record] = [record for scan in scans for record in scan.records]
    for record in records:
        if isinstance(record, Sample):
            samples.append((record.time, record.engine, dict(record.values), record.writer))
        elif isinstance(record, Amendment):
            last = next(s for s in reversed(samples) if record.engine in (None, s[1]))
            last[2].update(record.values)
        elif isinstance(record, Event):
            events.append((len(samples), repr(record)))
        else:
            assert isinstance(record, Requests)
            for status, number in record.served.items():
                requests[record.time, status] += number
            requests[record.time, "polls"] += record.polls
            for route, number in record.failing.items():
                requests[record.time, route] += number
    return list(samples), events, +requests


def summed(scans: list[Scan]) -> tuple[int, float | None]:
    stamps = [scan.newest_stamp for scan in scans if scan.newest_stamp is not None]
    return sum(scan.lines for scan in scans), max(stamps, default=None)


@pytest.fixture
def eager(small_is_large: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read every block as a large one, and learn from little."""
    monkeypatch.setattr(accessfilter, "CLOSELY", 1)
    monkeypatch.setattr(scanning, "FILTERED_FROM", 1)
    monkeypatch.setattr(smallaccessfilter, "FEWEST", 2)
    monkeypatch.setattr(blocks, "MANY_BYTES", 1)


def in_small_blocks(data: bytes) -> list[Scan]:
    one = scanner()
    lines = data.splitlines(keepends=True) if b"\r" not in data else _lines(data)
    return [one.scan(line) for line in lines]


def _lines(data: bytes) -> list[bytes]:
    return [line + b"\n" for line in data.split(b"\n")[:-1]] + data.split(b"\n")[-1:]


@pytest.mark.usefixtures("eager")
@settings(max_examples=25)
@given(st.integers(0, 10**9), st.lists(st.integers(1, 400), max_size=4))
def test_random_logs_read_as_large_blocks_give_what_single_lines_give(
    seed: int, cuts: list[int]
) -> None:
    data = random_log(seed)
    lines = _lines(data)
    places = sorted({0, *(cut % len(lines) for cut in cuts), len(lines)})
    one = scanner()
    large = [one.scan(b"".join(lines[start:stop])) for start, stop in pairwise(places)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanning, "LARGE_BLOCK", 1 << 60)
        small = in_small_blocks(data)
        once = [scanner().scan(data)]
    assert told(large) == told(small) == told(once)
    assert summed(large) == summed(small)
    if len(large) == 1:
        assert large[0].stats_like == once[0].stats_like


def nearly_alike(seed: int) -> list[bytes]:
    """Return lines of which nearly all have one form; some others differ in one byte only."""
    chance = random.Random(seed)
    lines = []
    for number in range(400):
        line = ACCESS % (b"(APIServer pid=7) INFO:     ", chance.randrange(70_000), POST, b"200 OK")
        share = chance.random()
        if share < 0.02:
            at = chance.randrange(len(line) - 1)
            line = line[:at] + bytes([chance.choice(b" ,0x1:")]) + line[at + chance.randrange(2) :]
        elif share < 0.04:
            line = line.replace(POST, chance.choice((b"GET /metrics", POST + b"2")))
        elif share < 0.06:
            line = filled(chance.choice(ODD), stamp(number), chance)
        elif share < 0.1:
            head = b"INFO %b [loggers.py:310]" % stamp(number)
            line = STATS % (head, 0, number, 5, 7, 3, 12, 5, b"")
        lines.append(line)
    return lines


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("seed", range(12))
def test_lines_nearly_all_alike_read_together_give_what_single_lines_give(seed: int) -> None:
    lines = nearly_alike(seed)
    one = scanner()
    large = [one.scan(b"".join(lines[start : start + 40])) for start in range(0, 400, 40)]
    assert one._large is not None
    assert one._large._access._usual
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanning, "LARGE_BLOCK", 1 << 60)
        small = in_small_blocks(b"".join(lines))
        one = scanner()
        filtered = [one.scan(b"".join(lines[start : start + 40])) for start in range(0, 400, 40)]
    assert told(large) == told(small) == told(filtered)
    assert summed(large) == summed(small) == summed(filtered)


NUMBERS = (b"0.0", b"7.25", b"100.0", b"12345678.5", b"0.1", b"99999999.9999999", b"3.3")
ODDITIES = {
    "a long number": (b"throughput: 7.25", b"throughput: 123456789.25"),
    "more digits than are exact": (b"throughput: 7.25", b"throughput: 12345678.12345678"),
    "no fraction": (b"throughput: 7.25", b"throughput: 7"),
    "nothing before the dot": (b"throughput: 7.25", b"throughput: .25"),
    "a digit in a word": (b"Running: 3", b"Ru3nning: "),
    "another process": (b"pid=7", b"pid=12345"),
    "no such month": (b"INFO 11-", b"INFO 13-"),
    "no such day": (b"INFO 11-20", b"INFO 02-30"),
    "a leap day": (b"INFO 11-20", b"INFO 02-29"),
    "no such hour": (b" 00:", b" 24:"),
}
"""What differs in a line among lines of one shape."""
ALIKE = ("nothing", "another process")
"""Lines that are read at once all the same."""


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("what", ["nothing", *ODDITIES])
def test_lines_of_one_shape_read_at_once_give_what_single_lines_give(what: str) -> None:
    chance = random.Random(what)
    stats = STATS.replace(b"%d.%d tokens/s", b"%b tokens/s").replace(b"%d.%d%%", b"%b%%")
    lines = []
    for number in range(200):
        head = b"(APIServer pid=7) INFO %b [loggers.py:310]" % stamp(10 * number)
        values = chance.choice(NUMBERS), number, 3, chance.choice(NUMBERS)
        lines.append(stats % (head, number % 3, *values, b""))
    if what != "nothing":
        at = next(at for at in range(100, 200) if ODDITIES[what][0] in lines[at])
        lines[at] = lines[at].replace(*ODDITIES[what])
    one = scanner()

    scans = [one.scan(b"".join(lines[:100]))]
    assert one._known is not None
    shape = one._known.shape_of_all(lines[0])
    scans.append(one.scan(b"".join(lines[100:])))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanning, "LARGE_BLOCK", 1 << 60)
        small = in_small_blocks(b"".join(lines))
    assert told(scans) == told(small)
    assert summed(scans) == summed(small)
    assert shape is not None
    assert (shape.layout.read(b"".join(lines[100:])) is not None) == (what in ALIKE)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("log", sorted(FIXTURES.glob("*/*.log")), ids=lambda log: log.parent.name)
def test_captures_read_twice_over_as_large_blocks_give_the_same(log: Path) -> None:
    data = log.read_bytes()
    one = scanner()
    large = [one.scan(data), one.scan(data)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanning, "LARGE_BLOCK", 1 << 60)
        one = scanner()
        small = [one.scan(data), one.scan(data)]
    assert told(large) == told(small)
    assert [scan.stats_like for scan in large] == [scan.stats_like for scan in small]


@pytest.mark.usefixtures("eager")
def test_most_of_a_busy_log_is_read_without_looking_at_each_line() -> None:
    one = scanner()
    lines = []
    for number in range(50):
        lines += [ACCESS % (b"INFO:     ", 50_000 + number, POST, b"200 OK")] * 20
        head = b"INFO %b [loggers.py:310]" % stamp(number * 10)
        lines.append(STATS % (head, 0, number, 5, 7, 3, 12, 5, b""))
    one.scan(b"".join(lines))  # learns

    scan = one.scan(b"".join(lines))

    samples, requests = scan.items[1], scan.items[0]
    assert isinstance(samples, SampleTable)
    assert isinstance(requests, RequestTable)
    assert list(samples.columns["prompt_tps"])[:3] == [0.5, 1.5, 2.5]
    assert set(samples.columns["kv_cache_usage"]) == {0.125}
    assert list(requests.served["200"]) == [20] * 50
    assert len(scan.items) == 2


@pytest.mark.usefixtures("eager")
def test_text_between_usual_beginning_and_end_must_be_an_address() -> None:
    usual = [ACCESS % (b"INFO:     ", 1_000 + n, POST, b"200 OK") for n in range(40)]
    strange = usual[0].replace(b"127.0.0.1", b"a b")
    one = scanner()
    one.scan(b"".join(usual))

    scan = one.scan(b"".join([*usual, strange, *usual]))

    assert [record for record in scan.records if isinstance(record, Requests)] == [
        Requests(None, {"200": 80}, 0)
    ]


def test_a_line_without_end_is_passed_over_after_so_many_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scanning, "MOST_ENVELOPES", 5)
    head = b"INFO 11-23 09:00:0%d [loggers.py:310]"
    run_in = b"".join(STATS.rstrip() % (head % n, 0, n, 0, 0, 0, 0, 0, b"") for n in range(9))
    after = STATS % (b"INFO 11-23 09:00:11 [loggers.py:310]", 0, 7, 0, 0, 0, 0, 0, b"")

    samples, _, _ = told([scanner().scan(run_in + b"\n" + after)])
    assert len(samples) == 5 + 1

    one = scanner()
    samples, _, _ = told(
        [one.scan(run_in), one.scan(run_in + b"\n" + after, continued=True), one.scan(after)]
    )
    assert len(samples) == 5 + 2


@pytest.mark.usefixtures("eager")
def test_shapes_that_come_seldom_are_not_learnt() -> None:
    one = scanner()
    head = b"INFO 11-23 09:00:00 [loggers.py:310]"
    odd = [
        STATS % (head, 0, 1, 2, 3, 4, 5, 6, b", %b: 1" % bytes([97 + n // 26, 97 + n % 26]))
        for n in range(400)
    ]
    scan = one.scan(b"".join(odd * 2))
    assert len(scan.records) == 800
    assert one._known is not None
    assert not one._known._shapes
    one.scan(b"".join(odd[:1] * 9))
    assert len(one._known._shapes) == 1


@pytest.mark.usefixtures("eager")
def test_damaged_stats_lines_are_counted_and_not_searched_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "server.log"
    almost_stats(log, 24_000)
    lines = _lines(log.read_bytes()) * 20
    alone = [scanner().scan(line) for line in lines]
    samples = [any(isinstance(item, Sample) for item in scan.items) for scan in alone]
    unread = [STATS_LIKE in line and not read for line, read in zip(lines, samples, strict=True)]
    assert 0.1 < sum(unread) / len(lines) < 0.4
    removed: list[bytes] = []

    def remove_usual(self: AccessFilter, block: bytes, own: Any = AccessFilter.remove_usual) -> Any:
        removed.append(block)
        return own(self, block)

    monkeypatch.setattr(AccessFilter, "remove_usual", remove_usual)
    large, small = scanner(), scanner()
    for at in range(0, len(lines), 200):
        scan = large.scan(b"".join(lines[at : at + 200]))
        assert scan.stats_like == sum(unread[at : at + 200])
    assert 0 < len(removed) < 5  # then known and unknown lines alternate
    assert sum(small.scan(line).stats_like for line in lines) == sum(unread)


@pytest.mark.usefixtures("eager")
def test_requests_with_ids_of_their_own_cost_no_more_than_their_stamp() -> None:
    one = scanner()
    line = b"(APIServer pid=7) INFO %b [async_llm.py:300] Added request cmpl-%08xf version 1.2.3.\n"
    lines = [line % (stamp(n), n * 7_919) for n in range(300)]
    first = one.scan(b"".join(lines[:100]))
    assert one._known is not None

    kinds = one._known.kinds([text.rstrip() for text in lines[100:]])

    assert None not in kinds
    assert first.records == one.scan(b"".join(lines[100:])).records == []
    assert one.stamp == scanner().clock.resolve(stamp(299))


@given(st.lists(st.integers(0, 300), max_size=12), st.integers(0, 200))
def test_the_ends_of_lines_are_found_whatever_their_length(sizes: list[int], rest: int) -> None:
    block = b"".join(b"x" * size + b"\n" for size in sizes) + b"y" * rest

    ends = accessfilter._line_ends(block).tolist()

    assert ends == [at for at, byte in enumerate(block) if byte == 10]
