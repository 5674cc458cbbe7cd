from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from vllm_watch.core.timetexts import GRAMMAR, parse_time, place_time, since_words


def when(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


FIRST, NEWEST = when("2026-11-22T23:00:00+00:00"), when("2026-11-23T09:30:00+00:00")
NOW = when("2026-11-23T12:00:00+00:00")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23 09:05", "2026-11-23T09:05:00+00:00"),
        ("2026-11-23T09:05:07", "2026-11-23T09:05:07+00:00"),
        ("2026-11-23", "2026-11-23T00:00:00+00:00"),
        ("09:05", "2026-11-23T09:05:00+00:00"),
        ("9:05:30", "2026-11-23T09:05:30+00:00"),
        ("09:30", "2026-11-23T09:30:00+00:00"),
        ("09:30:01", "2026-11-22T09:30:01+00:00"),
        ("23:30", "2026-11-22T23:30:00+00:00"),
        ("10s", "2026-11-23T11:59:50+00:00"),
        ("10m", "2026-11-23T11:50:00+00:00"),
        ("1.5h", "2026-11-23T10:30:00+00:00"),
        ("1d", "2026-11-22T12:00:00+00:00"),
        ("+10m", "2026-11-22T23:10:00+00:00"),
        (" +2h ", "2026-11-23T01:00:00+00:00"),
    ],
)
def test_the_one_grammar_of_times(text: str, expected: str) -> None:
    assert place_time(parse_time(text), FIRST, NEWEST, NOW, UTC) == when(expected)


def test_clock_times_are_those_of_the_log() -> None:
    placed = place_time(parse_time("09:05"), FIRST, NEWEST, NOW, ZoneInfo("Europe/Berlin"))
    assert placed == when("2026-11-23T09:05:00+01:00")


def test_a_clock_time_means_the_wall_clock_also_on_the_day_that_has_25_hours() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    newest = when("2026-10-25T12:00:00+01:00")
    assert place_time(parse_time("09:00"), newest, newest, newest, berlin) == when(
        "2026-10-25T09:00:00+01:00"
    )


@pytest.mark.parametrize(
    "text",
    ["", "+", "-10m", "++10m", "10", "10 m", "24:00", "09:60", "9", "2026-13-01", "2026-02-30",
     "2026-11-23 25:00", "now", "1w", "٠٩:٠٥", "10m ago"],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_the_grammar(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time") as refused:
        parse_time(text)
    assert GRAMMAR in str(refused.value)


def test_since_when_a_trouble_is_there() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    began, now = when("2026-11-22T22:58:30+00:00"), when("2026-11-22T22:59:59+00:00")
    assert since_words(began, now, UTC) == " (since 22:58)"
    assert since_words(began, now, berlin) == " (since 23:58)"
    # A minute later it is another day there.
    assert since_words(began, now + 60, berlin) == " (since 11-22 23:58)"
    assert since_words(None, now, UTC) == ""
