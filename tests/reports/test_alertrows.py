"""Alerts among the events: the same moments from a whole log, and line by line as it grows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from tests.logs import FIXTURES, log_of, read
from vllm_watch.config import Settings
from vllm_watch.core.news import News, PathSearch
from vllm_watch.reports.eventrows import event_rows, event_rows_as_they_come
from vllm_watch.reports.rows import Row

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/event.json").read_text())
CAPTURES = sorted(path.name for path in FIXTURES.iterdir() if path.is_dir())


def alerts(rows: Iterator[Row | None]) -> list[Row]:
    """Return the alerts among rows, in the order of time."""
    found = [row for row in rows if row is not None and row["kind"] == "alert"]
    return sorted(found, key=lambda row: (str(row["time"]), json.dumps(row["fields"])))


def growing(log: Path, copy: Path) -> Iterator[News | PathSearch]:
    """Append a log to its copy line by line, with a look after each stats line."""
    copy.write_bytes(b"")
    ingest = read(copy)
    ingest.discover()
    reader = ingest.reader(str(copy))
    assert reader is not None
    kept: list[bytes] = []
    for line in [*log.read_bytes().splitlines(keepends=True), b""]:
        kept.append(line)
        if b"throughput" in line or not line:
            with copy.open("ab") as file:
                file.write(b"".join(kept))
            kept.clear()
            yield from reader.read()
            yield PathSearch(0.0, 1, (), ())
    yield PathSearch(0.0, 1, (), ())
    ingest.close()


@pytest.mark.parametrize("capture", CAPTURES)
def test_alerts_line_by_line_are_those_of_the_whole_log(capture: str, tmp_path: Path) -> None:
    log = log_of(capture)
    whole = tmp_path / "whole" / log.name
    whole.parent.mkdir()
    whole.write_bytes(log.read_bytes())
    once = alerts(event_rows(read(whole).read_once(), Settings()))
    copy = tmp_path / log.name
    follow = alerts(event_rows_as_they_come(growing(log, copy), Settings()))
    for row in (*once, *follow):
        row["source"] = ""
        jsonschema.validate(row, SCHEMA)
    assert follow == once


def test_an_alert_is_reported_with_its_moment(tmp_path: Path) -> None:
    rows = alerts(event_rows(read(log_of("h100_saturated_then_killed")).read_once(), Settings()))
    queue = next(row for row in rows if "'queue-long'" in str(row["fields"]))
    assert (queue["time"], queue["level"]) == ("2026-11-23T08:51:01+00:00", "WARNING")
    assert queue["fields"] == {
        "id": "queue-long", "engine": 0, "severity": "warning", "change": "fired",
        "since": "2026-11-23T08:50:41+00:00",
    }  # fmt: skip
