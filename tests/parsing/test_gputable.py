"""Tables of `nvidia-smi`, with the columns and units that people ask for."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from vllm_watch.core.recorded import GpuRow
from vllm_watch.parsing.gputable import GpuTable

AT = datetime(2026, 11, 25, 22, 34, 2, 762_000, tzinfo=UTC).timestamp()


def rows(text: str) -> list[GpuRow]:
    table = GpuTable()
    return [row for line in text.splitlines() if (row := table.read(line, UTC)) is not None]


def test_units_in_the_cells() -> None:
    (row,) = rows(
        "timestamp, index, name, uuid, utilization.gpu [%], memory.used [MiB], memory.total [MiB], power.draw [W], temperature.gpu, clocks.current.sm [MHz], clocks_event_reasons.sw_power_cap, clocks_event_reasons.hw_slowdown\n"
        "2026/11/25 22:34:02.762, 1, NVIDIA H100 80GB HBM3, GPU-1a, 29 %, 70 MiB, 81559 MiB, 70.34 W, 33, 345 MHz, Active, Not Active\n"
    )
    assert row == GpuRow(
        AT,
        1,
        "NVIDIA H100 80GB HBM3",
        "GPU-1a",
        0.29,
        70 * 2**20,
        81559 * 2**20,
        70.34,
        33.0,
        345e6,
        ("sw_power_cap",),
        "table",
    )


def test_units_in_the_header_alone() -> None:
    (row,) = rows(
        "index, timestamp, utilization.gpu [%], memory.used [MiB], power.draw [W], clocks.sm [MHz]\n"
        "0, 2026/11/25 22:34:02.762, 97, 70, 70.34, 1980\n"
    )
    assert (row.utilization, row.memory_used) == (0.97, 70 * 2**20)
    assert (row.power_w, row.sm_clock_hz, row.time) == (70.34, 1.98e9, AT)


def test_free_memory_shows_the_used() -> None:
    (row,) = rows(
        "timestamp, memory.free [MiB], memory.total [MiB]\n"
        "2026/11/25 22:34:02.762, 1000 MiB, 81559 MiB\n"
    )
    assert row.memory_used == 80559 * 2**20


def test_what_is_not_supported_is_absent() -> None:
    (row,) = rows(
        "timestamp, index, power.draw [W], fan.speed [%], temperature.gpu\n"
        "2026/11/25 22:34:02.762, 0, [N/A], [Not Supported], 33\n"
    )
    assert (row.power_w, row.temperature_c) == (None, 33.0)


def test_gpus_without_an_index_are_identified_by_their_order() -> None:
    found = rows(
        "timestamp, power.draw [W]\n"
        "2026/11/25 22:34:02.762, 1 W\n2026/11/25 22:34:02.768, 2 W\n"
        "2026/11/25 22:34:07.762, 3 W\n2026/11/25 22:34:07.768, 4 W\n"
    )
    assert [(row.gpu, row.power_w) for row in found] == [(0, 1), (1, 2), (0, 3), (1, 4)]


def test_gpus_without_an_index_are_identified_by_their_uuid() -> None:
    found = rows(
        "timestamp, uuid\n"
        "2026/11/25 22:34:02.762, GPU-b\n2026/11/25 22:34:02.768, GPU-a\n2026/11/25 22:34:09.0, GPU-a\n"
    )
    assert [row.gpu for row in found] == [0, 1, 1]


def test_another_header_begins_another_table() -> None:
    """nvidia-smi was started again with other columns and appended to the file."""
    found = rows(
        "timestamp, index, power.draw [W]\n2026/11/25 22:34:02.762, 0, 70.34 W\n"
        "timestamp, temperature.gpu, index\n2026/11/25 22:34:12.762, 33, 0\n"
    )
    assert [(row.power_w, row.temperature_c) for row in found] == [(70.34, None), (None, 33.0)]


def test_stamps_are_in_the_given_zone() -> None:
    table = GpuTable()
    table.read("timestamp, index", UTC)
    row = table.read("2026/11/25 23:34:02.762, 0", ZoneInfo("Europe/Berlin"))
    assert row is not None
    assert row.time == AT


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("2026/11/25 22:34:02.762, 0, 70.34 W\n", "no header"),
        ("index, power.draw [W]\n0, 70.34 W\n", "no column timestamp"),
        ("timestamp, index\n2026/11/25 22:34:02.762, 0\n", None),
        ("", None),
    ],
)
def test_what_keeps_a_table_from_being_read(text: str, trouble: str | None) -> None:
    table = GpuTable()
    for line in text.splitlines():
        table.read(line, UTC)
    assert (table.trouble or "") == "" if trouble is None else trouble in (table.trouble or "")


@pytest.mark.parametrize(
    "line",
    ["", "2026/11/25", '"', "2026/99/25 22:34:02.762, 0", "a,b,c,d", "\x00", "," * 9999, "\r1\rx"],
)
def test_a_broken_line_is_passed_over(line: str) -> None:
    table = GpuTable()
    table.read("timestamp, index", UTC)
    assert table.read(line, UTC) is None
    assert table.read("2026/11/25 22:34:02.762, 0", UTC) is not None
