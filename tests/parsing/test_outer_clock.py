"""Lines without vLLM's stamp have the time of the wrapper's stamp before them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from datetime import UTC, timedelta, timezone
from itertools import pairwise
from unittest.mock import patch

import pytest

from tests.logs import formats
from tests.parsing.scanning import STATS
from vllm_watch.core.records import Event, Record, Requests, records_of
from vllm_watch.parsing import scanner as scanning
from vllm_watch.parsing.outerstamps import OuterStamp, outer_stamp
from vllm_watch.parsing.scanner import Scanner
from vllm_watch.parsing.scannerstate import guess_state, scan_ahead, scanner_ahead, take_over
from vllm_watch.parsing.timestamps import StampClock, Zone

NINE = 1795424400.0  # date -u -d '2026-11-23 09:00:00' +%s
DIED = NINE + 17 * 60 + 5
OWN = b"(APIServer pid=7) INFO 11-23 09:00:00 [loggers.py:310] " + STATS
NEXT = b"(APIServer pid=7) INFO 11-23 09:20:10 [loggers.py:310] " + STATS
FAILED = b'INFO:     10.0.0.7:41234 - "POST /v1/completions HTTP/1.1" 500 Internal Server Error'
DEATH = (
    b"(EngineCore_DP0 pid=9) Traceback (most recent call last):",
    b'(EngineCore_DP0 pid=9)   File "core.py", line 1, in run',
    b"(EngineCore_DP0 pid=9) RuntimeError: CUDA error: an illegal memory access was encountered",
    b"Killed",
)

SHAPES: dict[str, tuple[bytes, bytes]] = {
    "docker logs -t": (b"2026-11-23T09:00:00.331095044Z ", b"2026-11-23T09:17:05.331095044Z "),
    "docker compose logs -t": (
        b"vllm-1  | 2026-11-23T09:00:00.331095044Z ",
        b"vllm-1  | 2026-11-23T09:17:05.900095044Z ",
    ),
    "kubectl logs --timestamps --prefix, vLLM eight hours ahead": (
        b"[pod/heron-6c7676-xfq2/vllm] 2026-11-23T01:00:00.8Z ",
        b"[pod/heron-6c7676-xfq2/vllm] 2026-11-23T01:17:05.1Z ",
    ),
    "kubectl logs --timestamps, vLLM five hours and three quarters ahead": (
        b"2026-11-23T03:15:00.1Z ",
        b"2026-11-23T03:32:05.1Z ",
    ),
    "a file of containerd": (
        b"2026-11-23T10:00:01.033+01:00 stdout F ",
        b"2026-11-23T10:17:05.331+01:00 stderr F ",
    ),
    "Docker Desktop": (b"2026-11-23 09:00:00.123 | ", b"2026-11-23 09:17:05.123 | "),
    "Google Cloud's console": (
        b"INFO 2026-11-23T17:00:00.096625454Z [resource.labels.containerName: vllm] ",
        b"ERROR 2026-11-23T17:17:05.096625454Z [resource.labels.containerName: vllm] ",
    ),
    "journalctl, syslog": (
        b"Nov 23 09:00:00 gpu-host vllm[8707]: ",
        b"Nov 23 09:17:05 gpu-host vllm[8707]: ",
    ),
    "journalctl in another zone": (
        b"Nov 22 23:00:00 gpu-host bash[367371]: ",
        b"Nov 22 23:17:05 gpu-host bash[367371]: ",
    ),
    "journalctl -o short-iso": (
        b"2026-11-23T10:00:00+0100 gpu-host vllm[8707]: ",
        b"2026-11-23T10:17:05+0100 gpu-host vllm[8707]: ",
    ),
    "journalctl -o short-full": (
        b"Mon 2026-11-23 09:00:00 UTC gpu-host vllm[8707]: ",
        b"Mon 2026-11-23 09:17:05 UTC gpu-host vllm[8707]: ",
    ),
    "syslog (RFC 5424)": (
        b"<14>1 2026-11-23T09:00:00.331Z gpu-host vllm 123 - - ",
        b"<11>1 2026-11-23T09:17:05.331Z gpu-host vllm 123 - - ",
    ),
    "ts": (b"Nov 23 09:00:00 ", b"Nov 23 09:17:05 "),
    "ts '[%Y-%m-%d %H:%M:%S]'": (b"[2026-11-23 09:00:00] ", b"[2026-11-23 09:17:05] "),
    "ts -s: since the server was started": (b"01:12:11 ", b"01:29:16 "),
    "honcho, foreman": (b"09:00:00 vllm.1  | ", b"09:17:05 vllm.1  | "),
    "pm2": (b"0|vllm     | 2026-11-23T09:00:00: ", b"0|vllm     | 2026-11-23T09:17:05: "),
    "a supervisor": (
        b"2026-11-23 09:00:00.604 [Info] (Process) ",
        b"2026-11-23 09:17:05.604 [Info] (Process) ",
    ),
    "a launcher": (b"[2026/11/23 09:00:00] ", b"[2026/11/23 09:17:05] "),
    "a host whose clock is 2 min 37 s fast": (
        b"2026-11-23T09:02:37.1Z ",
        b"2026-11-23T09:19:42.1Z ",
    ),
}
"""Shapes to the text before a line of 09:00:00 by vLLM's stamp, and before what an operator would
say was written at 09:17:05 by the same clock."""


def scanner() -> Scanner:
    return Scanner(formats(), StampClock(Zone(UTC, "given"), 2026))


def plain(prefix: bytes, line: bytes) -> bytes:
    return prefix + line + b"\n"


def as_json(stamp: bytes, line: bytes) -> bytes:
    fields = {"log": line.decode() + "\n", "stream": "stderr", "time": stamp.decode()}
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def events(records: Iterable[Record]) -> list[tuple[str, float | None, float | None]]:
    """Kind, newest stamp before it, and when it was written."""
    return [
        (r.kind, r.after, r.written) for r in records if isinstance(r, Event) and r.time is None
    ]


def read(pieces: Iterable[bytes], reader: Scanner | None = None) -> list[Record]:
    reader = reader or scanner()
    return [record for piece in pieces for record in records_of(reader.scan(piece).items)]


def times_of_failures(records: Iterable[Record]) -> list[float | None]:
    return [r.time for r in records if isinstance(r, Requests) and r.failing]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_death_was_when_its_wrapper_says(shape: str) -> None:
    before, after = SHAPES[shape]
    lines = [plain(before, OWN), *(plain(after, line) for line in DEATH)]
    for pieces in ([b"".join(lines)], lines):
        expected = [("traceback", NINE, DIED), ("killed", NINE, DIED)]
        assert events(read(pieces)) == expected


def test_docker_s_own_json_lines() -> None:
    lines = [as_json(b"2026-11-23T09:00:00.331095044Z", OWN)]
    lines += [as_json(b"2026-11-23T09:17:05.331095044Z", line) for line in DEATH]
    for pieces in ([b"".join(lines)], lines):
        assert [written for *_, written in events(read(pieces))] == [DIED, DIED]


@pytest.mark.parametrize("shape", SHAPES)
def test_an_error_answer_has_its_own_time_if_the_clocks_agree(shape: str) -> None:
    before, after = SHAPES[shape]
    log = [plain(before, OWN), plain(after, FAILED)]
    expected = NINE if "fast" in shape or "started" in shape else DIED
    for pieces in ([b"".join(log)], log, [plain(before, OWN) + plain(after, FAILED), b""]):
        assert times_of_failures(read(pieces)) == [expected]


def test_without_a_wrapper_only_the_newest_stamp_is_known() -> None:
    lines = [plain(b"", line) for line in (OWN, FAILED, *DEATH)]
    found = read([b"".join(lines)])
    assert events(found) == [("traceback", NINE, None), ("killed", NINE, None)]
    assert times_of_failures(found) == [NINE]


@pytest.mark.parametrize("wrapper", [b"", b"2026-11-23 09:00:00 | "])
def test_a_zone_that_is_found_later_moves_what_is_still_to_come(wrapper: bytes) -> None:
    """Also the newest stamp, which lines without any have, and requests."""
    reader = Scanner(formats(), StampClock(Zone(UTC, "assumed"), 2026))
    read([plain(wrapper, OWN)], reader)
    shift = reader.rezone(Zone(timezone(timedelta(hours=2)), "arrival"))
    assert shift == -7200
    after = wrapper.replace(b"00 |", b"30 |")
    found = read([plain(after, b"Killed"), plain(after, FAILED)], reader)
    assert events(found) == [("killed", NINE - 7200, NINE - 7170 if wrapper else None)]
    assert times_of_failures(found) == [NINE - 7170 if wrapper else NINE - 7200]


def test_a_traceback_in_pieces_was_written_when_its_first_line_was() -> None:
    before, after = SHAPES["docker logs -t"]
    later = b"2026-11-23T09:19:59.1Z "
    first, *rest = DEATH
    pieces = [plain(before, OWN), plain(after, first), *(plain(later, line) for line in rest)]
    assert events(read(pieces))[0] == ("traceback", NINE, DIED)


def test_the_newest_line_with_both_stamps_counts() -> None:
    """The wrapper's zone changes, as at the end of summer time; later lines follow it."""
    lines = [
        plain(b"2026-11-23 11:00:00.1 | ", OWN),
        plain(b"2026-11-23 11:10:00.1 | ", b"Killed"),
        plain(b"2026-11-23 10:20:10.1 | ", NEXT),
        plain(b"2026-11-23 10:30:00.1 | ", b"Killed"),
    ]
    for pieces in ([b"".join(lines)], lines):
        assert events(read(pieces)) == [
            ("killed", NINE, NINE + 600),
            ("killed", NINE + 1210, NINE + 1800),
        ]


def test_lines_without_the_wrapper_do_not_forget_it() -> None:
    """A launcher that writes its stamp only before the first line of a chunk."""
    lines = [
        plain(b"[2026/11/23 17:00:00] ", OWN),
        plain(b"", NEXT),
        plain(b"[2026/11/23 17:20:15] ", b"Killed"),
    ]
    for pieces in ([b"".join(lines)], lines):
        assert events(read(pieces)) == [("killed", NINE + 1210, NINE + 1215)]


def test_lines_that_waited_in_a_pipe_are_as_far_apart_as_their_wrappers() -> None:
    lines = [plain(b"Nov 23 09:05:00 ", OWN), plain(b"Nov 23 09:05:02 ", b"Killed")]
    assert events(read(lines)) == [("killed", NINE, NINE + 2)]


@pytest.mark.parametrize(
    ("before", "after", "passed"),
    [
        (b"Dec 31 23:59:59 ", b"Jan  1 00:00:09 ", 10),
        (b"Feb 28 23:59:59 ", b"Mar  1 00:00:09 ", 10),  # 2026 has no 29th of February
        (b"23:59:59 ", b"00:00:09 ", 10),
        (b"09:00:05 ", b"09:00:01 ", -4),
        (b"2026-12-31 23:59:59 | ", b"2027-01-01 00:00:09 | ", 10),
    ],
)
def test_midnight_passes(before: bytes, after: bytes, passed: int) -> None:
    first, second = outer_stamp(before), outer_stamp(after)
    assert first is not None
    assert second is not None
    assert second.since(first, 2026) == passed


@pytest.mark.parametrize(
    ("head", "stamp"),
    [
        (b"2026-05-12T08:01:39.331Z ", OuterStamp(2026, 5, 12, 28899, UTC)),
        (b"2026-05-12 08:01:39,331 ", OuterStamp(2026, 5, 12, 28899, None)),
        (
            b"2026-05-12T08:01:39-0330 ",
            OuterStamp(2026, 5, 12, 28899, timezone(-timedelta(hours=3, minutes=30))),
        ),
        (b"vllm-1 | 2026/05/12 08:01:39 Z", OuterStamp(2026, 5, 12, 28899, UTC)),
        (b"May  2 08:01:39 host vllm[1]: ", OuterStamp(0, 5, 2, 28899, None)),
        (b"08:01:39 ", OuterStamp(0, 0, 0, 28899, None)),
        (b"(APIServer pid=7) ", None),
        (b"28:01:39 ", None),
        (b"[rank0]: ", None),
    ],
)
def test_a_wrapper_s_stamp(head: bytes, stamp: OuterStamp | None) -> None:
    assert outer_stamp(head) == stamp


def test_no_such_day() -> None:
    stamp = outer_stamp(b"2026-02-30T08:01:39Z ")
    assert stamp is not None
    assert stamp.at(UTC) is None
    lines = [plain(b"2026-02-30T08:01:39Z ", OWN), plain(b"2026-02-30T08:01:49Z ", b"Killed")]
    assert events(read(lines)) == [("killed", NINE, None)]


@pytest.mark.parametrize(
    ("zone", "lines", "written"),
    [
        # No line of vLLM yet: a zone says everything, a date alone nothing.
        ("assumed", [b"2026-11-23T09:17:05.331Z Killed"], DIED),
        ("assumed", [b"2026-11-23 09:17:05.331 | Killed"], None),
        ("given", [b"Nov 23 09:17:05 Killed"], None),
        ("given", [b"09:17:05 Killed"], None),
        # vLLM's lines have no wrapper, another program's line has a date.
        ("given", [OWN, b"2026-11-23T11:17:05+02:00 Killed"], DIED),
        ("given", [OWN, b"2026-11-23 09:17:05,331 Killed"], DIED),
        ("given", [OWN, b"2026-11-23 11:17:05,331 Killed"], None),  # of another zone, or later
        ("given", [OWN, b"2026-11-23 08:17:05,331 Killed"], None),
        ("assumed", [OWN, b"2026-11-23T09:17:05Z Killed"], DIED),
        ("assumed", [OWN, b"2026-11-23T01:17:05Z Killed"], None),  # vLLM's zone may not be UTC
        # Another kind of stamp than that of the line with both.
        ("given", [b"2026-11-23T01:00:00.1Z " + OWN, b"09:17:05 Killed"], None),
    ],
)
def test_where_no_line_with_both_stamps_shows_the_wrapper_s_clock(
    zone: str, lines: list[bytes], written: float | None
) -> None:
    for pieces in ([b"\n".join(lines) + b"\n"], [line + b"\n" for line in lines]):
        reader = Scanner(formats(), StampClock(Zone(UTC, zone), 2026))
        assert [at for *_, at in events(read(pieces, reader))] == [written]


def long_log(wrapper: Callable[[int], bytes], seed: int) -> list[bytes]:
    """Stats lines with access lines and unstamped events between them; seconds are since nine."""
    chance, lines = random.Random(seed), []
    for step in range(0, 3_000, 10):
        clock = b"%02d:%02d:%02d" % (9 + step // 3600, step // 60 % 60, step % 60)
        own = OWN.replace(b"09:00:00", clock).replace(
            b"2.0 tokens/s", b"%d.0 tokens/s" % (step % 99)
        )
        lines.append(plain(wrapper(step), own))
        for later in sorted(chance.choices(range(10), k=chance.choice((0, 0, 2, 4)))):
            ok = FAILED.replace(b"500 Internal Server Error", b"200 OK")
            lines.append(plain(wrapper(step + later), chance.choice((FAILED, ok, b"Killed"))))
        if not chance.randrange(20):
            lines += [plain(wrapper(step + 9), line) for line in DEATH]
    return lines


def facts(records: Iterable[Record]) -> tuple[list[object], list[object]]:
    """Events, and the times of failing requests."""
    failed: dict[float | None, int] = {}
    for record in records:
        if isinstance(record, Requests) and record.failing:
            failed[record.time] = failed.get(record.time, 0) + sum(record.failing.values())
    return [*events(records)], [*sorted(failed.items())]


WRAPPERS: dict[str, Callable[[int], bytes]] = {
    "docker": lambda s: b"2026-11-23T%02d:%02d:%02d.204Z " % (1 + s // 3600, s // 60 % 60, s % 60),
    "syslog": lambda s: (
        b"Nov 23 %02d:%02d:%02d gpu vllm[7]: " % (9 + s // 3600, s // 60 % 60, s % 60)
    ),
    "wrong": lambda s: b"2026-11-23T09:%02d:%02dZ " % ((s + 97) // 60 % 60, (s + 97) % 60),
    "some": lambda s: b"" if s % 70 else b"2026-11-23 10:%02d:%02d | " % (s // 60 % 60, s % 60),
    "none": lambda s: b"",
}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_all_ways_of_reading_give_the_same_times(
    wrapper: str, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = long_log(WRAPPERS[wrapper], 5)
    expected = facts(read(lines))
    assert len(expected[0]) > 100
    log, chance = b"".join(lines), random.Random(7)
    if large:
        monkeypatch.setattr(scanning, "LARGE_BLOCK", 2_000)
        monkeypatch.setattr(scanning, "FILTERED_FROM", 1_000)
        monkeypatch.setattr(scanning, "WORTH_IT", 0)
    for pieces in (1, 3, 20, 150):
        cuts = [0, *sorted(chance.sample(range(1, len(lines)), pieces - 1)), len(lines)]
        blocks = [b"".join(lines[start:stop]) for start, stop in pairwise(cuts)]
        assert b"".join(blocks) == log
        assert facts(read(blocks)) == expected


def test_a_block_scanned_ahead_knows_the_wrapper_s_clock() -> None:
    lines = long_log(WRAPPERS["docker"], 9)
    first, before, block = lines[:40], lines[40:300], lines[300:]
    ahead = scanner_ahead(formats(), StampClock(Zone(UTC, "given"), 2026))
    ahead.clock.resolve(b"11-23 09:00:00")
    assert guess_state(ahead, b"".join(before))
    scanned = scan_ahead(ahead, b"".join(block))
    reader = scanner()
    found = read([b"".join(first), b"".join(before)], reader)
    taken = take_over(reader, scanned)
    assert taken is not None
    assert facts([*found, *records_of(taken.items)]) == facts(read(lines))


def test_plain_lines_are_not_searched_for_a_wrapper() -> None:
    with patch("vllm_watch.parsing.outerclock.outer_stamp", side_effect=AssertionError):
        read([plain(b"", line) for line in (OWN, NEXT, OWN)])
