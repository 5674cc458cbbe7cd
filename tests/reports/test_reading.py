from __future__ import annotations

from pathlib import Path

from tests.logs import FIXTURES, formats
from vllm_watch.config import Settings
from vllm_watch.reports.reading import read_saved


def test_a_saved_log_is_read_to_its_end_and_judged_there() -> None:
    folder = FIXTURES / "h100_saturated_then_killed"
    reading = read_saved([str(folder / "*.log")], formats(), Settings())
    (server,) = reading.servers
    assert reading.health(server).state.name == "dead"
    found = {finding.id: finding for finding in reading.findings(server, server.run)}
    # KV 99 % from the line of 08:54:50 to the last one: it never resolved. What binds explains it.
    (full,) = (one for one in found["kv-cache-binds"].explains if one.id == "kv-cache-critical")
    assert full.until is None
    assert "server-dead" in found
    assert reading.troubles == []


def test_unreadable_files_are_reported_without_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.log").mkdir()
    reading = read_saved([str(tmp_path / "b.log")], formats(), Settings())
    assert reading.servers == []
    assert reading.found.missing == (str(tmp_path / "b.log"),)
