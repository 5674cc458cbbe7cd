from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from vllm_watch.parsing.timestamps import Zone
from vllm_watch.parsing.zonefinder import ZoneFinder, clock_for

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp()
LINE = b"(APIServer pid=1) INFO 07-01 %s [x.py:1] y\n"
HOUR = 3600.0


def test_no_stamp_no_clock() -> None:
    assert clock_for(b"no stamp\n", b"none here\n", NOON, NOON, None, None) is None


def test_the_end_may_lack_a_stamp() -> None:
    clock = clock_for(LINE % b"12:00:00", b"progress\r" * 10, NOON, NOON + 9e6, None, None)
    assert clock is not None
    assert clock.year == 2026


def test_an_old_file_is_read_as_utc_and_says_that_it_is_assumed() -> None:
    clock = clock_for(LINE % b"14:00:00", LINE % b"14:00:00", NOON, NOON + 301, None, None)
    assert clock is not None
    assert clock.zone.assumed
    assert clock.resolve(b"07-01 14:00:00") == NOON + 2 * HOUR


def test_a_file_written_just_now_gives_its_zone() -> None:
    clock = clock_for(LINE % b"13:00:00", LINE % b"14:00:00", NOON + 3, NOON + 100, None, None)
    assert clock is not None
    assert clock.zone.source == "modification time"
    assert clock.resolve(b"07-01 14:00:00") == NOON


def test_a_file_written_just_now_whose_offset_is_no_zone_is_assumed() -> None:
    clock = clock_for(LINE % b"14:07:00", LINE % b"14:07:00", NOON, NOON + 100, None, None)
    assert clock is not None
    assert clock.zone.assumed


def test_a_zone_and_a_year_that_are_known_are_kept() -> None:
    zone = Zone(ZoneInfo("Europe/Berlin"), "given")
    clock = clock_for(LINE % b"12:00:00", LINE % b"12:00:00", NOON, NOON, zone, 2024)
    assert clock is not None
    assert clock.zone is zone
    assert clock.resolve(b"07-01 12:00:00") == datetime(2024, 7, 1, 10, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("zone_hours", [0.0, 2.0, -7.0, 5.75, 14.0, -12.0])
def test_two_offsets_that_agree_a_while_apart_are_a_zone(zone_hours: float) -> None:
    finder = ZoneFinder()
    shift = zone_hours * HOUR
    assert finder.feed(NOON + shift, NOON + 1) is None
    found = finder.feed(NOON + shift + 10, NOON + 11)
    assert found is not None
    assert found.source == "arrival"
    assert found.tz.utcoffset(None) == timedelta(hours=zone_hours)


def test_two_offsets_at_once_are_not_enough() -> None:
    finder = ZoneFinder()
    assert finder.feed(NOON, NOON + 1) is None
    assert finder.feed(NOON + 1, NOON + 2) is None
    assert finder.feed(NOON + 10, NOON + 11) is not None


def test_a_log_played_faster_than_it_was_written_gives_nothing() -> None:
    finder = ZoneFinder()
    for tick in range(200):
        assert finder.feed(NOON + tick * 20.0, NOON + 7 * HOUR + tick) is None


def test_a_copy_that_arrives_in_bulk_gives_nothing() -> None:
    finder = ZoneFinder()
    for step in range(50):
        assert finder.feed(NOON + step * 3000.0, NOON + 9e5 + step * 10.0) is None


def test_an_offset_that_is_no_zone_gives_nothing() -> None:
    finder = ZoneFinder()
    for tick in range(0, 100, 10):
        assert finder.feed(NOON + 400 + tick, NOON + tick) is None


def test_a_container_s_stamp_gives_zone_and_year() -> None:
    line = (
        b"2024-01-01T02:59:59.331095044Z (APIServer pid=7) INFO 12-31 21:59:59 [loggers.py:1] x\n"
    )
    modified = datetime(2026, 6, 1, tzinfo=UTC).timestamp()  # of a copy: it says nothing
    clock = clock_for(line, line, modified, modified + 10, None, None)
    assert clock is not None
    assert clock.zone == Zone(timezone(timedelta(hours=-5)), "outer stamp")
    assert (
        clock.resolve(b"12-31 21:59:59") == datetime(2024, 1, 1, 2, 59, 59, tzinfo=UTC).timestamp()
    )


def test_the_year_counts_back_from_the_last_of_a_container_s_stamps() -> None:
    """One line a day: the whole log is in its tail, and its newest stamp is days after its first."""
    log = b"".join(
        b"2024-%s 09:00:00.5Z (APIServer pid=7) INFO %s 09:00:00 [loggers.py:1] x\n".replace(
            b" 09:00:00.5Z", b"T09:00:00.5Z"
        )
        % (day, day)
        for day in (b"11-18", b"11-19", b"11-20", b"11-21")
    )
    modified = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
    clock = clock_for(log, log, modified, modified + 10, None, None)
    assert clock is not None
    assert clock.resolve(b"11-18 09:00:00") == datetime(2024, 11, 18, 9, tzinfo=UTC).timestamp()


def test_a_logger_s_own_date_gives_the_year_but_no_zone() -> None:
    log = (
        b"2024-12-31 23:59:00,925 (APIServer) INFO 12-31 23:59:00 [loggers.py:0] x\n"
        b"2025-01-01 00:01:00,925 (APIServer) INFO 01-01 00:01:00 [loggers.py:0] x\n"
    )
    modified = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
    clock = clock_for(log, log, modified, modified + 9e6, None, None)
    assert clock is not None
    assert clock.zone.assumed
    assert clock.year == 2024


@pytest.mark.parametrize(
    ("prefix", "zone"),
    [
        (b"2024-07-01T10:00:00.331095044Z ", 2),
        (b"vllm-1  | 2024-07-01T10:00:00.331095044Z ", 2),
        (b"2024-07-01T14:00:00+04:00 stderr F ", 2),
        (b"Mon 2024-07-01 10:00:00 UTC gpu-host vllm[87]: ", 2),
        (b"2024-07-01T10:00:00+0000 gpu-host vllm[87]: ", 2),
        (b"<14>1 2024-07-01T10:00:00.331Z gpu-host vllm 87 - - ", 2),
        (b"INFO 2024-07-01T10:00:00.331Z [resource.labels.containerName: vllm] ", 2),
        (b"2024-07-01 12:00:00.123 | ", None),
        (b"[2024/07/01 12:00:00] ", None),
        (b"2024-07-01 12:00:00.604 [Info] (Process) ", None),
        (b"0|vllm     | 2024-07-01T12:00:00: ", None),
        (b"2024-07-01 12:00:00,604 CEST ", None),
    ],
)
def test_the_year_comes_from_the_wrapper(prefix: bytes, zone: float | None) -> None:
    modified = datetime(2026, 9, 1, tzinfo=UTC).timestamp()  # of a copy
    log = prefix + LINE % b"12:00:00"
    for head, tail in ((log, log), (log, b"progress\r" * 10), (LINE % b"11:59:59", log)):
        clock = clock_for(head, tail, modified, modified + 9e6, None, None)
        assert clock is not None
        assert clock.year == 2024
        assert clock.zone.assumed == (zone is None)
        offset = timedelta(hours=zone or 0.0)
        noon = datetime(2024, 7, 1, 12, tzinfo=timezone(offset)).timestamp()
        assert clock.resolve(b"07-01 12:00:00") == noon


def test_a_prefix_without_a_year_gives_none() -> None:
    modified = datetime(2026, 9, 1, tzinfo=UTC).timestamp()
    log = b"Jul  1 12:00:00 gpu-host vllm[87]: " + LINE % b"12:00:00"
    clock = clock_for(log, log, modified, modified + 9e6, None, None)
    assert clock is not None
    assert clock.year == 2026
