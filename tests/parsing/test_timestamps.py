"""Stamps without year or zone turned into times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from vllm_watch.parsing.timestamps import (
    StampClock,
    Zone,
    first_and_newest,
    year_of_first,
    zone_from_offset,
)
from vllm_watch.parsing.zonefinder import ZoneFinder, clock_for

BERLIN = ZoneInfo("Europe/Berlin")


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("first", "newest", "modified", "year"),
    [
        (b"11-23 09:00:00", b"11-23 10:00:00", "2026-11-23T10:00:05", 2026),
        (b"11-23 09:00:00", b"11-23 10:00:00", "2027-02-01T00:00:00", 2026),
        # Written on New Year's Eve, read a day later (or by a clock a day behind).
        (b"01-01 00:10:00", b"01-01 01:00:00", "2026-12-31T23:00:00", 2027),
        # New Year between the first and the newest stamp.
        (b"12-30 09:00:00", b"01-03 10:00:00", "2027-01-03T10:00:05", 2026),
        (b"12-30 09:00:00", b"01-03 10:00:00", "2026-12-31T10:00:00", 2025),
        # Later in the calendar than the modification time: last year's.
        (b"11-25 09:00:00", b"11-25 10:00:00", "2026-11-23T10:00:00", 2025),
        (b"02-29 09:00:00", b"02-29 10:00:00", "2026-06-01T00:00:00", 2024),
    ],
)
def test_the_year(first: bytes, newest: bytes, modified: str, year: int) -> None:
    at = datetime.fromisoformat(modified).replace(tzinfo=UTC)
    assert year_of_first(first, newest, at, UTC) == year


def test_new_year_is_counted_forwards_and_back() -> None:
    clock = StampClock(Zone(UTC, "given"), 2026)
    stamps = [b"12-31 23:59:59", b"01-01 00:00:01", b"12-31 23:59:58", b"01-01 00:00:02"]
    assert [clock.resolve(stamp) for stamp in stamps] == [
        utc("2026-12-31T23:59:59"),
        utc("2027-01-01T00:00:01"),
        utc("2026-12-31T23:59:58"),
        utc("2027-01-01T00:00:02"),
    ]


def test_the_hour_that_summer_time_repeats_keeps_its_order() -> None:
    clock = StampClock(Zone(BERLIN, "given"), 2026)
    stamps = [b"10-25 01:59:50", b"10-25 02:00:00", b"10-25 02:59:50", b"10-25 02:00:00"]
    stamps += [b"10-25 02:59:50", b"10-25 03:00:00"]
    times = [clock.resolve(stamp) for stamp in stamps]
    assert times == [
        utc("2026-10-24T23:59:50"),
        utc("2026-10-25T00:00:00"),
        utc("2026-10-25T00:59:50"),
        utc("2026-10-25T01:00:00"),
        utc("2026-10-25T01:59:50"),
        utc("2026-10-25T02:00:00"),
    ]


def test_a_day_that_does_not_exist_has_no_moment() -> None:
    clock = StampClock(Zone(UTC, "given"), 2026)
    assert clock.resolve(b"02-30 10:00:00") is None
    assert clock.resolve(b"13-01 10:00:00") is None
    assert clock.resolve(b"11-23 10:00:00") == utc("2026-11-23T10:00:00")


def test_another_zone_moves_what_was_read() -> None:
    clock = StampClock(Zone(UTC, "assumed"), 2026)
    before = clock.resolve(b"11-23 10:00:00")
    assert before is not None
    assert clock.rezone(Zone(timezone(timedelta(hours=2)), "arrival")) == -7200
    assert clock.resolve(b"11-23 10:00:00") == before - 7200


@pytest.mark.parametrize(
    ("hours", "off", "found"),
    [(0, 0, 0), (2, 60, 2), (-5, -119, -5), (5.5, 10, 5.5), (14, 0, 14), (2, 300, None),
     (15, 0, None), (-12, 0, -12), (-13, 0, None)],
)  # fmt: skip
def test_an_offset_near_a_quarter_is_a_zone(hours: float, off: float, found: float | None) -> None:
    seen = datetime(2026, 11, 23, 10, tzinfo=UTC)
    zone = zone_from_offset(seen + timedelta(hours=hours, seconds=off), seen)
    offset = None if zone is None else zone.utcoffset(None)
    assert offset == (None if found is None else timedelta(hours=found))


def test_stamps_are_found_in_any_coat() -> None:
    head = b"\x1b[0;36m(A pid=1)\x1b[0;0m \x1b[32mINFO\x1b[0m \x1b[90m11-23 09:26:18\x1b[0m x\n"
    tail = b"junk 11-24 00:00:00\nINFO 11-23 10:00:00 [a.py:1] x\nend"
    assert first_and_newest(head, tail) == (b"11-23 09:26:18", b"11-23 10:00:00")
    assert first_and_newest(b"nothing", b"") == (None, None)


LINE = b"INFO 11-23 12:00:00 [a.py:1] x\n"


def test_a_fresh_file_gives_its_zone() -> None:
    modified = utc("2026-11-23T10:00:30")
    clock = clock_for(LINE, LINE, modified, modified + 60, None, None)
    assert clock is not None
    assert clock.zone == Zone(timezone(timedelta(hours=2)), "modification time")
    assert clock.resolve(b"11-23 12:00:00") == utc("2026-11-23T10:00:00")


def test_an_old_file_s_zone_is_assumed() -> None:
    modified = utc("2026-11-23T10:00:30")
    clock = clock_for(LINE, LINE, modified, modified + 3600, None, None)
    assert clock is not None
    assert clock.zone.assumed


def test_arriving_lines_tell_the_zone_when_they_are_steady() -> None:
    finder = ZoneFinder()
    start = utc("2026-11-23T10:00:00")
    assert finder.feed(start + 7200, start) is None
    assert finder.feed(start + 7205, start + 5) is None
    zone = finder.feed(start + 7210, start + 10)
    assert zone == Zone(timezone(timedelta(hours=2)), "arrival")


def test_a_replay_speed_is_no_zone() -> None:
    finder = ZoneFinder()
    start = utc("2026-11-23T10:00:00")
    for second in range(120):  # ten times faster than it was
        assert finder.feed(start + 7200 + 10 * second, start + second) is None
