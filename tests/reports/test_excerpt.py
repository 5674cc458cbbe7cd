"""Lines of a log around a moment, compared with the file itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.logs import at, formats, log_of
from vllm_watch.reports.excerpt import BLOCK, MOST_LINES, excerpt, stamp_time

FORMATS = formats()


def test_the_lines_around_a_moment_are_those_of_the_file() -> None:
    log = log_of("h100_long_context")
    found = excerpt(str(log), at("09:01:00"), at("09:02:00"), UTC, FORMATS)
    stats = [line for line in found.lines if line.kind == "stats"]
    text = log.read_text().splitlines()
    window = [
        line
        for line in text
        if "Avg prompt" in line and "09:00:50" <= line.split("11-23 ")[1][:8] <= "09:02:00"
    ]
    assert [line.text for line in stats] == window
    assert len(window) in (7, 8)
    assert found.trouble == ""


def test_requests_in_a_row_are_replaced_by_their_number() -> None:
    log = log_of("h100_optimised")
    found = excerpt(str(log), at("08:55:10"), at("08:55:32"), UTC, FORMATS)
    assert [line.kind for line in found.lines].count("stats") >= 2
    skipped = [line.text for line in found.lines if line.kind == "skipped"]
    assert skipped
    assert all(text.startswith("… ") and " more request" in text for text in skipped)
    assert len(found.lines) <= MOST_LINES


def test_the_death_of_a_server_is_shown_as_errors() -> None:
    log = log_of("h100_saturated_then_killed")
    found = excerpt(str(log), at("08:51:40"), at("08:53:00"), UTC, FORMATS)
    assert any(line.kind == "error" for line in found.lines)


def long_log(path: Path, start: datetime, lines: int, zone: timezone) -> None:
    """Write a log of a stats line every 10 s with 20 request lines between two."""
    access = (
        '(APIServer pid=1) INFO:     10.0.0.1:1 - "POST /v1/completions HTTP/1.1" 200 OK\n' * 20
    )
    with path.open("w") as file:
        for number in range(lines):
            stamp = (start + timedelta(seconds=10 * number)).astimezone(zone)
            file.write(
                f"(APIServer pid=1) INFO {stamp:%m-%d %H:%M:%S} [loggers.py:310] Engine 000: "
                f"Avg prompt throughput: 1.0 tokens/s, Avg generation throughput: {number}.0 "
                "tokens/s, Running: 1 reqs, Waiting: 0 reqs, GPU KV cache usage: 1.0%, "
                "Prefix cache hit rate: 0.0%\n" + access
            )


@pytest.mark.parametrize("number", [0, 1, 700, 1_400, 2_799])
def test_every_place_of_a_log_is_found(tmp_path: Path, number: int) -> None:
    log = tmp_path / "a.log"
    zone = timezone(timedelta(hours=2))
    start = datetime(2025, 12, 31, 20, 0, 0, tzinfo=UTC)  # New Year passes
    long_log(log, start, 2_800, zone)
    assert log.stat().st_size > 60 * BLOCK
    time = start.timestamp() + 10 * number
    found = excerpt(str(log), time, time + 15, zone, FORMATS)
    rates = [
        int(line.text.split("generation throughput: ")[1].split(".")[0])
        for line in found.lines
        if line.kind == "stats"
    ]
    expected = [n for n in (number - 1, number, number + 1) if 0 <= n < 2_800]
    assert rates == expected
    assert [line.text for line in found.lines if line.kind == "skipped"] == [
        "… 18 more requests"
    ] * len(expected)


def test_little_of_a_large_log_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only blocks of the bisection are read of 5 MB; each doubling would add one block."""
    log = tmp_path / "a.log"
    start = datetime(2026, 3, 1, tzinfo=UTC)
    long_log(log, start, 3_000, UTC)
    read = 0
    opened = Path.open

    def counting(self: Path, *words: str) -> object:
        file = opened(self, *words)  # type: ignore[call-overload]
        whole, line = file.read, file.readline

        class Counted:
            name = str(self)
            fileno, seek = file.fileno, file.seek

            def read(self, size: int) -> bytes:
                nonlocal read
                data: bytes = whole(size)
                read += len(data)
                return data

            def readline(self, size: int) -> bytes:
                nonlocal read
                data: bytes = line(size)
                read += len(data)
                return data

            def __enter__(self) -> Counted:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

        return Counted()

    monkeypatch.setattr(Path, "open", counting)
    time = start.timestamp() + 20_000
    assert len(excerpt(str(log), time, time + 20, UTC, FORMATS).lines) > 3
    assert 0 < read < log.stat().st_size / 5
    assert log.stat().st_size > 5_000_000


def test_what_cannot_be_shown_says_why(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    gone = excerpt(str(log), 1e9, 1e9, UTC, FORMATS)
    assert gone.trouble == f"{log}: is gone, so its lines cannot be shown"
    start = datetime(2026, 3, 1, tzinfo=UTC)
    long_log(log, start, 5, UTC)
    early = excerpt(str(log), start.timestamp() - 900, start.timestamp() - 800, UTC, FORMATS)
    assert early.trouble == f"{log}: was started again after that time"
    late = excerpt(str(log), start.timestamp() + 900, start.timestamp() + 990, UTC, FORMATS)
    assert late.trouble == f"{log}: has no line of that time"
    assert "standard input" in excerpt("-", 1e9, 1e9, UTC, FORMATS).trouble


def test_a_log_without_stamps_ends_the_search(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("no stamp here\n" * 20_000)
    assert excerpt(str(log), 1e9, 1e9 + 60, UTC, FORMATS).trouble.endswith("no line of that time")


def test_lines_of_a_log_cannot_act(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"INFO 03-01 00:00:05 [a.py:1] \x1b]0;x\x07[red]\x1b[2J[/red] [@click=quit]\n")
    start = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    (line,) = excerpt(str(log), start, start + 60, UTC, FORMATS).lines
    assert line.text == "INFO 03-01 00:00:05 [a.py:1] [red][/red] [@click=quit]"


def test_stamps_get_the_nearest_year() -> None:
    new_year = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert stamp_time(b"12-31 23:59:50", new_year, UTC) == new_year - 10
    assert stamp_time(b"01-01 00:00:10", new_year - 60, UTC) == new_year + 10
    assert stamp_time(b"13-01 00:00:10", new_year, UTC) is None


@pytest.mark.parametrize(
    "wrapper",
    ["2026-11-23T%sZ ", "2026-11-23T%s.5+00:00 stderr F ", "Nov 23 %s gpu vllm[7]: ", "%s "],
)
def test_lines_that_only_a_wrapper_stamped_are_evidence(wrapper: str, tmp_path: Path) -> None:
    """The server was idle since 08:57, failed a request at 09:14 and was killed at 09:17."""
    own = "(APIServer pid=7) INFO 11-23 08:57:10 [x.py:1] y"
    failed = 'INFO:     1.2.3.4:5 - "POST /v1/completions HTTP/1.1" 500 Internal Server Error'
    served = failed.replace("500 Internal Server Error", "200 OK")
    lines = [("08:57:10", own), ("08:57:30", served), ("09:14:59", failed), ("09:17:05", "Killed")]
    text = "".join(wrapper % clock + line + "\n" for clock, line in lines)
    (tmp_path / "a.log").write_text(text)

    def texts(clock: str) -> list[str]:
        at = datetime.fromisoformat(f"2026-11-23T{clock}+00:00").timestamp()
        found = excerpt(str(tmp_path / "a.log"), at, at + 1, UTC, formats())
        return [line.text for line in found.lines]

    assert texts("09:17:05") == [wrapper % "09:17:05" + "Killed"]
    assert texts("09:14:59") == [wrapper % "09:14:59" + failed]
    assert texts("08:57:10") == [wrapper % "08:57:10" + own, wrapper % "08:57:30" + served]
    assert texts("09:30:00") == []
