from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest

from vllm_watch.core.zones import parse_zone

SUMMER = datetime(2026, 7, 1)  # noqa: DTZ001  # the zone is what is tested


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("UTC", timedelta(0)),
        ("utc", timedelta(0)),
        ("Z", timedelta(0)),
        ("+00:00", timedelta(0)),
        ("+02:00", timedelta(hours=2)),
        ("-0530", -timedelta(hours=5, minutes=30)),
        ("+9", timedelta(hours=9)),
        ("+14:00", timedelta(hours=14)),
        ("-12:00", -timedelta(hours=12)),
        (" Europe/Berlin ", timedelta(hours=2)),
        ("Asia/Kolkata", timedelta(hours=5, minutes=30)),
    ],
)
def test_names_and_offsets_are_zones(text: str, offset: timedelta) -> None:
    assert SUMMER.replace(tzinfo=parse_zone(text)).utcoffset() == offset


def test_utc_needs_no_zone_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoneinfo, "ZoneInfo", None)
    assert parse_zone("UTC") is UTC
    assert parse_zone("+00:00") is UTC


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("europe/berlin", "'europe/berlin' is not a time zone: did you mean Europe/Berlin?"),
        ("New York", "'New York' is not a time zone: did you mean America/New_York?"),
        (
            "Eurpoe/Berlin",
            "'Eurpoe/Berlin' is not a time zone:"
            " did you mean Europe/Berlin or Europe/Dublin or Europe/Helsinki?",
        ),
        (
            "",
            "'' is not a time zone:"
            " write an IANA name such as Europe/Berlin, or an offset such as +02:00",
        ),
        (
            "../../etc/passwd",
            "'../../etc/passwd' is not a time zone:"
            " write an IANA name such as Europe/Berlin, or an offset such as +02:00",
        ),
        (
            "x" * 5000,
            f"'{'x' * 64}…' is not a time zone:"
            " write an IANA name such as Europe/Berlin, or an offset such as +02:00",
        ),
        ("+x", "'+x' is not a UTC offset: write it as +02:00 or -05:30"),
        ("+05:75", "'+05:75' is not a UTC offset: an hour has 60 minutes"),
        ("+14:15", "'+14:15' is not a UTC offset: the range is -12:00 to +14:00"),
        ("-12:15", "'-12:15' is not a UTC offset: the range is -12:00 to +14:00"),
    ],
)
def test_what_is_no_zone_is_refused_with_the_nearest(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole message is compared
        parse_zone(text)
    assert str(caught.value) == message


def test_a_folder_of_the_zone_database_is_no_zone() -> None:
    with pytest.raises(ValueError, match=r"^'Europe' is not a time zone: did you mean "):
        parse_zone("Europe")


def test_a_machine_without_zones_is_pointed_to_tzdata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    with pytest.raises(ValueError, match=r"no zone database; write .02:00, or pip install tzdata"):
        parse_zone("Europe/Nowhere")
