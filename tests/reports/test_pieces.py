"""Pieces written at once give the same as single rows."""

from __future__ import annotations

import json
import math
from array import array
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_watch.core.records import SampleTable
from vllm_watch.reports.pieces import Piece, iso_times, json_line

ZONES = (
    UTC,
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("Australia/Lord_Howe"),
    ZoneInfo("Asia/Kathmandu"),
    timezone(timedelta(hours=5, minutes=37)),
    timezone(timedelta(seconds=-17)),
)


@given(
    st.lists(st.one_of(st.integers(0, 4_000_000_000), st.floats(0, 4e9)).map(float), max_size=20),
    st.sampled_from(ZONES),
)
def test_times_are_written_as_datetime_writes_them(times: list[float], tz: tzinfo) -> None:
    assert iso_times(times, tz) == [datetime.fromtimestamp(t, tz).isoformat() for t in times]


def test_times_around_the_end_of_summer_time_keep_their_offsets() -> None:
    end = datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp()
    times = [end + minute * 60 for minute in range(-130, 130, 7)]
    berlin = ZoneInfo("Europe/Berlin")
    assert iso_times(times, berlin) == [
        datetime.fromtimestamp(t, berlin).isoformat() for t in times
    ]


@pytest.mark.parametrize("server", ["tiny", '100 % "good" \\ \u202e', "größe"])
def test_lines_are_the_rows_as_json(server: str) -> None:
    table = SampleTable(
        array("d", [1_795_183_363.0, 1_795_183_373.5]),
        array("q", [0, -1]),
        {"running": array("d", [3.0, math.nan]), "kv_cache_usage": array("d", [0.1, 1e-5])},
        run=2,
    )
    piece = Piece(server, "a %s.log", UTC, table)

    lines = list(piece.lines())

    assert lines == [json_line(row) for row in piece.rows()]
    assert json.loads(lines[0])["running"] == 3
    assert json.loads(lines[1])["engine"] == "all"
    assert json.loads(lines[1])["running"] is None
    assert "\u202e" not in lines[0]
