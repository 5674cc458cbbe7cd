from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.logs import log_of
from tests.parsing.scanning import scanner
from vllm_watch.core.records import Event
from vllm_watch.parsing.tracebacks import TRACEBACK_BYTES, TracebackReader

SHORT = b"""\
Traceback (most recent call last):
  File "/opt/vllm/bin/vllm", line 8, in <module>
    sys.exit(main())
             ^^^^^^
OSError: [Errno 98] Address already in use
"""
STAMPED = b"(APIServer pid=1) INFO 11-23 09:00:%02d [x.py:1] y\n"


def at(second: int) -> float:
    return datetime(2026, 11, 23, 9, 0, second, tzinfo=UTC).timestamp()


def read(*blocks: bytes, twin: bool = True) -> list[Event]:
    one = scanner(twin=twin)
    records = [record for block in blocks for record in one.scan(block).records]
    return [r for r in records if isinstance(r, Event)]


def test_a_traceback_is_one_event_with_its_last_line_as_the_error() -> None:
    (event,) = read(SHORT)
    assert (event.kind, event.time, event.level, event.twin) == ("traceback", None, "ERROR", True)
    assert event.fields["error"] == "OSError: [Errno 98] Address already in use"
    assert event.text.splitlines() == SHORT.decode().splitlines()


@pytest.mark.parametrize("capture", ["cpu_port_in_use", "cpu_startup_failure"])
def test_the_tracebacks_of_the_captures(capture: str) -> None:
    data = next(log_of(capture).parent.glob("*.err")).read_bytes()
    found = [event for event in read(data) if event.kind == "traceback"]
    assert len(found) == data.count(b"\nTraceback (most recent call last):\n")
    errors = [str(event.fields["error"]) for event in found]
    if capture == "cpu_port_in_use":
        assert errors == ["OSError: [Errno 98] Address already in use"]
    else:
        assert [error[:40] for error in errors] == [
            "ValueError: To serve at least one reques",
            "RuntimeError: Engine core initialization",
        ]


@pytest.mark.parametrize("capture", ["cpu_port_in_use", "cpu_startup_failure"])
def test_it_may_arrive_in_any_number_of_blocks(capture: str) -> None:
    data = next(log_of(capture).parent.glob("*.err")).read_bytes()
    whole, lines = read(data), data.splitlines(keepends=True)

    @given(st.lists(st.integers(0, len(lines)), max_size=6))
    def check(cuts: list[int]) -> None:
        edges = [0, *sorted(cuts), len(lines)]
        blocks = [b"".join(lines[a:b]) for a, b in pairwise(edges)]
        assert read(*blocks) == whole

    check()


@pytest.mark.parametrize("cut", range(7))
def test_it_keeps_its_place_however_it_arrives(cut: int) -> None:
    lines = (STAMPED % 1 + SHORT + STAMPED % 9).splitlines(keepends=True)
    (event,) = read(b"".join(lines[:cut]), b"".join(lines[cut:]), twin=False)
    assert event.after == at(1)


def test_the_event_of_a_cut_traceback_comes_before_what_follows() -> None:
    lines = SHORT.splitlines(keepends=True)
    rest = b"".join(lines[2:]) + b"(EngineCore pid=1) ERROR 11-23 09:00:09 [x.py:1] late\n"
    assert [event.kind for event in read(b"".join(lines[:2]), rest)] == ["traceback", "error"]


def test_without_a_stamp_before_it_there_is_no_stamp() -> None:
    assert read(SHORT)[0].after is None


def test_two_of_them_are_two_events() -> None:
    chained = (
        SHORT + b"\nDuring handling of the above exception, another exception occurred:\n\n" + SHORT
    )
    assert [event.kind for event in read(chained)] == ["traceback", "traceback"]


@pytest.mark.parametrize(
    "block",
    [
        b"  " + TRACEBACK_BYTES + b"\nOSError: x\n",
        b"text " + TRACEBACK_BYTES + b"\nOSError: x\n",
        b"(EngineCore pid=1) WARNING 11-23 08:49:49 [import_utils.py:408] "
        + TRACEBACK_BYTES
        + b"\n",
    ],
)
def test_only_at_column_0_and_without_envelope_is_it_the_process_s_own(block: bytes) -> None:
    assert [event.kind for event in read(block)] == []


def test_one_that_ends_without_an_error_says_so() -> None:
    (event,) = read(TRACEBACK_BYTES + b'\n  File "x"\n\n')
    assert event.fields["error"] == "unknown error"


def test_an_endless_one_ends() -> None:
    (event,) = read(TRACEBACK_BYTES + b"\n" + b"  again\n" * 10_000)
    assert event.text.count("\n") < 1000


def test_carriage_returns_and_controls_are_not_kept() -> None:
    (event,) = read(SHORT.replace(b"\n", b"\r\n").replace(b"Address", b"\x1b[31mAddress\x07"))
    assert event.fields["error"] == "OSError: [Errno 98] Address already in use"
    assert "\r" not in event.text


def test_a_reader_that_has_begun_nothing_has_no_rest() -> None:
    assert TracebackReader(str, twin=False).rest(SHORT) == []
