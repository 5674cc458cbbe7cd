"""Many stamps resolved at once are those resolved one by one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from vllm_watch.parsing.timestamps import StampClock, Zone

ENDS = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
NEW_YEAR = datetime(2026, 12, 31, 23, 30, tzinfo=UTC).timestamp()


def stamp(time: float, tz: tzinfo) -> bytes:
    return datetime.fromtimestamp(time, tz).strftime("%m-%d %H:%M:%S").encode()


@given(
    st.sampled_from([ENDS, NEW_YEAR, 0.0]),
    st.one_of(
        st.lists(st.one_of(st.none(), st.integers(-60, 2_000)), min_size=1, max_size=40),
        st.lists(st.integers(-60, 2_000), min_size=70, max_size=90),  # by columns
        st.lists(st.sampled_from([None, 10, 900, -60]), min_size=100, max_size=110),
    ),
    st.sampled_from([UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu")]),
    st.lists(
        st.sampled_from([b"13-01 00:00:00", b"11-23 09:99:99", b"02-30 00:00:00"]), max_size=2
    ),
)
def test_all_at_once_is_one_by_one(
    begin: float, steps: Sequence[int | None], tz: tzinfo, odd: list[bytes]
) -> None:
    now, stamps = begin, list[bytes | None]()
    for step in steps:
        now += step or 0
        stamps.append(None if step is None else stamp(now, tz))
    stamps[len(stamps) // 2 : len(stamps) // 2] = odd
    one, other = (StampClock(Zone(tz, "given"), 2026) for _ in range(2))

    found = one.resolve_all(stamps)

    assert found == [None if each is None else other.resolve(each) for each in stamps]
    assert (one.newest, one.year) == (other.newest, other.year)
