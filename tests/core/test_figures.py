from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from vllm_watch.core import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (0.04, "0.0"),
        (73.46, "73.5"),
        (99.9, "99.9"),
        (100, "100"),
        (18734.1, "18,734"),
    ],
)
def test_rates_in_full(value: float | None, text: str) -> None:
    assert figures.rate(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (734.4, "734"),
        (18734, "18.7k"),
        (123456, "123k"),
        (1_500_000, "1.5M"),
    ],
)
def test_rates_in_short(value: float | None, text: str) -> None:
    assert figures.short_rate(value) == text
    assert len(text) <= 5


@pytest.mark.parametrize(
    "value",
    [
        999.4,
        999.6,
        99_949,
        999_499,
        999_999,
        99_951,
    ],
)
def test_short_rates_stay_short_where_they_are_rounded_up(value: float) -> None:
    assert len(figures.short_rate(value)) <= 5


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.0, "0 %"), (0.984, "98 %"), (1.0, "100 %")]
)
def test_ratios_are_per_cent_on_the_screen(value: float | None, text: str) -> None:
    assert figures.percent(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"), (-5, "0 s"), (0, "0 s"), (59.9, "59 s"), (60, "1 m 00 s"), (185, "3 m 05 s"),
        (3600, "1 h 00 m"), (7800, "2 h 10 m"), (86400, "1 d 0 h"), (273600, "3 d 4 h"),
    ],
)  # fmt: skip
def test_spans_of_time(seconds: float | None, text: str) -> None:
    assert figures.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (-1, "0s"), (4.9, "4s"), (119, "119s"), (120, "2m"), (3599, "59m"), (3600, "1h"), (86399, "23h"), (86400, "1d")],
)  # fmt: skip
def test_ages(seconds: float | None, text: str) -> None:
    assert figures.age(seconds) == text


def test_moments_in_their_zone() -> None:
    moment = datetime(2026, 11, 23, 9, 5, 58, tzinfo=UTC).timestamp()
    assert figures.clock(moment, UTC) == "09:05:58"
    assert figures.clock(moment, ZoneInfo("Europe/Berlin"), seconds=False) == "10:05"
    assert figures.clock(None, UTC) == "–"
    assert figures.zone_name(moment, ZoneInfo("Europe/Berlin")) == "CET"
    assert figures.zone_name(moment, UTC) == "UTC"


def test_counts() -> None:
    assert (figures.count(None), figures.count(0), figures.count(1361)) == ("–", "0", "1,361")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5_399, "1 h 30 min"), (200_000, "2 d 7 h")],
)
def test_estimated_spans_are_said_as_people_do(seconds: float, text: str) -> None:
    assert figures.rough_span(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(59, "59 s"), (60, "1 min"), (90, "1.5 min"), (599, "10 min"), (1_260, "21 min")],
)
def test_spans_in_minutes(seconds: float, text: str) -> None:
    assert figures.minutes(seconds) == text
